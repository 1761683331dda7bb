//! The contract of a model: its manifest, its file, and the folder that models live in.
//!
//! A model is one `.onnx` file whose metadata hold a [`Manifest`]: everything that a graph has no node for.

mod digest;
mod file;
mod manifest;
mod repository;

pub use digest::Digest;
pub use file::{MANIFEST_KEY, ModelError, ModelFile};
pub use manifest::{
    Golden, GoldenSample, InputSpec, Label, Manifest, OutputSpec, Points, Provenance, SCHEMA_VERSION, Task, Values,
    YRange,
};
pub use repository::{ModelName, ModelVersion, VersionFolder, list_versions, next_version};
