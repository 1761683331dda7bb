//! `annotated=png`: the picture with its answer drawn into it.

use std::{sync::Arc, time::Instant};

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use tracing::Span;

use super::{App, parameters::Asked, prediction::answer_picture};
use crate::{error::Error, serve::models::ServedModel};

/// Answers one picture with a PNG.
///
/// # Errors
/// As for an answer in JSON.
pub(super) async fn answer(
    app: &App,
    model: &Arc<ServedModel>,
    bytes: Bytes,
    asked: &Asked,
    started: Instant,
) -> Result<Response, Error> {
    let answer = answer_picture(app, model, bytes.clone(), asked, started).await?;
    answer.record(&Span::current());
    let timing = answer.timings_ms.server_timing();
    let png = app.pipeline.decoder.annotate(bytes, answer.answer).await?;
    let mut response = png.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    if let Ok(value) = HeaderValue::from_str(&timing) {
        response.headers_mut().insert("server-timing", value);
    }
    Ok(response)
}
