//! Makes the gRPC code from `proto/inference.proto`; and lets the trainer find libtorch at run time without
//! LD_LIBRARY_PATH: in the folder that it was linked against, or in `lib/` beside the program.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    compile_protocol()?;
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_TRAIN").is_some() {
        if let Ok(libtorch) = std::env::var("LIBTORCH") {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
        }
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/lib");
    }
    Ok(())
}

/// The messages that /v2 also answers in JSON; with each, those inside it.
const ALSO_JSON: [&str; 14] = [
    "ServerMetadataResponse",
    "ModelMetadataResponse",
    "ModelConfig",
    "ModelInput",
    "ModelOutput",
    "ModelDynamicBatching",
    "ModelStatisticsResponse",
    "ModelStatistics",
    "InferStatistics",
    "InferBatchStatistics",
    "StatisticDuration",
    "RepositoryIndexResponse.ModelIndex",
    "ServerLiveResponse",
    "ServerReadyResponse",
];

fn compile_protocol() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut builder = tonic_prost_build::configure()
        .build_client(false)
        .bytes(".inference")
        .codec_path("crate::serve::oip::grpc::codec::BoundedCodec");
    for message in ALSO_JSON {
        let path = format!(".inference.{message}");
        builder = builder.message_attribute(path, "#[derive(serde::Serialize, utoipa::ToSchema)]");
    }
    for field in ["ModelInput.data_type", "ModelOutput.data_type"] {
        let path = format!(".inference.{field}");
        let by_name =
            "#[serde(serialize_with = \"super::type_name\")] #[schema(value_type = String, example = \"TYPE_UINT8\")]";
        builder = builder.field_attribute(path, by_name);
    }
    let states = "#[schema(value_type = super::super::ModelStateName)]";
    builder = builder.field_attribute(".inference.RepositoryIndexResponse.ModelIndex.state", states);
    builder.compile_fds(protox::compile(["proto/inference.proto"], ["proto"])?)?;
    Ok(())
}
