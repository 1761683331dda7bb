//! The Open Inference Protocol (V2), over HTTP under `/v2` and over gRPC on the same port.
//!
//! A request's way, in reading order: `http` or `grpc` parses it into an [`InferRequest`](request::InferRequest), whose
//! tensors (`tensor`) have as many elements as they claim; `infer` takes its pictures through the same pipeline as /v1 and
//! makes the outputs (`outputs`) that it asks for; `http` or `grpc` writes them. `views` is everything that the protocol
//! says about models. The messages are those of `proto/inference.proto`, in JSON too. `failure` puts errors in the
//! protocol's words.
//!
//! One input is advertised, pixels as the model takes them (UINT8 [N, H, W, 3]). The same name also takes encoded
//! pictures (BYTES [N]), which go the way that every picture goes, so clients need not decode or resize.

mod datatype;
pub(super) mod failure;
pub(super) mod grpc;
pub(super) mod http;
mod infer;
mod outputs;
mod repository;
mod request;
mod statistics;
mod tensor;
mod views;

use std::sync::Arc;

use crate::{
    error::Error,
    model::ModelVersion,
    serve::{
        http::{App, model_views::version_of},
        models::ServedModel,
        pipeline::check_place,
    },
};

/// A mistake in an inference request.
fn wrong(text: impl Into<String>) -> Error {
    Error::InferenceRequest(text.into())
}

fn no_shared_memory(tensor: &str) -> Error {
    Error::Unsupported(format!("{tensor:?} is in shared memory, which is not supported: send it in the request"))
}

/// A model that takes pictures; an empty version is the default one.
fn find(app: &App, name: &str, version: &str) -> Result<Arc<ServedModel>, Error> {
    app.pipeline.models.find(name, parse_version(name, version)?)
}

/// The same, if its queue has a place: so a request can be refused before its body is read.
fn find_free(app: &App, name: &str, version: &str) -> Result<Arc<ServedModel>, Error> {
    let model = find(app, name, version)?;
    check_place(&model)?;
    Ok(model)
}

/// What is no version is a version that is not there.
fn parse_version(name: &str, version: &str) -> Result<Option<ModelVersion>, Error> {
    if version.is_empty() { Ok(None) } else { version_of(name, version).map(Some) }
}

/// Whether a version takes pictures and works.
fn is_ready(app: &App, name: &str, version: &str) -> Result<bool, Error> {
    match find(app, name, version) {
        Ok(model) => Ok(model.ailment().is_none()),
        Err(Error::NotReady(_) | Error::NotLoaded { .. } | Error::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
