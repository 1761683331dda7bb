//! `GET /v1/models` and what lies below it.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{App, parameters::Parameters};
use crate::{
    error::Error,
    model::{Digest, Manifest, ModelVersion, Provenance, Task},
    picture::ResizeMethod,
    serve::{
        models::{Entry, State as LoadState},
        shadow::ReportView,
        thresholds::InForce,
    },
};

/// Every model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// The models, by name.
    models: Vec<ModelSummary>,
}

/// A model and its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelSummary {
    /// Its name.
    #[schema(example = "scenes")]
    name: String,
    /// The version that answers where a request names none.
    #[serde(flatten)]
    default: VersionSummary,
    /// Every version in the repository, the newest first.
    versions: Vec<VersionSummary>,
    /// The version on trial: it sees a share of the pictures and never answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowView>,
}

/// A version's state.
#[derive(Debug, Serialize, ToSchema)]
struct VersionSummary {
    /// The version.
    #[schema(example = "1")]
    version: String,
    /// Whether it takes pictures.
    state: StateName,
    /// Why it was refused, does not work, or is not loaded yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// SHA-256 of the model file, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskName>)]
    task: Option<String>,
    /// Whether golden samples proved that it answers here as it did when it was made; false where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = true)]
    checked: Option<bool>,
    /// What it computes with, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PrecisionName>, example = "int8")]
    precision: Option<String>,
    /// Why it computes with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "a picture takes 5.9 ms in int8 and 21.1 ms in fp32 here")]
    precision_reason: Option<String>,
}

/// What a model answers.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the task, which is written as the manifest names it")]
pub(super) enum TaskName {
    MultiLabel,
    SingleLabel,
    Points,
    Values,
}

/// What a version computes with: float32, or integers of 8 bits.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the precision, which is written as manifests name it")]
enum PrecisionName {
    Fp32,
    Int8,
}

/// How a picture comes into the frame: `squish` changes the aspect ratio, `crop` takes the centre, `pad` adds black.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the method, which is written as the manifest names it")]
enum ResizeName {
    Squish,
    Crop,
    Pad,
}

/// A version on trial.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowView {
    /// The version.
    #[schema(example = "2")]
    pub(super) version: String,
    /// The share of pictures that it sees, above 0 and at most 1.
    #[schema(exclusive_minimum = 0, maximum = 1, example = 0.1)]
    pub(super) share: f64,
}

/// Whether a version takes pictures. `failing` is ready, but its device no longer gives right answers.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StateName {
    Unloaded,
    Loading,
    Ready,
    Failing,
    Refused,
    Unloading,
}

/// A model's version in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelDetail {
    #[serde(flatten)]
    summary: ModelSummary,
    #[serde(flatten)]
    about: About,
}

/// What a ready model's manifest says; nothing of it of a model that is not ready.
#[derive(Debug, Default, Serialize, ToSchema)]
struct About {
    /// The revision of the thresholds, where they are not the model file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    thresholds_revision: Option<i64>,
    /// Its labels, where its task has labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelView>,
    /// Its points' or values' names, where its task has those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    /// What it sees of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<InputView>,
    /// Validation metrics by precision and name: `METRIC`, `METRIC/LABEL`, and `METRIC@POINT/LABEL` at another operating point
    /// than the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<BTreeMap<String, BTreeMap<String, f64>>>,
    /// Its architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mobilenet_v2")]
    architecture: Option<String>,
    /// When it was written, in RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-05-04T12:00:00Z")]
    created: Option<String>,
    /// What it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<ProvenanceView>,
}

/// What a model was made from.
#[derive(Debug, Serialize, ToSchema)]
struct ProvenanceView {
    /// The program that wrote it.
    #[schema(example = "tagpoint-train 0.1.0")]
    tool: String,
    /// SHA-256 over the data set: file names, targets, split and file contents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha256:2a77a956931607b92b11e0e19dea2061bc72dfe21208bcaa0d61b19f114b2f93")]
    data: Option<String>,
    /// SHA-256 of the weight file that training started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha256:4bea3afbdae668e959a65c090014600198f4bdae7df215b271caf4bc928442ac")]
    base_weights: Option<String>,
    /// Pictures that it was trained on.
    #[schema(example = 1225)]
    train_pictures: u64,
    /// Pictures that it was validated on.
    #[schema(example = 293)]
    valid_pictures: u64,
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
    /// The thresholds by operating point; none for a single-label model.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"balanced": 0.41, "precise": 0.78}))]
    thresholds: BTreeMap<String, f32>,
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
    #[schema(value_type = ResizeName, example = "squish")]
    resize: ResizeMethod,
}

