//! The contract of a model: its manifest, its file, and the folder that models live in.
//!
//! A model is one `.onnx` file whose metadata hold a [`Manifest`]: everything that a graph has no node for. Somebody
//! else's file has a [`Sidecar`] beside it instead, and is made one of ours as it is read.

mod digest;
mod file;
mod foreign;
mod manifest;
mod reference;
mod repository;
mod sidecar;
mod storage;

pub use digest::Digest;
pub use file::{MANIFEST_KEY, ModelError, ModelFile};
pub use foreign::{SIDECAR_FILE, foreign_files, wrapped};
pub use manifest::{
    Golden, GoldenSample, InputSpec, Label, Manifest, OutputSpec, Points, Provenance, SCHEMA_VERSION, Task, Values,
    YRange, name_mistakes,
};
pub use reference::{LabelScores, MOST_BINS, ScoreReference};
pub(crate) use repository::MODEL_FILE;
pub use repository::{INT8_FILE, ModelName, ModelVersion, VersionFolder, list_versions, name_of, next_version};
pub use sidecar::{
    Activation, Coordinates, SIDECAR_VERSION, Sidecar, SidecarInput, SidecarLabel, SidecarOutput, SidecarSource,
    SidecarTask,
};
pub(crate) use storage::open_bucket;
pub use storage::{Repository, StorageError, StorageOptions, StoredVersion};
