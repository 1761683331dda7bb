//! `/v1/predictions/{id}/feedback`: people correct answers.

use std::time::{Duration, SystemTime};

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, access::Key, form::read_json, parameters::Parameters};
use crate::{error::Error, feedback::Truth, store::feedback::PredictedBy};

/// How long an answer may take to become a row, so that a correction right after it finds one.
const SETTLING: Duration = Duration::from_secs(3);

/// A correction that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GivenFeedback {
    /// The prediction.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    prediction_id: String,
    /// The model that made it.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// What is right.
    truth: Truth,
}

/// Say what is right
///
/// The right labels, points or values of a picture whose answer had a `prediction_id`. A later correction takes the place of
/// an earlier one. Corrected predictions are kept for longer than `record_days`: thresholds are fitted on them, and
/// `tagpoint feedback export` makes a data set of them.
#[utoipa::path(
    post, path = "/v1/predictions/{id}/feedback", operation_id = "give_feedback", tag = "feedback",
    params(("id" = String, Path, description = "The answer's `prediction_id`.", example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")),
    request_body(content = Truth, example = json!({"labels": ["cat", "person"]})),
    responses((status = 200, description = "It was taken.", body = GivenFeedback, example = json!({
        "prediction_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "model": "scenes", "version": "1",
        "truth": {"labels": ["cat", "person"]}}))),
)]
pub(super) async fn give_feedback(
    State(app): State<App>,
    Path(id): Path<String>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
    request: Request,
) -> Result<Json<GivenFeedback>, Error> {
    parameters.none()?;
    let store = app.store()?;
    let truth: Truth = read_json(request, app.settings.max_body).await?;
    let (id, by) = predicted_by(&app, &id).await?;
    let task = serde_json::from_str(&by.task).map_err(Error::internal)?;
    truth.check(&task).map_err(Error::Body)?;
    let text = serde_json::to_string(&truth).map_err(Error::internal)?;
    let author = key.map(|Extension(key)| key.name);
    store.add_feedback(&id, author.as_deref(), &text).await.map_err(Error::Database)?;
    Ok(Json(GivenFeedback { prediction_id: id, model: by.model, version: by.version.to_string(), truth }))
}

/// The model behind a prediction, and the prediction's id as the database spells it. An answer of a moment ago may not be
/// written yet: it is waited for.
pub(super) async fn predicted_by(app: &App, id: &str) -> Result<(String, PredictedBy), Error> {
    let unknown = || Error::UnknownPrediction(id.to_owned());
    let parsed = Uuid::try_parse(id).map_err(|_| unknown())?;
    let mut patience = SETTLING.saturating_sub(age(parsed).ok_or_else(unknown)?);
    let spelled = parsed.to_string();
    loop {
        if let Some(found) = app.store()?.predicted_by(&spelled).await.map_err(Error::Database)? {
            return Ok((spelled, found));
        }
        if patience.is_zero() {
            return Err(unknown());
        }
        let pause = patience.min(Duration::from_millis(100));
        tokio::time::sleep(pause).await;
        patience -= pause;
    }
}

/// How long ago an id was made; none for what is no id of ours.
fn age(id: Uuid) -> Option<Duration> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    let made = SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))?;
    // A clock that was set back makes an id young.
    Some(SystemTime::now().duration_since(made).unwrap_or_default())
}
