//! `/v1/review`: which answers are most worth a look.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, parameters::Parameters, prediction::PictureInfo};
use crate::{
    answer::{Answer, Selection, answer},
    error::Error,
    picture::PictureSize,
    serve::thresholds::Revisions,
    store::{feedback::ReviewRow, timestamp},
};

/// The most predictions of one review.
const MOST: u32 = 200;

/// Predictions that are most worth a look.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Review {
    /// The first is the most worth it.
    predictions: Vec<ReviewItem>,
    /// The share of pictures whose answers this server remembers (`record_share`); 0 remembers none.
    #[schema(example = 0.1)]
    record_share: f64,
    /// Whether this server keeps their pictures (`record_pictures`), so that `GET /v1/predictions/{id}/picture` has them.
    #[schema(example = true)]
    record_pictures: bool,
}

/// A prediction that nobody has corrected.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReviewItem {
    /// Its id, for the correction.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    prediction_id: String,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-05-04T12:00:00Z")]
    created: String,
    /// The model that made it.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// The revision of the thresholds that hold now, where they are not the model file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    thresholds_revision: Option<i64>,
    /// The picture's size in pixels, as EXIF orients it.
    picture: PictureInfo,
    /// SHA-256 of the picture's bytes.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    picture_digest: String,
    /// Where the picture is kept, below `record_pictures`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-05-04/0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23.jpg")]
    picture_file: Option<String>,
    /// Every label with its score and the threshold that holds now, or the points or values.
    #[serde(flatten)]
    answer: Answer,
    /// 0 where the model is sure, 1 where it is not at all; models with labels only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.94)]
    uncertainty: Option<f64>,
    /// How far the nearest score was from the threshold that held when the answer was made; for a model of one label, the best
    /// from the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.02)]
    margin: Option<f64>,
    /// The version on trial that saw the picture too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2")]
    shadow_version: Option<String>,
    /// How far it disagrees: labels that one of the two alone names, plus the largest difference of a score; for points and
    /// values the mean difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1.37)]
    disagreement: Option<f64>,
}

/// What is most worth a look
///
/// Recorded predictions of a model that nobody has corrected yet.
#[utoipa::path(
    get, path = "/v1/review", operation_id = "review", tag = "feedback", params(ReviewParameters),
    responses((status = 200, description = "The predictions, the most worth a look first.", body = Review, example = json!({
        "predictions": [{"prediction_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "created": "2026-05-04T12:00:00Z",
            "model": "scenes", "version": "1", "picture": {"width": 1024, "height": 768},
            "picture_digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "labels": [{"label": "cat", "score": 0.53, "threshold": 0.55}], "uncertainty": 0.94, "margin": 0.02}],
        "record_share": 0.1, "record_pictures": true}))),
)]
pub(super) async fn review(State(app): State<App>, parameters: Parameters) -> Result<Json<Review>, Error> {
    let asked = parameters.review(MOST)?;
    let store = app.store()?;
    // The model's name is one that is known, so that a typing error is not an empty list.
    app.pipeline.models.catalog().entry(&asked.model)?;
    let version = asked.version.map(|version| i64::try_from(version.0).unwrap_or(i64::MAX));
    let rows = store.review(asked.order, &asked.model, version, i64::from(asked.limit)).await;
    let revisions = app.pipeline.models.revisions();
    let predictions = rows.map_err(Error::Database)?.into_iter().map(|row| item(row, revisions));
    Ok(Json(Review {
        predictions: predictions.collect::<Result<_, _>>()?,
        record_share: app.settings.record.share,
        record_pictures: app.pictures.is_some(),
    }))
}

fn item(row: ReviewRow, revisions: &Revisions) -> Result<ReviewItem, Error> {
    let in_force = revisions.in_force(&row.digest, serde_json::from_str(&row.task).map_err(Error::internal)?);
    let resize = serde_json::from_str(&row.resize).map_err(Error::internal)?;
    let outputs: Vec<f32> = serde_json::from_str(&row.outputs).map_err(Error::internal)?;
    let size = PictureSize {
        width: u32::try_from(row.width).unwrap_or_default(),
        height: u32::try_from(row.height).unwrap_or_default(),
    };
    let selection = Selection { all: true, ..Selection::default() };
    Ok(ReviewItem {
        prediction_id: row.id,
        created: timestamp(row.created_ms),
        model: row.model,
        version: row.version.to_string(),
        thresholds_revision: Some(in_force.revision).filter(|revision| *revision > 0),
        picture: size.into(),
        picture_digest: format!("sha256:{}", row.picture_digest),
        picture_file: row.picture,
        answer: answer(&in_force.task, &resize, size, &outputs, &selection).map_err(Error::internal)?,
        uncertainty: row.uncertainty,
        margin: row.margin,
        shadow_version: row.shadow_version.map(|version| version.to_string()),
        disagreement: row.disagreement,
    })
}

/// What a review begins with.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the parameter, which is compared as text")]
pub(super) enum ReviewOrder {
    Uncertain,
    Threshold,
    Shadow,
    Newest,
}

/// The query of a review, for the OpenAPI document; `parameters` reads it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the parameters, which are read one by one")]
struct ReviewParameters {
    /// The model.
    #[param(example = "scenes")]
    model: String,
    /// `uncertain` (the default): the least certain first; `threshold`: the nearest to a threshold that held when the answer
    /// was made; `shadow`: where a version on trial disagrees most; `newest`: as they come, which alone is a fair sample, and
    /// beside `shadow` the only order for points and values.
    #[param(example = "uncertain")]
    by: Option<ReviewOrder>,
    /// One version only.
    #[param(pattern = "^[1-9][0-9]{0,17}$", example = "1")]
    version: Option<String>,
    /// The most predictions, 50 unless given.
    #[param(minimum = 1, maximum = 200, example = 20)]
    limit: Option<u32>,
}
