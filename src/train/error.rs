//! Why a run cannot begin, go on, or save.

use super::{
    dataset::DatasetError, learner::CheckpointError, loader::LoaderError, network::NetworkError, weights::WeightsError,
};
use crate::{
    infer::{GoldenError, InferError},
    model::ModelError,
    onnx::OnnxError,
};

/// Why a run cannot begin, go on, or save.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The settings contradict themselves or the data.
    #[error("{0}")]
    Recipe(String),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The weights to start from cannot be had or used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The architecture does not fit.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An exported backbone cannot be trained.
    #[error("{path}: {reason}")]
    Backbone {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The interpreter cannot run the graph.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// Training cannot run on the device that was asked for.
    #[error(
        "training cannot run on {device}: {reason}; it needs the NVIDIA driver and a libtorch for CUDA (libtorch_cuda.so \
         of PyPI's torch 2.11.0 in the place of the libtorch that the program finds, such as LD_LIBRARY_PATH); or leave \
         --device out"
    )]
    Device {
        /// Its name.
        device: String,
        /// What is wrong.
        reason: String,
    },
    /// A picture that was readable when the run began no longer is.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// A golden picture cannot be drawn or decoded.
    #[error("golden picture: {0}")]
    GoldenPicture(String),
    /// Training went astray.
    #[error("the loss is not a number any more at epoch {epoch}, step {step}: try a lower --lr (it was {lr})")]
    LossNotFinite {
        /// Counted from 1.
        epoch: u64,
        /// Counted from 1.
        step: u64,
        /// The recipe's learning rate.
        lr: f64,
    },
    /// A checkpoint that the run cannot go on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model file cannot be assembled or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// ONNX Runtime cannot run the model.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// ONNX Runtime gives other outputs than the trainer.
    #[error("the trained model is not written: {0}")]
    Golden(#[from] GoldenError),
}
