//! The protocol over HTTP: the addresses under `/v2`.

mod body;
mod document;
mod elements;
mod inference;
mod pages;
mod parse;
mod respond;
mod wire;

pub(in crate::serve) use document::{describe_errors, describe_versions};

use axum::{
    Json,
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use serde::Serialize;
use tower_http::{compression::CompressionLayer, decompression::RequestDecompressionLayer};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::failure::{http_status, message};
use crate::{
    error::Error,
    serve::http::{App, problem},
};

/// The header with the bytes of a body's JSON, behind which binary tensors follow.
const HEADER_LENGTH: &str = "inference-header-content-length";

/// The addresses together with their OpenAPI entries. Bodies may be gzip or deflate both ways.
pub(in crate::serve) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(pages::live))
        .routes(routes!(pages::ready))
        .routes(routes!(pages::server))
        .routes(routes!(pages::model))
        .routes(routes!(pages::model_ready))
        .routes(routes!(pages::config))
        .routes(routes!(pages::all_statistics))
        .routes(routes!(pages::statistics))
        .routes(routes!(pages::index))
        .routes(routes!(pages::load))
        .routes(routes!(pages::unload))
        .routes(routes!(inference::infer))
        // The same with a version, whose entries `describe_versions` makes, and addresses that the document need not name.
        .route("/v2/", get(pages::server))
        .route("/v2/models/{name}/versions/{version}", get(pages::model))
        .route("/v2/models/{name}/versions/{version}/ready", get(pages::model_ready))
        .route("/v2/models/{name}/versions/{version}/config", get(pages::config))
        .route("/v2/models/{name}/versions/{version}/stats", get(pages::statistics))
        .route("/v2/models/{name}/versions/{version}/infer", post(inference::infer))
        .route("/v2/systemsharedmemory/{*rest}", any(unsupported))
        .route("/v2/cudasharedmemory/{*rest}", any(unsupported))
        .route("/v2/trace/setting", any(unsupported))
        .route("/v2/models/{name}/trace/setting", any(unsupported))
        .route("/v2/logging", any(unsupported))
        .layer(RequestDecompressionLayer::new().gzip(true).deflate(true).pass_through_unaccepted(true))
        .layer(CompressionLayer::new().gzip(true).deflate(true))
}

/// Every reply under /v2 that is not a 200.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Failed {
    /// What went wrong.
    #[schema(example = "Request for unknown model: 'scene' is not found")]
    error: String,
}

/// Whether a path is the protocol's, whose errors have a form of their own.
pub(in crate::serve) fn is_ours(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// An error in the protocol's form.
pub(in crate::serve) fn failed(error: &Error) -> Response {
    (http_status(problem::status(error)), Json(Failed { error: message(error) })).into_response()
}

/// Extensions of the protocol that this server does not have.
async fn unsupported(uri: http::Uri) -> Error {
    Error::Unsupported(format!("{}: GET /v2 lists the extensions that this server has", uri.path()))
}
