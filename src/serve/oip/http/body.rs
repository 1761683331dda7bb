//! Reading a request's body.

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, header};

use super::super::wrong;
use crate::{error::Error, serve::http::form::read_whole};

/// The whole body, expanded if it was compressed; `max_body` is for the message, the limit itself is the router's.
///
/// # Errors
/// A body that breaks off, is too large once expanded, or is compressed otherwise than gzip or deflate.
pub(super) async fn read(request: Request, max_body: usize) -> Result<Bytes, Error> {
    // The decompression takes away the header of what it understands.
    if let Some(encoding) = request.headers().get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(Error::Unsupported(format!("content-encoding {encoding:?}: gzip and deflate are understood")));
    }
    read_whole(request, max_body).await
}

/// The bytes of the body's JSON, where the request says so.
///
/// # Errors
/// A header that is no number.
pub(super) fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Error> {
    let Some(value) = headers.get(super::HEADER_LENGTH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    let not_a_number = || wrong(format!("{}: {value:?} is not a whole number", super::HEADER_LENGTH));
    number.map(Some).ok_or_else(not_a_number)
}
