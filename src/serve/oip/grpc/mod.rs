//! The protocol over gRPC, on the same port as HTTP.

mod codec;
mod parse;
mod service;
mod stream;

use http::{HeaderMap, header};
use tonic::{Status, codec::CompressionEncoding};

use super::failure::{code, http_status, message};
use crate::{
    error::Error,
    serve::http::{App, problem},
};

/// The messages and the service, made from `proto/inference.proto`.
#[allow(missing_docs, unreachable_pub, reason = "made from the .proto, where the comments are")]
#[allow(clippy::all, reason = "made by prost and tonic")]
pub(super) mod proto {
    tonic::include_proto!("inference");
}

use proto::grpc_inference_service_server::GrpcInferenceServiceServer as Server;

/// What the path of every call begins with; `serve/http/access.rs` says which call needs which scope.
pub(in crate::serve) const PREFIX: &str = "/inference.GRPCInferenceService/";

/// The calls that there are.
pub(in crate::serve) const METHODS: [&str; 12] = [
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "ModelInfer",
    "ModelStreamInfer",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
];

/// The call whose path this is.
pub(in crate::serve) fn method(path: &str) -> Option<&'static str> {
    let asked = path.strip_prefix(PREFIX)?;
    METHODS.into_iter().find(|method| *method == asked)
}

/// The service, with its address as a route.
pub(in crate::serve) fn route(app: &App) -> (String, Server<service::Service>) {
    let server = Server::new(service::Service::new(app.clone()))
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        // Once expanded.
        .max_decoding_message_size(app.settings.max_body);
    (format!("{PREFIX}{{*method}}"), server)
}

/// Whether a path is that of a call which is a stream of requests.
pub(in crate::serve) fn is_stream(path: &str) -> bool {
    path.strip_prefix(PREFIX) == Some("ModelStreamInfer")
}

/// Whether a request is a gRPC call, whose errors travel as gRPC statuses.
pub(in crate::serve) fn is_call(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.starts_with("application/grpc"))
}

/// An error as a gRPC status.
pub(in crate::serve) fn status(error: &Error) -> Status {
    // A path that is not there is a method that is not there.
    let code = match error {
        Error::NoSuchPath(_) => tonic::Code::Unimplemented,
        _ => code(http_status(problem::status(error))),
    };
    Status::new(code, message(error))
}

/// How a version stands, as the repository's index names it.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "describes the state, which is written as text")]
enum ModelStateName {
    Ready,
    Loading,
    Unloading,
    Unavailable,
}

/// A configuration's type by its name.
fn type_name<S: serde::Serializer>(data_type: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    let data_type = proto::DataType::try_from(*data_type).unwrap_or(proto::DataType::TypeInvalid);
    serializer.serialize_str(data_type.as_str_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_service_has_its_name_here() {
        let service = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/inference.proto"));
        let calls = service.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split_once('('));
        assert_eq!(calls.map(|(name, _)| name).collect::<Vec<_>>(), METHODS);
        assert_eq!(method("/inference.GRPCInferenceService/ModelInfer"), Some("ModelInfer"));
        assert_eq!(method("/inference.GRPCInferenceService/ModelInfer/x"), None);
    }
}
