//! What the protocol says about the server and its models, and the repository.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Request, State},
};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use utoipa::ToSchema;

use super::{
    super::{
        find,
        grpc::proto::{
            ModelConfig, ModelMetadataResponse, ModelStatisticsResponse, ServerLiveResponse, ServerMetadataResponse,
            ServerReadyResponse, repository_index_response::ModelIndex,
        },
        is_ready, parse_version, repository, views, wrong,
    },
    body::read,
};
use crate::{
    error::Error,
    serve::http::{App, health, object::Object},
};

/// A model, and a version where the address names one.
#[derive(Debug, Deserialize)]
pub(super) struct ModelPath {
    pub(super) name: String,
    /// Empty for the default version.
    #[serde(default)]
    pub(super) version: String,
}

/// A model takes pictures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelReady {
    name: String,
    ready: bool,
}

/// Nothing to say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {}

/// Is the process alive? (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/health/live", operation_id = "v2_live", tag = "protocol",
    responses((status = 200, description = "Alive.", body = ServerLiveResponse, example = json!({"live": true})))
)]
pub(super) async fn live(State(app): State<App>) -> Result<Json<ServerLiveResponse>, Error> {
    health::alive(&app.pipeline.models.catalog())?;
    Ok(Json(ServerLiveResponse { live: true }))
}

/// Is every model served? (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/health/ready", operation_id = "v2_ready", tag = "protocol",
    responses((status = 200, description = "Ready.", body = ServerReadyResponse, example = json!({"ready": true})))
)]
pub(super) async fn ready(State(app): State<App>) -> Result<Json<ServerReadyResponse>, Error> {
    health::ready(&app.pipeline.models.catalog())?;
    Ok(Json(ServerReadyResponse { ready: true }))
}

/// Describe the server (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2", operation_id = "v2_server", tag = "protocol",
    responses((status = 200, description = "The server.", body = ServerMetadataResponse, example = json!({
        "name": "tagpoint", "version": "0.1.0", "extensions": ["binary_tensor_data", "classification"]})))
)]
pub(super) async fn server() -> Json<ServerMetadataResponse> {
    Json(views::server())
}

/// Describe a model's tensors (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/models/{name}", operation_id = "v2_model", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The model.", body = ModelMetadataResponse, example = json!({
        "name": "scenes", "versions": ["1"], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 11]}]})))
)]
pub(super) async fn model(
    State(app): State<App>,
    Path(path): Path<ModelPath>,
) -> Result<Json<ModelMetadataResponse>, Error> {
    let model = find(&app, &path.name, &path.version)?;
    Ok(Json(views::metadata(&app, &model)?))
}

/// Does a model take pictures? (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/models/{name}/ready", operation_id = "v2_model_ready", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "It does.", body = ModelReady, example = json!({"name": "scenes", "ready": true})))
)]
pub(super) async fn model_ready(
    State(app): State<App>,
    Path(path): Path<ModelPath>,
) -> Result<Json<ModelReady>, Error> {
    match is_ready(&app, &path.name, &path.version)? {
        true => Ok(Json(ModelReady { name: path.name, ready: true })),
        false => Err(Error::NotReady(format!("model {:?} is not ready", path.name))),
    }
}

/// Show a model's configuration (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/models/{name}/config", operation_id = "v2_config", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The configuration.", body = ModelConfig, example = json!({
        "name": "scenes", "platform": "onnxruntime_onnx", "max_batch_size": 32,
        "input": [{"name": "image", "data_type": "TYPE_UINT8", "dims": [224, 224, 3]}],
        "output": [{"name": "scores", "data_type": "TYPE_FP32", "dims": [11]}],
        "dynamic_batching": {"max_queue_delay_microseconds": 0, "priority_levels": 3, "default_priority_level": 2},
        "backend": "onnxruntime"})))
)]
pub(super) async fn config(State(app): State<App>, Path(path): Path<ModelPath>) -> Result<Json<ModelConfig>, Error> {
    let model = find(&app, &path.name, &path.version)?;
    Ok(Json(views::config(&model, &app.settings)))
}

/// Say what every model has done (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/models/stats", operation_id = "v2_all_statistics", tag = "protocol",
    responses((status = 200, description = "The sums since each version was loaded.", body = ModelStatisticsResponse,
        example = json!({"model_stats": []})))
)]
pub(super) async fn all_statistics(State(app): State<App>) -> Result<Json<ModelStatisticsResponse>, Error> {
    Ok(Json(views::statistics(&app, None, None)?))
}

