//! JSON bodies: pictures as base64, or by URL where the settings allow that.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::timeout_at;

use super::{
    form::{Body, Reading},
    object::Object,
};
use crate::{
    error::Error,
    serve::fetch::{Allowance, FetchError},
};

/// URLs of one request that are fetched at a time.
const FETCHES: usize = 8;

/// Standard base64, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The body as it is sent: exactly one of its members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    image: Option<String>,
    url: Option<String>,
    images: Option<Vec<Object<SentPicture>>>,
}

/// One of several pictures: exactly one of `image` and `url`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SentPicture {
    image: Option<String>,
    url: Option<String>,
    name: Option<String>,
}

/// A picture, or where it is.
#[derive(Debug)]
enum Source {
    Base64(String),
    Url(String),
}

/// How the request's URLs are fetched.
struct Fetching<'a> {
    reading: &'a Reading<'a>,
    allowance: Allowance,
}

/// What the JSON text sends: one picture, or several, where each has a failure of its own.
///
/// # Errors
/// `Body` where the text is not JSON of this form; `TooManyPictures`, `NoPicture`; for one picture everything that can
/// be wrong with it.
pub(super) async fn read(text: &[u8], reading: &Reading<'_>) -> Result<Body, Error> {
    let fetching = Fetching { reading, allowance: Allowance::new(reading.max_body) };
    let Object(sent): Object<Sent> = serde_json::from_slice(text).map_err(|error| unfit(&error))?;
    match (sent.images, sent.image, sent.url) {
        (Some(pictures), None, None) => several(pictures, &fetching).await,
        (None, image, url) => source(image, url, "it")?.bytes(&fetching).await.map(Body::Picture),
        _ => Err(Error::Body("the JSON has images together with image or url: send one of the three".to_owned())),
    }
}

async fn several(pictures: Vec<Object<SentPicture>>, fetching: &Fetching<'_>) -> Result<Body, Error> {
    let max_pictures = fetching.reading.max_pictures;
    if pictures.is_empty() {
        return Err(Error::NoPicture);
    }
    if pictures.len() > max_pictures {
        return Err(Error::TooManyPictures { limit: max_pictures });
    }
    let mut named = Vec::with_capacity(pictures.len());
    for (i, Object(picture)) in pictures.into_iter().enumerate() {
        let place = format!("images[{i}]");
        let source = source(picture.image, picture.url, &place)?;
        named.push((picture.name.unwrap_or(place), source));
    }
    let read = stream::iter(named).map(async |(name, source)| (name, source.bytes(fetching).await));
    Ok(Body::Several(read.buffered(FETCHES).collect().await))
}

fn source(image: Option<String>, url: Option<String>, place: &str) -> Result<Source, Error> {
    match (image, url) {
        (Some(image), None) => Ok(Source::Base64(image)),
        (None, Some(url)) => Ok(Source::Url(url)),
        (None, None) => Err(Error::Body(format!("the JSON names no picture: {place} needs image (base64) or url"))),
        (Some(_), Some(_)) => Err(Error::Body(format!("{place} has both image and url in the JSON: send one of them"))),
    }
}

impl Source {
    async fn bytes(self, fetching: &Fetching<'_>) -> Result<Bytes, Error> {
        match self {
            Self::Base64(text) => decode(&text),
            Self::Url(url) => {
                let Reading { fetcher, deadline, model, .. } = *fetching.reading;
                let fetched = fetcher.ok_or(FetchError::Off)?.fetch(&url, &fetching.allowance);
                match deadline {
                    Some(deadline) => timeout_at(deadline.into(), fetched)
                        .await
                        .map_err(|_| Error::DeadlineExceeded(model.to_owned()))?
                        .map_err(Error::from),
                    None => Ok(fetched.await?),
                }
            }
        }
    }
}

/// The bytes of base64, alone or as a data URL.
fn decode(text: &str) -> Result<Bytes, Error> {
    let encoded = match text.strip_prefix("data:") {
        Some(rest) => match rest.split_once(',') {
            Some((head, encoded)) if head.ends_with(";base64") => encoded,
            _ => return Err(Error::Body("a data URL is taken with ;base64, only".to_owned())),
        },
        None => text,
    };
    BASE64
        .decode(encoded.trim_ascii())
        .map(Bytes::from)
        .map_err(|error| Error::Body(format!("image is not base64: {error}")))
}

/// What serde says quotes what was sent, which may be a whole picture: the start of it is enough.
fn unfit(error: &serde_json::Error) -> Error {
    const MOST: usize = 200;
    let mut said = error.to_string();
    if let Some((end, _)) = said.char_indices().nth(MOST) {
        said.truncate(end);
        said.push('…');
    }
    Error::Body(format!("the JSON does not fit: {said}"))
}

