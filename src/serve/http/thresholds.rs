//! `/v1/admin/models/{name}/thresholds`: how many corrections there are, new thresholds from them, and the way back.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, access::Key, parameters::Parameters};
use crate::{
    error::Error,
    feedback::{CorrectedLabel, Corrections, FeedbackError, Refit, corrections, refit},
    thresholds::{OperatingPoint, RefittedLabel},
};

/// What there is to fit thresholds on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CorrectionCounts {
    /// The model.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// Corrected pictures of this version.
    #[schema(example = 12)]
    pictures: usize,
    /// Each label, in the model's order; none for a model without thresholds.
    labels: Vec<CorrectedLabel>,
}

/// Thresholds that were fitted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefittedThresholds {
    /// The model.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// The revision that holds from now on; none for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    thresholds_revision: Option<i64>,
    /// Corrected pictures that they were fitted on.
    #[schema(example = 143)]
    pictures: usize,
    /// Each label, in the model's order.
    labels: Vec<RefittedLabel>,
}

/// Thresholds that hold again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolledBackThresholds {
    /// The model.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// The revision that holds from now on; 0 for the model file's own thresholds.
    #[schema(example = 2)]
    thresholds_revision: i64,
}

/// Count corrections
///
/// How many corrected pictures of a version have each label and how many do not, and how many of either kind are missing
/// before its thresholds can be fitted anew.
#[utoipa::path(
    get, path = "/v1/admin/models/{name}/thresholds/corrections", operation_id = "get_corrections", tag = "feedback",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("version" = Option<String>, Query, description = "Its version; the one that answers unless given.", example = "1"),
    ),
    responses((status = 200, description = "The counts.", body = CorrectionCounts, example = json!({
        "model": "scenes", "version": "1", "pictures": 12, "labels": [{"label": "cat", "positives": 2, "negatives": 10,
            "missing_positives": 3, "missing_negatives": 0}]}))),
)]
pub(super) async fn get_corrections(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<CorrectionCounts>, Error> {
    let version = parameters.version_only()?;
    let store = app.store()?;
    let model = app.find(&name, version.as_deref())?;
    let row = model.as_row().map_err(Error::internal)?;
    let Corrections { pictures, labels } = corrections(store, &row).await.map_err(Error::Database)?;
    Ok(Json(CorrectionCounts { model: name, version: model.version.to_string(), pictures, labels }))
}

/// Fit thresholds on corrections
///
/// From the corrected predictions of a version: for each label with five pictures that have it and five that do not, new
/// thresholds of the operating points `balanced`, `precise` and `sensitive`, with 95 % intervals (bootstrap). They hold as a new
/// revision, which answers name; the model file stays as it is. Every server on the database takes them within two seconds.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/thresholds/refit", operation_id = "refit_thresholds", tag = "feedback",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("version" = Option<String>, Query, description = "Its version; the one that answers unless given.", example = "1"),
        ("dry_run" = Option<bool>, Query, description = "Only show what would be.", example = true),
    ),
    responses((status = 200, description = "They hold.", body = RefittedThresholds, example = json!({
        "model": "scenes", "version": "1", "thresholds_revision": 3, "pictures": 143,
        "labels": [{"label": "cat", "positives": 42, "negatives": 101,
            "thresholds": {"balanced": {"threshold": 0.37, "low": 0.31, "high": 0.45}}}]}))),
)]
pub(super) async fn refit_thresholds(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
) -> Result<Json<RefittedThresholds>, Error> {
    let (version, dry_run) = parameters.refit()?;
    let store = app.store()?;
    let model = app.find(&name, version.as_deref())?;
    let row = model.as_row().map_err(Error::internal)?;
    let author = key.map(|Extension(key)| key.name);
    // Hundreds of samples are drawn of every label's corrections: not on a thread that others wait for.
    let (runtime, fitting) = (tokio::runtime::Handle::current(), store.clone());
    let work = move || {
        let points = OperatingPoint::standard();
        runtime.block_on(refit(&fitting, &row, &points, !dry_run, author.as_deref()))
    };
    let fitted = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    let Refit { revision, pictures, labels } = fitted.map_err(refused)?;
    app.follow_thresholds(store).await;
    let version = model.version.to_string();
    Ok(Json(RefittedThresholds { model: name, version, thresholds_revision: revision, pictures, labels }))
}

/// Roll back the last refit
///
/// What held before the revision that holds now. Revisions can be rolled back one by one, down to the model file's own
/// thresholds.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/thresholds/rollback", operation_id = "roll_back_thresholds", tag = "feedback",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("version" = Option<String>, Query, description = "Its version; the one that answers unless given.", example = "1"),
    ),
    responses((status = 200, description = "The earlier thresholds hold.", body = RolledBackThresholds, example = json!({
        "model": "scenes", "version": "1", "thresholds_revision": 2}))),
)]
pub(super) async fn roll_back_thresholds(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<RolledBackThresholds>, Error> {
    let version = parameters.version_only()?;
    let store = app.store()?;
    let model = app.find(&name, version.as_deref())?;
    let rolled_back = store.roll_back_thresholds(&model.digest.to_string()).await.map_err(Error::Database)?;
    let conflict = || {
        let version = model.version;
        Error::Conflict(format!("model {name:?} version {version} has the model file's own thresholds already"))
    };
    let thresholds_revision = rolled_back.ok_or_else(conflict)?;
    app.follow_thresholds(store).await;
    Ok(Json(RolledBackThresholds { model: name, version: model.version.to_string(), thresholds_revision }))
}

fn refused(error: FeedbackError) -> Error {
    match error {
        FeedbackError::Store(error) => Error::Database(error),
        other => Error::Conflict(other.to_string()),
    }
}