/// Say what a model has done (Open Inference Protocol)
#[utoipa::path(
    get, path = "/v2/models/{name}/stats", operation_id = "v2_statistics", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "The sums since each version was loaded.", body = ModelStatisticsResponse,
        example = json!({"model_stats": [{
            "name": "scenes", "version": "1", "last_inference": 1_777_896_000_000_u64,
            "inference_count": 3, "execution_count": 2,
            "inference_stats": {
                "success": {"count": 3, "ns": 67_554_000}, "fail": {"count": 0, "ns": 0},
                "queue": {"count": 3, "ns": 381_000}, "compute_input": {"count": 3, "ns": 27_642_000},
                "compute_infer": {"count": 3, "ns": 35_706_000}, "compute_output": {"count": 3, "ns": 0}},
            "batch_stats": []}]})))
)]
pub(super) async fn statistics(
    State(app): State<App>,
    Path(path): Path<ModelPath>,
) -> Result<Json<ModelStatisticsResponse>, Error> {
    Ok(Json(views::statistics(&app, Some(&path.name), parse_version(&path.name, &path.version)?)?))
}

/// What is to be listed.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct RepositoryIndexRequest {
    /// Only versions that take pictures.
    #[serde(default)]
    ready: bool,
}

/// How a model is to be loaded.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct RepositoryModelLoadRequest {
    /// A configuration or files, none of which is taken: 501 where there are any.
    // Their names are enough.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: BTreeMap<String, IgnoredAny>,
}

/// The body of a request to the repository, where there is one.
async fn repository_request<T: Default + DeserializeOwned>(request: Request, max_body: usize) -> Result<T, Error> {
    let body = read(request, max_body).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    let read = serde_json::from_slice(&body).map(|Object(request)| request);
    read.map_err(|error| wrong(format!("the request's JSON: {error}")))
}

/// List the repository (Open Inference Protocol)
///
/// Every version of every model; with `{"ready": true}` in the body only those that take pictures.
#[utoipa::path(
    post, path = "/v2/repository/index", operation_id = "v2_index", tag = "protocol",
    request_body(content = Option<RepositoryIndexRequest>, description = "May be left out.", example = json!({"ready": true})),
    responses((status = 200, description = "The versions.", body = Vec<ModelIndex>, example = json!([
        {"name": "scenes", "version": "1", "state": "READY", "reason": ""}])))
)]
pub(super) async fn index(State(app): State<App>, request: Request) -> Result<Json<Vec<ModelIndex>>, Error> {
    let asked: RepositoryIndexRequest = repository_request(request, app.settings.max_body).await?;
    Ok(Json(views::index(&app, asked.ready)))
}

/// Load a model (Open Inference Protocol)
///
/// The version that answers, and whatever is new in the repository; answered once it takes pictures.
#[utoipa::path(
    post, path = "/v2/repository/models/{name}/load", operation_id = "v2_load", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    request_body(content = Option<RepositoryModelLoadRequest>, description = "May be left out.", example = json!({})),
    responses((status = 200, description = "Loaded.", body = Done, example = json!({})))
)]
pub(super) async fn load(
    State(app): State<App>,
    Path(path): Path<ModelPath>,
    request: Request,
) -> Result<Json<Done>, Error> {
    let asked: RepositoryModelLoadRequest = repository_request(request, app.settings.max_body).await?;
    repository::load(&app, &path.name, !asked.parameters.is_empty()).await?;
    Ok(Json(Done {}))
}

/// Unload a model (Open Inference Protocol)
///
/// Every version, once the requests that it has are answered.
#[utoipa::path(
    post, path = "/v2/repository/models/{name}/unload", operation_id = "v2_unload", tag = "protocol",
    params(("name" = String, Path, description = "The model's name.", example = "scenes")),
    responses((status = 200, description = "Unloaded.", body = Done, example = json!({})))
)]
pub(super) async fn unload(State(app): State<App>, Path(path): Path<ModelPath>) -> Result<Json<Done>, Error> {
    repository::unload(&app, &path.name).await?;
    Ok(Json(Done {}))
}
