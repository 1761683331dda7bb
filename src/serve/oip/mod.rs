//! The Open Inference Protocol (V2).
#![allow(dead_code, reason = "its routes come next")]
mod datatype;
pub(super) mod failure;
pub(super) mod grpc;
pub(super) mod http;
mod outputs;
mod request;
mod tensor;
use crate::error::Error;
fn wrong(text: impl Into<String>) -> Error {
    Error::InferenceRequest(text.into())
}
fn no_shared_memory(tensor: &str) -> Error {
    Error::Unsupported(format!("{tensor:?} is in shared memory, which is not supported: send it in the request"))
}
