//! `/v1/predictions/{id}/picture`: the picture behind a prediction, for who corrects it.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::header;

use super::{App, feedback::predicted_by, parameters::Parameters, predict::PictureBytes};
use crate::{error::Error, picture::media_type};

/// The picture of a prediction
///
/// Its bytes as they were sent, where `record_pictures` keeps them.
#[utoipa::path(
    get, path = "/v1/predictions/{id}/picture", operation_id = "get_kept_picture", tag = "feedback",
    params(("id" = String, Path, description = "The answer's `prediction_id`.", example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")),
    responses((status = 200, description = "The picture, in the format that it was sent in.", content(
        (inline(PictureBytes) = "image/*", example = json!("the picture's bytes")),
    ))),
)]
pub(super) async fn get_kept_picture(
    State(app): State<App>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Response, Error> {
    parameters.none()?;
    let (_, by) = predicted_by(&app, &id).await?;
    let name = by.picture.ok_or(Error::NoKeptPicture("the picture of this prediction was not kept"))?;
    let place = "pictures were kept, but record_pictures no longer says where";
    let pictures = app.pictures.as_ref().ok_or(Error::NoKeptPicture(place))?;
    let found = pictures.find(&name).await.map_err(Error::PictureStore)?;
    let bytes = found.ok_or(Error::NoKeptPicture("the picture of this prediction was kept, but is gone"))?;
    let content_type = media_type(&bytes).unwrap_or("application/octet-stream");
    // Somebody's photo: for the one who asked, and not for a cache on the way.
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, bytes).into_response())
}
