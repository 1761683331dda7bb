//! The model file: an ONNX file with a manifest in its metadata.

use std::path::Path;

use prost::Message as _;

use super::{Digest, Manifest};
use crate::files::write_whole;
use crate::onnx::{GraphProto, ModelProto, proto::StringStringEntryProto};

/// The metadata key that the manifest stands under.
pub const MANIFEST_KEY: &str = "tagpoint.manifest";

/// Why a model file cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not an ONNX file.
    #[error("not an ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The file has no manifest.
    #[error("the file has no tagpoint manifest (metadata key {MANIFEST_KEY:?}); was it made by tagpoint-train?")]
    NoManifest,
    /// The manifest is not the JSON document that it should be.
    #[error("the manifest cannot be read: {0}")]
    ManifestSyntax(#[from] serde_json::Error),
    /// The manifest contradicts itself.
    #[error("the manifest is not valid: {0}")]
    ManifestInvalid(String),
    /// The graph is not the one that the manifest was written for.
    #[error("the graph was changed after the model was written: its digest is {found}, the manifest says {expected}")]
    GraphChanged {
        /// The digest in the manifest.
        expected: Digest,
        /// The digest of the graph in the file.
        found: Digest,
    },
}

/// A model file as read: checked manifest, and bytes for ONNX Runtime.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// SHA-256 of the whole file.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
}

impl ModelFile {
    /// Reads and checks a model file.
    ///
    /// # Errors
    /// An unreadable file, one without a valid manifest, or one whose graph is not the manifest's.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::parse(std::fs::read(path).map_err(|source| io_error(path, source))?)
    }

    /// Checks the bytes of a model file.
    ///
    /// # Errors
    /// Bytes that are not ONNX, have no valid manifest, or whose graph is not the manifest's.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ModelError> {
        let model = ModelProto::decode(bytes.as_slice())?;
        let entry = model.metadata_props.iter().find(|entry| entry.key() == MANIFEST_KEY);
        let manifest: Manifest = serde_json::from_str(entry.ok_or(ModelError::NoManifest)?.value())?;
        manifest.validate().map_err(ModelError::ManifestInvalid)?;
        let found = graph_digest(&model.graph.unwrap_or_default());
        if found != manifest.graph_digest {
            return Err(ModelError::GraphChanged { expected: manifest.graph_digest, found });
        }
        Ok(Self { digest: Digest::of(&bytes), bytes, manifest })
    }

    /// Puts a manifest into a model: the bytes of the model file.
    ///
    /// The manifest's `graph_digest` is set to that of the model's graph.
    ///
    /// # Errors
    /// A manifest that contradicts itself.
    pub fn assemble(mut model: ModelProto, mut manifest: Manifest) -> Result<Self, ModelError> {
        manifest.graph_digest = graph_digest(model.graph.as_ref().unwrap_or(&GraphProto::default()));
        manifest.validate().map_err(ModelError::ManifestInvalid)?;
        model.metadata_props.retain(|entry| entry.key() != MANIFEST_KEY);
        model.metadata_props.push(StringStringEntryProto {
            key: Some(MANIFEST_KEY.to_owned()),
            value: Some(serde_json::to_string(&manifest)?),
        });
        let bytes = model.encode_to_vec();
        Ok(Self { digest: Digest::of(&bytes), bytes, manifest })
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing stands at `path` that was not there before.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        write_whole(path, &self.bytes).map_err(|source| io_error(path, source))
    }
}

/// SHA-256 of a graph's encoding.
pub(crate) fn graph_digest(graph: &GraphProto) -> Digest {
    Digest::of(&graph.encode_to_vec())
}

fn io_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.display().to_string(), source }
}
