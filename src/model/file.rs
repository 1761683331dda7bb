//! The model file: an ONNX file with a manifest in its metadata.

use std::path::Path;

use prost::Message as _;
use serde::Deserialize;

use super::{Digest, Manifest, SCHEMA_VERSION, foreign, manifest::wrong_version};
use crate::files::{write_new, write_whole};
use crate::onnx::{
    GraphProto, ModelProto, OnnxError,
    proto::StringStringEntryProto,
    trust::{self, TrustLimits},
};

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
    /// The bytes are not an ONNX file, or one that may not reach ONNX Runtime, or one that cannot be made one of ours.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The file has no manifest.
    #[error(
        "the file has no tagpoint manifest (metadata key {MANIFEST_KEY:?}), and no manifest.json lies beside it; \
         `tagpoint import` writes one for somebody else's file"
    )]
    NoManifest,
    /// There are two manifests.
    #[error("the file has a tagpoint manifest of its own, and manifest.json lies beside it: remove one of them")]
    TwoManifests,
    /// The manifest beside somebody else's file is not one.
    #[error("manifest.json: {0}")]
    Sidecar(String),
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
    /// Reads and checks a model file: one of ours, or somebody else's with `manifest.json` beside it.
    ///
    /// # Errors
    /// An unreadable file, one that may not reach ONNX Runtime, one without a valid manifest, or one whose graph is not
    /// the manifest's.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        Self::read_within(path, &TrustLimits::default())
    }

    /// As [`ModelFile::read`], with limits of the caller's choice.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn read_within(path: &Path, limits: &TrustLimits) -> Result<Self, ModelError> {
        let bytes = trust::read_bytes(path, limits).map_err(|source| io_error(path, source))?;
        match foreign::sidecar_of(path) {
            Some(sidecar) => foreign::read(path, bytes, &sidecar, limits),
            None => Self::parse_within(bytes, limits),
        }
    }

    /// Checks the bytes of a model file of ours.
    ///
    /// # Errors
    /// Bytes that are not ONNX or may not reach ONNX Runtime, have no valid manifest, or whose graph is not the manifest's.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, ModelError> {
        Self::parse_within(bytes, &TrustLimits::default())
    }

    fn parse_within(bytes: Vec<u8>, limits: &TrustLimits) -> Result<Self, ModelError> {
        // The two digests are a fifth of the work of opening a large model: this one is made beside the other.
        let (digest, manifest) = std::thread::scope(|scope| {
            let digest = scope.spawn(|| Digest::of(&bytes));
            let manifest = Self::check(&bytes, limits);
            (digest.join().unwrap_or_else(|_| Digest::of(&bytes)), manifest)
        });
        Ok(Self { digest, manifest: manifest?, bytes })
    }

    /// The manifest of a model file of ours whose graph is the manifest's and may reach ONNX Runtime.
    fn check(bytes: &[u8], limits: &TrustLimits) -> Result<Manifest, ModelError> {
        let model = trust::decode(bytes, limits)?;
        let entry = manifest_entry(&model).ok_or(ModelError::NoManifest)?;
        trust::check(&model, limits)?;
        let manifest = parse_manifest(entry.value())?;
        manifest.validate().map_err(ModelError::ManifestInvalid)?;
        let found = graph_digest(&model.graph.unwrap_or_default());
        if found != manifest.graph_digest {
            return Err(ModelError::GraphChanged { expected: manifest.graph_digest, found });
        }
        Ok(manifest)
    }

    /// Puts a manifest into a model: the bytes of the model file.
    ///
    /// The manifest's `graph_digest` is set to that of the model's graph, its `schema_version` to the one that it needs.
    ///
    /// # Errors
    /// A manifest that contradicts itself.
    pub fn assemble(model: ModelProto, manifest: Manifest) -> Result<Self, ModelError> {
        manifest.validate().map_err(ModelError::ManifestInvalid)?;
        Self::seal(model, manifest)
    }

    /// As [`ModelFile::assemble`], also without golden samples.
    pub(super) fn assemble_unchecked(model: ModelProto, manifest: Manifest) -> Result<Self, ModelError> {
        manifest.validate_but_golden().map_err(ModelError::ManifestInvalid)?;
        Self::seal(model, manifest)
    }

    fn seal(mut model: ModelProto, mut manifest: Manifest) -> Result<Self, ModelError> {
        manifest.schema_version = manifest.version_needed();
        manifest.graph_digest = graph_digest(model.graph.as_ref().unwrap_or(&GraphProto::default()));
        model.metadata_props.retain(|entry| entry.key() != MANIFEST_KEY);
        model.metadata_props.push(StringStringEntryProto {
            key: Some(MANIFEST_KEY.to_owned()),
            value: Some(serde_json::to_string(&manifest)?),
        });
        let bytes = model.encode_to_vec();
        Ok(Self { digest: Digest::of(&bytes), bytes, manifest })
    }

    /// Whether there are golden samples to check it by; somebody else's file may have none.
    pub fn can_be_checked(&self) -> bool {
        !self.manifest.golden.samples.is_empty()
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing stands at `path` that was not there before.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        write_whole(path, &self.bytes).map_err(|source| io_error(path, source))
    }

    /// As [`ModelFile::write`], but never over a file that is there already: model files do not change.
    ///
    /// # Errors
    /// As [`ModelFile::write`], and a file that is there already.
    pub fn write_new(&self, path: &Path) -> Result<(), ModelError> {
        write_new(path, &self.bytes).map_err(|source| io_error(path, source))
    }
}

/// The metadata entry of a manifest.
pub(super) fn manifest_entry(model: &ModelProto) -> Option<&StringStringEntryProto> {
    model.metadata_props.iter().find(|entry| entry.key() == MANIFEST_KEY)
}

/// Reads a manifest. One of a newer version may have fields that are not known here, and that is what is then said.
fn parse_manifest(text: &str) -> Result<Manifest, ModelError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    serde_json::from_str(text).map_err(|error| match serde_json::from_str(text) {
        Ok(Versioned { schema_version }) if schema_version > SCHEMA_VERSION => {
            ModelError::ManifestInvalid(wrong_version(schema_version))
        }
        _ => error.into(),
    })
}

/// SHA-256 of a graph's encoding.
pub(crate) fn graph_digest(graph: &GraphProto) -> Digest {
    Digest::of(&graph.encode_to_vec())
}

pub(super) fn io_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_manifest_asks_for_a_newer_program_and_a_damaged_one_says_what_is_wrong() {
        let said = |text: &str| parse_manifest(text).unwrap_err().to_string();
        let newer = said(r#"{"schema_version": 99, "unheard_of": 1}"#);
        assert!(newer.contains("schema_version is 99") && newer.contains("newer tagpoint"), "{newer}");
        let damaged = said(r#"{"schema_version": 1, "unheard_of": 1}"#);
        assert!(damaged.contains("unknown field `unheard_of`"), "{damaged}");
    }
}
