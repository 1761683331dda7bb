//! `/v1/admin`: changing what is loaded and what answers, while the server runs.
//!
//! Each answer comes when the change is done, and shows the model as it is then.

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    App,
    form::read_json,
    model_views::{ModelDetail, ShadowView, detail, version_of},
    parameters::Parameters,
};
use crate::{
    error::Error,
    serve::models::{Changed, ShadowChoice},
};

/// A model after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangedModel {
    /// What went less well than it might.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "requests still hold version 1; its memory is freed when they end")]
    note: Option<String>,
    /// The model as it is now.
    model: ModelDetail,
}

/// A look through the repository is done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rescanned {
    /// Versions that take pictures now, as `name/version`.
    #[schema(example = json!(["faces/1", "scenes/2"]))]
    ready: Vec<String>,
}

/// Load a version
///
/// Opens and checks it; it then takes pictures under its own address, and stays in memory until it is unloaded. A version
/// that is loaded already stays as it is.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/versions/{version}/load", operation_id = "load_version", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes"), ("version" = String, Path, description = "The version: a whole number from 1.", example = "1")),
    responses((status = 200, description = "It is loaded.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn load(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    let version = version_of(&name, &version)?;
    changed(&app, &name, app.pipeline.models.load(name.clone(), version).await?)
}

/// Unload a version
///
/// It takes no further picture; its memory is freed once the pictures that it has are answered.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/versions/{version}/unload", operation_id = "unload_version", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes"), ("version" = String, Path, description = "The version: a whole number from 1.", example = "1")),
    responses((status = 200, description = "It is unloaded.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn unload(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    let version = version_of(&name, &version)?;
    changed(&app, &name, app.pipeline.models.unload(name.clone(), Some(version)).await?)
}

/// Unload a model
///
/// Every version of it.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/unload", operation_id = "unload_model", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "It is unloaded.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn unload_model(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    changed(&app, &name, app.pipeline.models.unload(name.clone(), None).await?)
}

/// Promote a version
///
/// It answers from now on where a request names no version. It is loaded first if need be; requests that have begun are
/// finished by the version that they began with, which stays loaded.
///
/// Written to `serving.toml`, and holds after a restart, where the models folder is local and can be written; else `note` says
/// that it holds on this server until it stops.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/versions/{version}/promote", operation_id = "promote_version", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes"), ("version" = String, Path, description = "The version: a whole number from 1.", example = "1")),
    responses((status = 200, description = "It answers.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn promote(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    let version = version_of(&name, &version)?;
    changed(&app, &name, app.pipeline.models.promote(name.clone(), Some(version)).await?)
}

/// Follow the newest version
///
/// Ends a promotion: the newest version that is ready answers, as for a model that nobody promoted a version of.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/follow-newest", operation_id = "follow_newest", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The newest answers.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn follow_newest(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    changed(&app, &name, app.pipeline.models.promote(name.clone(), None).await?)
}

/// Roll back the last promotion
///
/// What answered before it answers again. The last ten promotions can be rolled back one by one. Of several that are asked for
/// at once, one goes back; the others, which find another default than when they came, change nothing and are a 409.
#[utoipa::path(
    post, path = "/v1/admin/models/{name}/rollback", operation_id = "roll_back", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The earlier version answers.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn roll_back(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    changed(&app, &name, app.pipeline.models.roll_back(name.clone()).await?)
}

/// Put a version on trial
///
/// It sees a share of the pictures that the default version answers, after all others and never in a client's way.
/// `GET /v1/models/{name}/versions/{version}/shadow` tells how its outputs differ.
///
/// Written to `serving.toml`, and holds after a restart, where the models folder is local and can be written; else `note` says
/// that it holds on this server until it stops.
#[utoipa::path(
    put, path = "/v1/admin/models/{name}/shadow", operation_id = "set_shadow", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    request_body(content = ShadowView, example = json!({"version": "2", "share": 0.1})),
    responses((status = 200, description = "It is on trial.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn set_shadow(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
    request: Request,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    let shadow: ShadowView = read_json(request, app.settings.max_body).await?;
    if !(shadow.share > 0.0 && shadow.share <= 1.0) {
        return Err(Error::Body(format!("share {} is not above 0 and at most 1", shadow.share)));
    }
    let choice = ShadowChoice { version: version_of(&name, &shadow.version)?, share: shadow.share };
    changed(&app, &name, app.pipeline.models.set_shadow(name.clone(), Some(choice)).await?)
}

/// End a trial
#[utoipa::path(
    delete, path = "/v1/admin/models/{name}/shadow", operation_id = "end_shadow", tag = "admin",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "No version is on trial.", body = ChangedModel, example = json!(example()))),
)]
pub(super) async fn end_shadow(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Json<ChangedModel>, Error> {
    parameters.none()?;
    changed(&app, &name, app.pipeline.models.set_shadow(name.clone(), None).await?)
}

/// Look through the repository
///
/// Loads new versions that are wanted, tries refused ones again, and unloads those that are gone.
#[utoipa::path(
    post, path = "/v1/admin/rescan", operation_id = "rescan", tag = "admin",
    responses((status = 200, description = "It is done.", body = Rescanned, example = json!({"ready": ["faces/1", "scenes/2"]}))),
)]
pub(super) async fn rescan(State(app): State<App>, parameters: Parameters) -> Result<Json<Rescanned>, Error> {
    parameters.none()?;
    app.pipeline.models.rescan().await?;
    let catalog = app.pipeline.models.catalog();
    Ok(Json(Rescanned { ready: catalog.served().map(|model| format!("{}/{}", model.name, model.version)).collect() }))
}

fn changed(app: &App, name: &str, changed: Changed) -> Result<Json<ChangedModel>, Error> {
    Ok(Json(ChangedModel { note: changed.note, model: detail(app, name, None)? }))
}

/// A model after a change, for the OpenAPI document.
fn example() -> serde_json::Value {
    let ready = serde_json::json!({"version": "2", "state": "ready", "task": "multi_label",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"});
    serde_json::json!({"model": {"name": "scenes", "version": "2", "state": "ready", "task": "multi_label",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "versions": [ready, {"version": "1", "state": "unloaded"}],
        "labels": [{"name": "beach", "threshold": 0.41, "thresholds": {"balanced": 0.41}, "train_count": 300, "valid_count": 60}],
        "input": {"width": 224, "height": 224, "resize": "squish"},
        "metrics": {"fp32": {"map": 0.912}}, "architecture": "mobilenet_v2", "created": "2026-05-04T12:00:00Z",
        "provenance": {"tool": "tagpoint-train 0.1.0", "train_pictures": 1225, "valid_pictures": 293}}})
}