/// One picture, or several, as JSON.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the body, which is read by `read`")]
pub(super) enum PictureJson {
    /// One picture as base64.
    Image(ImageJson),
    /// One picture by its URL, where the server's settings allow that.
    Url(UrlJson),
    /// Several pictures, answered as a form is.
    Several(ImagesJson),
}

/// A picture as base64.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body")]
pub(super) struct ImageJson {
    /// The picture's bytes as base64, alone or as a data URL.
    #[schema(
        min_length = 1,
        example = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4UaEBRAwQCgAp7gWhZAhhBwAAAABJRU5ErkJggg=="
    )]
    image: String,
}

/// A picture by its URL.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body")]
pub(super) struct UrlJson {
    /// Where the picture is.
    #[schema(example = "https://example.com/beach.jpg")]
    url: String,
}

/// Several pictures.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body")]
pub(super) struct ImagesJson {
    /// The pictures, in the answer's order.
    images: Vec<NamedPictureJson>,
}

/// One of several pictures: `image` or `url`, not both.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the body")]
pub(super) enum NamedPictureJson {
    /// As base64.
    Image(NamedImageJson),
    /// By its URL, where the server's settings allow that.
    Url(NamedUrlJson),
}

/// One of several pictures, as base64.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body")]
pub(super) struct NamedImageJson {
    /// The picture's bytes as base64, alone or as a data URL.
    #[schema(
        min_length = 1,
        example = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR42mM4UaEBRAwQCgAp7gWhZAhhBwAAAABJRU5ErkJggg=="
    )]
    image: String,
    /// What its result is called; `images[0]` and so on without it.
    #[schema(example = "beach.jpg")]
    name: Option<String>,
}

/// One of several pictures, by its URL.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes the body")]
pub(super) struct NamedUrlJson {
    /// Where the picture is.
    #[schema(example = "https://example.com/beach.jpg")]
    url: String,
    /// What its result is called; `images[0]` and so on without it.
    #[schema(example = "beach.jpg")]
    name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(text: &str) -> String {
        let reading = Reading { max_body: 1000, max_pictures: 2, fetcher: None, deadline: None, model: "scenes" };
        match read(text.as_bytes(), &reading).await {
            Ok(Body::Picture(bytes)) => format!("one: {}", String::from_utf8_lossy(&bytes)),
            Ok(Body::Several(pictures)) => pictures
                .into_iter()
                .map(|(name, bytes)| match bytes {
                    Ok(bytes) => format!("{name}: {}; ", String::from_utf8_lossy(&bytes)),
                    Err(error) => format!("{name}: {error}; "),
                })
                .collect(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn base64_is_taken_alone_in_a_data_url_and_without_padding() {
        for image in ["cGljdHVyZQ==", "cGljdHVyZQ", "data:image/png;base64,cGljdHVyZQ==", " cGljdHVyZQ==\\n"] {
            assert_eq!(said(&format!(r#"{{"image": "{image}"}}"#)).await, "one: picture", "{image}");
        }
        assert!(said(r#"{"image": "not base64!"}"#).await.contains("image is not base64"));
        assert!(said(r#"{"image": "data:image/svg+xml,<svg/>"}"#).await.contains("data URL"));
    }

    #[tokio::test]
    async fn several_pictures_keep_their_names_and_their_failures() {
        let text = r#"{"images": [{"image": "YQ==", "name": "a.jpg"}, {"url": "https://example.com/b.jpg"}]}"#;
        let said = said(text).await;
        assert!(said.starts_with("a.jpg: a; images[1]: pictures are not fetched by URL here"), "{said}");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_said_with_its_place() {
        for (text, expected) in [
            ("{}", "names no picture"),
            (r#"{"image": "YQ==", "url": "x"}"#, "both image and url"),
            (r#"{"image": "YQ==", "images": []}"#, "images together with image"),
            (r#"{"images": []}"#, "no picture"),
            (r#"{"images": [{"image": "YQ=="}, {"name": "b"}]}"#, "images[1] needs image"),
            (r#"{"images": [{"image": ""}, {"image": ""}, {"image": ""}]}"#, "more than 2 pictures"),
            (r#"{"picture": "YQ=="}"#, "unknown field `picture`"),
            (r#"{"images": [{"image": "YQ==", "file": "a"}]}"#, "unknown field `file`"),
            (r#"{"image": 3}"#, "line 1 column 11"),
            (r#"["YQ==", null, null]"#, "expected an object"),
            (r#"{"images": [["YQ==", null, null]]}"#, "expected an object"),
            ("[", "line 1"),
            ("", "line 1"),
        ] {
            let said = said(text).await;
            assert!(said.contains(expected), "{text}: {said}");
        }
        let long = said(&format!(r#"{{"images": "{}"}}"#, "a".repeat(10_000))).await;
        assert!(long.len() < 400, "{long}");
    }
}