/// List the models
///
/// Every model of the repository with its versions, whether they are served or not.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "list_models",
    tag = "models",
    responses((status = 200, description = "The models, by name.", body = ModelList, example = json!({"models": [
        {"name": "faces", "version": "2", "state": "refused",
         "reason": "golden check failed: golden sample 0, output 3: 0.2 here, 0.7 when the model was made (difference 5.00e-1, tolerance 1e-3)",
         "versions": [{"version": "2", "state": "refused",
          "reason": "golden check failed: golden sample 0, output 3: 0.2 here, 0.7 when the model was made (difference 5.00e-1, tolerance 1e-3)"}]},
        {"name": "scenes", "version": "1", "state": "ready",
         "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label", "checked": true,
          "precision": "fp32", "precision_reason": "it has no INT8 file",
         "versions": [{"version": "2", "state": "unloaded"}, {"version": "1", "state": "ready",
          "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label", "checked": true,
          "precision": "fp32", "precision_reason": "it has no INT8 file"}]}]})))
)]
pub(super) async fn list_models(State(app): State<App>, parameters: Parameters) -> Result<Json<ModelList>, Error> {
    parameters.none()?;
    let catalog = app.pipeline.models.catalog();
    Ok(Json(ModelList {
        models: catalog.models.iter().filter_map(|(name, entry)| summary(name, entry, None)).collect(),
    }))
}

