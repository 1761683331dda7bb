//! The request's body: a picture's bytes, or a form with pictures.

use axum::{
    extract::{FromRequest as _, Multipart, Request, multipart::MultipartError},
    http::{StatusCode, header},
};
use bytes::Bytes;

use crate::error::Error;

/// What a request sends.
#[derive(Debug)]
pub(super) enum Body {
    /// One picture's bytes.
    Picture(Bytes),
    /// A form's pictures: file name and bytes.
    Form(Vec<(String, Bytes)>),
}

/// Reads the body; `max_body` is for the message, the limit itself is the router's.
pub(super) async fn read(request: Request, max_body: usize, max_pictures: usize) -> Result<Body, Error> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap_or("?"));
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Without a type the bytes are taken as they are: the format is read from them anyway.
    if essence.is_empty() || essence == "application/octet-stream" || essence.starts_with("image/") {
        let bytes = Bytes::from_request(request, &()).await;
        return bytes.map(Body::Picture).map_err(|error| unreadable(error.status(), error.body_text(), max_body));
    }
    if essence == "multipart/form-data" {
        return read_form(request, max_body, max_pictures).await.map(Body::Form);
    }
    Err(Error::MediaType(content_type.to_owned()))
}

/// Every part is a picture, whatever its field is called.
async fn read_form(request: Request, max_body: usize, max_pictures: usize) -> Result<Vec<(String, Bytes)>, Error> {
    let broken = |error: MultipartError| unreadable(error.status(), error.body_text(), max_body);
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
    let mut pictures = Vec::new();
    while let Some(part) = form.next_field().await.map_err(broken)? {
        if pictures.len() == max_pictures {
            return Err(Error::TooManyPictures { limit: max_pictures });
        }
        let name = part.file_name().or(part.name()).unwrap_or_default().to_owned();
        pictures.push((name, part.bytes().await.map_err(broken)?));
    }
    if pictures.is_empty() { Err(Error::NoPicture) } else { Ok(pictures) }
}

fn unreadable(status: StatusCode, text: String, max_body: usize) -> Error {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge { limit: max_body },
        _ => Error::Body(text),
    }
}
