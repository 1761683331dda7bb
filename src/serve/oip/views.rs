//! What the protocol says about the server, its models and its repository.

use super::{
    grpc::proto::{
        DataType, ModelConfig, ModelDynamicBatching, ModelInput, ModelMetadataResponse, ModelOutput,
        ModelStatisticsResponse, ServerMetadataResponse, model_metadata_response::TensorMetadata,
        repository_index_response::ModelIndex,
    },
    infer::{DEFAULT_PRIORITY, PRIORITY_LEVELS},
    outputs::own_shape,
};
use crate::{
    error::Error,
    model::{Manifest, ModelVersion},
    serve::{
        http::App,
        models::{ServedModel, State},
        settings::Settings,
    },
};

/// What runs every model.
const PLATFORM: &str = "onnxruntime_onnx";

/// The server's metadata.
pub(super) fn server() -> ServerMetadataResponse {
    let extensions = [
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "schedule_policy",
        "statistics",
    ];
    ServerMetadataResponse {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: extensions.map(str::to_owned).to_vec(),
    }
}

/// A model's metadata.
pub(super) fn metadata(app: &App, model: &ServedModel) -> Result<ModelMetadataResponse, Error> {
    let catalog = app.pipeline.models.catalog();
    let versions = catalog.entry(&model.name)?.versions.iter().filter(|(_, state)| state.is_ready());
    let versions = versions.map(|(version, _)| version.to_string()).collect();
    let manifest = &model.manifest;
    let tensor = |name: &str, datatype: &str, dims: Vec<i64>| TensorMetadata {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: [vec![-1], dims].concat(),
    };
    Ok(ModelMetadataResponse {
        name: model.name.clone(),
        versions,
        platform: PLATFORM.to_owned(),
        inputs: vec![tensor(&manifest.input.name, "UINT8", input_dims(manifest))],
        outputs: vec![tensor(&manifest.output.name, "FP32", output_dims(manifest))],
    })
}

/// A model's configuration.
pub(super) fn config(model: &ServedModel, settings: &Settings) -> ModelConfig {
    let manifest = &model.manifest;
    let most = settings.max_pictures_together();
    ModelConfig {
        name: model.name.clone(),
        platform: PLATFORM.to_owned(),
        backend: "onnxruntime".to_owned(),
        max_batch_size: i32::try_from(most).unwrap_or(i32::MAX),
        input: vec![ModelInput {
            name: manifest.input.name.clone(),
            data_type: DataType::TypeUint8.into(),
            dims: input_dims(manifest),
        }],
        output: vec![ModelOutput {
            name: manifest.output.name.clone(),
            data_type: DataType::TypeFp32.into(),
            dims: output_dims(manifest),
        }],
        dynamic_batching: Some(ModelDynamicBatching {
            max_queue_delay_microseconds: u64::try_from(settings.max_delay.as_micros()).unwrap_or(u64::MAX),
            priority_levels: PRIORITY_LEVELS,
            default_priority_level: DEFAULT_PRIORITY,
        }),
    }
}

/// What models have done: all of them, a model's versions, or one version.
///
/// # Errors
/// `UnknownModel` and the like, where a model is named.
pub(super) fn statistics(
    app: &App,
    name: Option<&str>,
    version: Option<ModelVersion>,
) -> Result<ModelStatisticsResponse, Error> {
    if let Some(name) = name {
        app.pipeline.models.find(name, version)?;
    }
    let catalog = app.pipeline.models.catalog();
    let wanted = catalog.served().filter(|model| {
        name.is_none_or(|name| model.name == name) && version.is_none_or(|version| model.version == version)
    });
    let model_stats = wanted.map(|model| super::statistics::view(model)).collect();
    Ok(ModelStatisticsResponse { model_stats })
}

/// Every version in the repository.
pub(super) fn index(app: &App, only_ready: bool) -> Vec<ModelIndex> {
    let catalog = app.pipeline.models.catalog();
    let versions = catalog.models.iter().flat_map(|(name, entry)| {
        entry.versions.iter().map(move |(version, state)| {
            let (state, reason) = match state {
                State::Ready(_) => ("READY", ""),
                State::Loading => ("LOADING", ""),
                State::Delayed(reason) => ("LOADING", reason.as_str()),
                State::Unloading => ("UNLOADING", ""),
                State::Unloaded => ("UNAVAILABLE", "unloaded"),
                State::Refused(reason) => ("UNAVAILABLE", reason.as_str()),
            };
            ModelIndex {
                name: name.clone(),
                version: version.to_string(),
                state: state.to_owned(),
                reason: reason.to_owned(),
            }
        })
    });
    versions.filter(|version| !only_ready || version.state == "READY").collect()
}

/// Height, width and colours.
fn input_dims(manifest: &Manifest) -> Vec<i64> {
    let size = manifest.input.resize.size;
    vec![size.height.into(), size.width.into(), 3]
}

fn output_dims(manifest: &Manifest) -> Vec<i64> {
    own_shape(&manifest.task).into_iter().map(|dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect()
}
