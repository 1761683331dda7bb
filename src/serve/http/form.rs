//! The request's body: a picture's bytes, or pictures as a form or as JSON.

use std::time::Instant;

use axum::{
    Json,
    extract::{FromRequest as _, Multipart, Request, multipart::MultipartError},
    http::{StatusCode, header},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{json, object::Object};
use crate::{error::Error, serve::fetch::Fetcher};

/// What a request sends.
#[derive(Debug)]
pub(super) enum Body {
    /// One picture's bytes.
    Picture(Bytes),
    /// The pictures of a form or a list: name, and bytes where there are any.
    Several(Vec<(String, Result<Bytes, Error>)>),
}

impl Body {
    /// The only picture.
    ///
    /// # Errors
    /// `OneAnnotated` where there are several; what is wrong with the one.
    pub(super) fn into_one(self) -> Result<Bytes, Error> {
        match self {
            Self::Picture(bytes) => Ok(bytes),
            Self::Several(mut pictures) if pictures.len() == 1 => pictures.remove(0).1,
            Self::Several(pictures) => Err(Error::OneAnnotated(pictures.len())),
        }
    }
}

/// How a body of pictures is read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    /// For the message: the limit itself is the router's. What URLs bring counts as if it had been sent.
    pub(super) max_body: usize,
    pub(super) max_pictures: usize,
    /// None where pictures are not fetched by URL.
    pub(super) fetcher: Option<&'a Fetcher>,
    /// When the answer is no longer wanted, nor what is still fetched for it.
    pub(super) deadline: Option<Instant>,
    /// The name of the model that is asked.
    pub(super) model: &'a str,
}

/// Reads the body.
pub(super) async fn read(request: Request, reading: &Reading<'_>) -> Result<Body, Error> {
    let Reading { max_body, max_pictures, .. } = *reading;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap_or("?"));
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Without a type the bytes are taken as they are: the format is read from them anyway.
    if essence.is_empty() || essence == "application/octet-stream" || essence.starts_with("image/") {
        return read_whole(request, max_body).await.map(Body::Picture);
    }
    if essence == "multipart/form-data" {
        return read_form(request, max_body, max_pictures).await.map(Body::Several);
    }
    if essence == "application/json" {
        return json::read(&read_whole(request, max_body).await?, reading).await;
    }
    Err(Error::MediaType(content_type.to_owned()))
}

/// The whole body; `max_body` is for the message, the limit itself is the router's.
pub(in crate::serve) async fn read_whole(request: Request, max_body: usize) -> Result<Bytes, Error> {
    let bytes = Bytes::from_request(request, &()).await;
    bytes.map_err(|error| unreadable(error.status(), error.body_text(), max_body))
}

/// A body of JSON, as the interface's own requests have it; `max_body` is for the message.
pub(super) async fn read_json<T: DeserializeOwned>(request: Request, max_body: usize) -> Result<T, Error> {
    let read = Json::from_request(request, &()).await;
    read.map(|Json(Object(value))| value).map_err(|error| unreadable(error.status(), error.body_text(), max_body))
}

/// Every part is a picture, whatever its field is called.
async fn read_form(
    request: Request,
    max_body: usize,
    max_pictures: usize,
) -> Result<Vec<(String, Result<Bytes, Error>)>, Error> {
    let broken = |error: MultipartError| unreadable(error.status(), error.body_text(), max_body);
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| Error::Body(error.body_text()))?;
    let mut pictures = Vec::new();
    while let Some(part) = form.next_field().await.map_err(broken)? {
        if pictures.len() == max_pictures {
            return Err(Error::TooManyPictures { limit: max_pictures });
        }
        let name = part.file_name().or(part.name()).unwrap_or_default().to_owned();
        pictures.push((name, Ok(part.bytes().await.map_err(broken)?)));
    }
    if pictures.is_empty() { Err(Error::NoPicture) } else { Ok(pictures) }
}

fn unreadable(status: StatusCode, text: String, max_body: usize) -> Error {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge { limit: max_body },
        _ => Error::Body(text),
    }
}