/// Describe a model
///
/// Its versions and, once the one that answers is ready, its labels with their thresholds or its points, its input and
/// its metrics.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    operation_id = "get_model",
    tag = "models",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The model.", body = ModelDetail, example = json!({
        "name": "scenes", "version": "1", "state": "ready",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label", "checked": true,
          "precision": "fp32", "precision_reason": "it has no INT8 file",
        "versions": [{"version": "1", "state": "ready",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label", "checked": true,
            "precision": "fp32", "precision_reason": "it has no INT8 file"}],
        "labels": [{"name": "beach", "threshold": 0.41, "thresholds": {"balanced": 0.41}, "train_count": 300, "valid_count": 60}],
        "input": {"width": 224, "height": 224, "resize": "squish"},
        "metrics": {"fp32": {"map": 0.912}}, "architecture": "mobilenet_v2", "created": "2026-05-04T12:00:00Z",
        "provenance": {"tool": "tagpoint-train 0.1.0", "train_pictures": 1225, "valid_pictures": 293}})))
)]
pub(super) async fn get_model(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ModelDetail>, Error> {
    parameters.none()?;
    detail(&app, &name, None).map(Json)
}

/// Describe a version
///
/// As `GET /v1/models/{name}`, of the version that the address names.
#[utoipa::path(
    get,
    path = "/v1/models/{name}/versions/{version}",
    operation_id = "get_model_version",
    tag = "models",
    params(("name" = String, Path, description = "The model's name.", example = "scenes"), ("version" = String, Path, description = "The version: a whole number from 1.", example = "1")),
    responses((status = 200, description = "The version.", body = ModelDetail, example = json!({
        "name": "scenes", "version": "2", "state": "unloaded",
        "versions": [{"version": "2", "state": "unloaded"}, {"version": "1", "state": "ready",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "task": "multi_label", "checked": true,
          "precision": "fp32", "precision_reason": "it has no INT8 file"}]})))
)]
pub(super) async fn get_model_version(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<ModelDetail>, Error> {
    parameters.none()?;
    detail(&app, &name, Some(version_of(&name, &version)?)).map(Json)
}

/// How the version on trial does
///
/// Its outputs beside those of the version that answers, for the pictures that both saw since it was loaded.
#[utoipa::path(
    get,
    path = "/v1/models/{name}/versions/{version}/shadow",
    operation_id = "get_shadow_report",
    tag = "models",
    params(("name" = String, Path, description = "The model's name.", example = "scenes"), ("version" = String, Path, description = "The version: a whole number from 1.", example = "1")),
    responses((status = 200, description = "The differences.", body = ReportView, example = json!({
        "against": "1", "pictures": 1042, "dropped": 3, "failed": 0,
        "outputs": {"beach": {"mean": 0.013, "max": 0.31, "disagreements": 7}}})))
)]
pub(super) async fn get_shadow_report(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<ReportView>, Error> {
    parameters.none()?;
    let model = app.pipeline.models.find(&name, Some(version_of(&name, &version)?))?;
    Ok(Json(model.shadow_report.view()))
}

/// A version as an address writes it; what is none, no model has.
pub(in crate::serve) fn version_of(name: &str, text: &str) -> Result<ModelVersion, Error> {
    text.parse().map_err(|_| Error::unknown_version(name, text))
}

/// A model as it is now, with what the manifest of one of its versions says: the one that answers, unless named.
pub(super) fn detail(app: &App, name: &str, version: Option<ModelVersion>) -> Result<ModelDetail, Error> {
    let catalog = app.pipeline.models.catalog();
    let entry = catalog.entry(name)?;
    if let Some(version) = version
        && !entry.versions.contains_key(&version)
    {
        return Err(Error::unknown_version(name, version));
    }
    let about = match version.or_else(|| entry.default_version()).and_then(|version| entry.versions.get(&version)) {
        Some(LoadState::Ready(model)) => about(&model.manifest, &model.thresholds.in_force()),
        _ => About::default(),
    };
    let summary = summary(name, entry, version).ok_or_else(|| Error::UnknownModel(name.to_owned()))?;
    Ok(ModelDetail { summary, about })
}

/// None for a model without any version, which is about to be forgotten.
fn summary(name: &str, entry: &Entry, version: Option<ModelVersion>) -> Option<ModelSummary> {
    let shown = version.or_else(|| entry.default_version())?;
    let of = |(version, state): (&ModelVersion, &LoadState)| version_summary(*version, state);
    let missing = || version_summary(shown, &LoadState::Refused("it is promoted but is not there".to_owned()));
    Some(ModelSummary {
        name: name.to_owned(),
        default: entry.versions.get_key_value(&shown).map_or_else(missing, of),
        versions: entry.versions.iter().rev().map(of).collect(),
        shadow: entry
            .choice
            .shadow
            .map(|shadow| ShadowView { version: shadow.version.to_string(), share: shadow.share }),
    })
}

fn version_summary(version: ModelVersion, state: &LoadState) -> VersionSummary {
    let (name, reason, model) = match state {
        LoadState::Unloaded => (StateName::Unloaded, None, None),
        LoadState::Loading => (StateName::Loading, None, None),
        LoadState::Delayed(reason) => (StateName::Loading, Some(reason.clone()), None),
        LoadState::Unloading => (StateName::Unloading, None, None),
        LoadState::Refused(reason) => (StateName::Refused, Some(reason.clone()), None),
        LoadState::Ready(model) => match model.health.ailment() {
            Some(reason) => (StateName::Failing, Some(reason), Some(model)),
            None => (StateName::Ready, None, Some(model)),
        },
    };
    VersionSummary {
        version: version.to_string(),
        state: name,
        reason,
        digest: model.map(|model| format!("sha256:{}", model.digest)),
        task: model.map(|model| model.manifest.task.kind().to_owned()),
        checked: model.map(|model| model.checked),
        precision: model.map(|model| model.precision.to_string()),
        precision_reason: model.map(|model| model.precision_reason.clone()),
    }
}

fn about(manifest: &Manifest, in_force: &InForce) -> About {
    let names = match &manifest.task {
        Task::MultiLabel { .. } | Task::SingleLabel { .. } => Vec::new(),
        Task::Points(points) => points.names.clone(),
        Task::Values(values) => values.names.clone(),
    };
    let has_thresholds = matches!(manifest.task, Task::MultiLabel { .. });
    let rule = manifest.input.resize;
    About {
        thresholds_revision: Some(in_force.revision).filter(|revision| *revision > 0),
        labels: in_force
            .task
            .labels()
            .iter()
            .map(|label| LabelView {
                name: label.name.clone(),
                threshold: has_thresholds.then(|| label.threshold()),
                thresholds: label.thresholds.clone(),
                train_count: label.train_count,
                valid_count: label.valid_count,
            })
            .collect(),
        names,
        input: Some(InputView { width: rule.size.width, height: rule.size.height, resize: rule.method }),
        metrics: Some(manifest.metrics.clone()),
        architecture: Some(manifest.provenance.architecture.clone()),
        created: Some(manifest.provenance.created.clone()),
        provenance: Some(provenance(&manifest.provenance)),
    }
}

fn provenance(made: &Provenance) -> ProvenanceView {
    let named = |digest: &Option<Digest>| digest.as_ref().map(|digest| format!("sha256:{digest}"));
    ProvenanceView {
        tool: made.tool.clone(),
        data: named(&made.data),
        base_weights: named(&made.base_weights),
        train_pictures: made.train_pictures,
        valid_pictures: made.valid_pictures,
    }
}
