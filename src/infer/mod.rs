//! Running a model with ONNX Runtime: the library, sessions, and the golden check.
//!
//! A [`Session`] is blocking: callers keep it off async threads.

mod drawn;
mod golden;
mod memory;
mod precision;
mod probe;
mod provider;
#[cfg(test)]
mod quantised_tests;
mod race;
mod runtime;
mod session;
mod shared;

pub use drawn::{choose_golden, draw_pictures, spread};
pub use golden::{GoldenError, Tolerance, check_golden, golden_outputs};
pub use memory::{MemoryAccount, MemoryUse};
pub use precision::{Precision, PrecisionChoice};
pub use probe::Probe;
pub use provider::Provider;
pub use race::race;
pub use runtime::Runtime;
pub use session::{Session, SessionOptions};
pub use shared::SharedModel;

pub use crate::raw::disable_telemetry;

/// Why a model cannot run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The ONNX Runtime library cannot be loaded.
    #[error(
        "ONNX Runtime cannot be loaded from {path}: {reason}; `scripts/fetch onnxruntime` gets it, and ORT_DYLIB_PATH names another place"
    )]
    Library {
        /// Where it was looked for.
        path: String,
        /// What the loader said.
        reason: String,
    },
    /// ONNX Runtime refused the model or failed while running it.
    #[error("ONNX Runtime: {0}")]
    OnnxRuntime(String),
    /// The execution provider that was asked for cannot be used.
    #[error(
        "the execution provider {provider} cannot be used: {reason}; it needs the NVIDIA driver, the CUDA 13 and cuDNN 9 \
         libraries, and ONNX Runtime's build for it (libonnxruntime.so of the PyPI package onnxruntime-gpu with its \
         libonnxruntime_providers_*.so beside it, named by ORT_DYLIB_PATH); or set provider = \"cpu\""
    )]
    Provider {
        /// The provider and its device.
        provider: String,
        /// What ONNX Runtime said.
        reason: String,
    },
    /// The limit of the graphics card's memory is too small for the model's weights.
    #[error(
        "{limit} bytes of the graphics card's memory do not hold the model, which has {model_bytes}: raise \
         cuda_memory_bytes, or set 0 for no limit"
    )]
    MemoryLimit {
        /// The limit of each session, in bytes.
        limit: usize,
        /// The model file's size in bytes.
        model_bytes: usize,
    },
    /// The graph's inputs or outputs are not what the manifest promises.
    #[error("the graph does not fit its manifest: {0}")]
    Contract(String),
}

impl<T> From<ort::Error<T>> for InferError {
    fn from(error: ort::Error<T>) -> Self {
        Self::OnnxRuntime(error.to_string())
    }
}
