//! `GET /v1/models` and `GET /v1/models/{name}`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, parameters::Parameters};
use crate::{
    error::Error,
    model::{Manifest, Task},
    picture::ResizeMethod,
    serve::models::{Entry, ServedModel, State as LoadState},
};

/// Every model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// The models, by name.
    models: Vec<ModelSummary>,
}

/// A model's state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelSummary {
    /// Its name.
    #[schema(example = "scenes")]
    name: String,
    /// Its highest version, the one that is served.
    #[schema(example = "1")]
    version: String,
    /// Whether it takes pictures.
    state: StateName,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// SHA-256 of the model file, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// `multi_label`, `single_label`, `points` or `values`, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "multi_label")]
    task: Option<String>,
}

/// Whether a model takes pictures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateName {
    Loading,
    Ready,
    Refused,
}

/// A model in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelDetail {
    #[serde(flatten)]
    summary: ModelSummary,
    #[serde(flatten)]
    about: Option<About>,
}

/// What a ready model's manifest says.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    /// Its labels, where its task has labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelView>,
    /// Its points' or values' names, where its task has those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    /// What it sees of a picture.
    input: InputView,
    /// Validation metrics by precision and name.
    metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// Its architecture.
    #[schema(example = "mobilenet_v2")]
    architecture: String,
    /// When it was written, in RFC 3339, UTC.
    #[schema(example = "2026-05-04T12:00:00Z")]
    created: String,
}

/// One label.
#[derive(Debug, Serialize, ToSchema)]
struct LabelView {
    /// Its name.
    #[schema(example = "beach")]
    name: String,
    /// The score that it has to reach; none for a single-label model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.41)]
    threshold: Option<f32>,
    /// Positive examples that it was trained on.
    train_count: u64,
    /// Positive examples that it was validated on.
    valid_count: u64,
}

/// The model's frame, in pixels, and how a picture comes to it.
#[derive(Debug, Serialize, ToSchema)]
struct InputView {
    #[schema(example = 224)]
    width: u32,
    #[schema(example = 224)]
    height: u32,
    /// `squish` changes the aspect ratio, `crop` takes the centre, `pad` adds black.
    #[schema(value_type = String, example = "squish")]
    resize: ResizeMethod,
}

/// List the models
///
/// Every model of the models folder by its highest version, whether it is served or not.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "models",
    responses((status = 200, description = "The models, by name.", body = ModelList, example = json!({"models": [
        {"name": "faces", "version": "2", "state": "refused",
         "reason": "golden check failed: golden sample 0, output 3: 0.2 here, 0.7 when the model was made (difference 5.00e-1, tolerance 1e-3)"},
        {"name": "scenes", "version": "1", "state": "ready",
         "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label"}]})))
)]
pub(super) async fn list_models(State(app): State<App>, parameters: Parameters) -> Result<Json<ModelList>, Error> {
    parameters.none()?;
    let status = app.models.status();
    Ok(Json(ModelList { models: status.models.iter().map(|(name, entry)| summary(name, entry)).collect() }))
}

/// Describe a model
///
/// Its state and, once it is ready, its labels with their thresholds or its points, its input and its metrics.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    operation_id = "get_model",
    tag = "models",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The model.", body = ModelDetail, example = json!({
        "name": "scenes", "version": "1", "state": "ready",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label",
        "labels": [{"name": "beach", "threshold": 0.41, "train_count": 300, "valid_count": 60}],
        "input": {"width": 224, "height": 224, "resize": "squish"},
        "metrics": {"fp32": {"map": 0.912}}, "architecture": "mobilenet_v2", "created": "2026-05-04T12:00:00Z"})))
)]
pub(super) async fn get_model(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ModelDetail>, Error> {
    parameters.none()?;
    let status = app.models.status();
    let entry = status.entry(&name)?;
    let about = match &entry.state {
        LoadState::Ready(model) => Some(about(&model.manifest)),
        LoadState::Loading | LoadState::Refused(_) => None,
    };
    Ok(Json(ModelDetail { summary: summary(&name, entry), about }))
}

pub(super) fn summary(name: &str, entry: &Entry) -> ModelSummary {
    let ready = |model: &ServedModel| (format!("sha256:{}", model.digest), model.manifest.task.kind().to_owned());
    let (state, reason, facts) = match &entry.state {
        LoadState::Loading => (StateName::Loading, None, None),
        LoadState::Refused(reason) => (StateName::Refused, Some(reason.clone()), None),
        LoadState::Ready(model) => (StateName::Ready, None, Some(ready(model))),
    };
    let (digest, task) = facts.unzip();
    ModelSummary { name: name.to_owned(), version: entry.version.to_string(), state, reason, digest, task }
}

fn about(manifest: &Manifest) -> About {
    let (labels, names) = match &manifest.task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => (labels.as_slice(), Vec::new()),
        Task::Points(points) => (&[][..], points.names.clone()),
        Task::Values(values) => (&[][..], values.names.clone()),
    };
    let has_thresholds = matches!(manifest.task, Task::MultiLabel { .. });
    let rule = manifest.input.resize;
    About {
        labels: labels
            .iter()
            .map(|label| LabelView {
                name: label.name.clone(),
                threshold: has_thresholds.then(|| label.threshold()),
                train_count: label.train_count,
                valid_count: label.valid_count,
            })
            .collect(),
        names,
        input: InputView { width: rule.size.width, height: rule.size.height, resize: rule.method },
        metrics: manifest.metrics.clone(),
        architecture: manifest.provenance.architecture.clone(),
        created: manifest.provenance.created.clone(),
    }
}
