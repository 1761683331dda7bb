//! `GET /v1/models/{name}/drift`: live scores beside those of validation.

use axum::{
    Json,
    extract::{Path, State},
};

use super::{App, parameters::Parameters};
use crate::{
    error::Error,
    serve::drift::{
        HOURS,
        report::{DriftReport, report},
    },
};

/// How far the pictures have drifted
///
/// For each label, how the scores of the last hours' pictures are distributed, and how those of validation were: their
/// population stability index (`psi`), and how often the label was named. Counted by this server since it loaded the version,
/// in memory. Also where there is nothing to compare the answer is a 200, whose `state` and `reason` say why.
#[utoipa::path(
    get, path = "/v1/models/{name}/drift", operation_id = "get_drift", tag = "models",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("version" = Option<String>, Query, description = "Its version; the one that answers unless given.", example = "1"),
        ("hours" = Option<u32>, Query, minimum = 1, maximum = 24, example = 24,
            description = "Pictures of the hour that runs, and of so many whole hours before it; 24 unless given."),
    ),
    responses((status = 200, description = "The distributions, and whether they were compared.", body = DriftReport, examples(
        ("compared" = (summary = "Compared", value = json!({
            "model": "scenes", "version": "2", "state": "compared", "hours": 24, "pictures": 1042, "validation_pictures": 293,
            "labels": [{"label": "cat", "psi": 0.031, "psi_by_chance": 0.029, "live_rate": 0.23, "validation_rate": 0.19,
                "bins": [{"upper": 0.5, "live": 0.76, "validation": 0.8}, {"upper": 1.0, "live": 0.24, "validation": 0.2}]}]}))),
        ("too_few_pictures" = (summary = "Too few pictures so far", value = json!({
            "model": "scenes", "version": "2", "state": "too_few_pictures", "hours": 24, "pictures": 42,
            "reason": "42 pictures were answered in this time: an index of fewer than 100 says little",
            "validation_pictures": 293,
            "labels": [{"label": "cat", "live_rate": 0.25, "validation_rate": 0.19,
                "bins": [{"upper": 0.5, "live": 0.75, "validation": 0.8}, {"upper": 1.0, "live": 0.25, "validation": 0.2}]}]}))),
        ("no_reference" = (summary = "The model file has nothing to compare with", value = json!({
            "model": "scenes", "version": "1", "state": "no_reference", "hours": 24, "pictures": 42,
            "reason": "the model file does not say how scores were distributed in validation",
            "labels": [{"label": "cat", "live_rate": 0.25,
                "bins": [{"upper": 0.5, "live": 0.75}, {"upper": 1.0, "live": 0.25}]}]}))),
        ("no_labels" = (summary = "A model of points", value = json!({
            "model": "faces", "version": "1", "state": "no_labels", "hours": 24, "pictures": 0,
            "reason": "drift is told by the scores of labels; this model answers points"}))),
    ))),
)]
pub(super) async fn get_drift(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<DriftReport>, Error> {
    let (version, hours) = parameters.drift(HOURS)?;
    let model = app.find(&name, version.as_deref())?;
    Ok(Json(report(&model, hours)))
}
