//! Somebody else's ONNX file with `manifest.json` beside it, made a model of ours in memory: one way to serve.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    Digest, INT8_FILE, ModelError, ModelFile, Sidecar,
    file::{io_error, manifest_entry},
};
use crate::onnx::{
    ModelProto, external,
    trust::{self, TrustLimits},
    wrap::wrap,
};

/// The name of the manifest beside somebody else's file.
pub const SIDECAR_FILE: &str = "manifest.json";
/// Bytes of a sidecar; golden samples are most of it.
const MAX_SIDECAR: u64 = 16 << 20;

/// The sidecar beside a model file, if there is one. An INT8 file beside somebody else's is ours, with its own manifest.
pub(super) fn sidecar_of(model: &Path) -> Option<PathBuf> {
    let ours = model.file_name().is_some_and(|name| name == INT8_FILE);
    Some(model.with_file_name(SIDECAR_FILE)).filter(|path| !ours && path.exists())
}

/// Makes a model of ours of a file's bytes and the sidecar beside it.
pub(super) fn read(
    path: &Path,
    bytes: Vec<u8>,
    sidecar_path: &Path,
    limits: &TrustLimits,
) -> Result<ModelFile, ModelError> {
    let small = TrustLimits { max_bytes: MAX_SIDECAR, ..*limits };
    let text = trust::read_bytes(sidecar_path, &small).map_err(|source| io_error(sidecar_path, source))?;
    let sidecar: Sidecar = serde_json::from_slice(&text).map_err(|error| ModelError::Sidecar(error.to_string()))?;
    let mut digests = vec![Digest::of(&bytes), Digest::of(&text)];
    let (model, files) = decode(&bytes, folder_of(path), limits)?;
    drop(bytes);
    for file in files {
        let file = folder_of(path).join(file);
        let opened = File::open(&file).and_then(Digest::of_reader);
        digests.push(opened.map_err(|source| io_error(&file, source))?);
    }
    Ok(ModelFile { digest: Digest::of_digests(&digests), ..wrapped(model, &sidecar)? })
}

/// Decodes somebody else's file, with the weights that lie beside it; gives the names of the files that they lie in.
///
/// # Errors
/// A file that cannot be read, or may not reach ONNX Runtime, or is one of ours.
pub fn foreign_files(path: &Path, limits: &TrustLimits) -> Result<(ModelProto, Vec<PathBuf>), ModelError> {
    let bytes = trust::read_bytes(path, limits).map_err(|source| io_error(path, source))?;
    decode(&bytes, folder_of(path), limits)
}

fn decode(bytes: &[u8], folder: &Path, limits: &TrustLimits) -> Result<(ModelProto, Vec<PathBuf>), ModelError> {
    let mut model = trust::decode(bytes, limits)?;
    if manifest_entry(&model).is_some() {
        return Err(ModelError::TwoManifests);
    }
    let beside = TrustLimits { max_bytes: limits.max_bytes.saturating_sub(bytes.len() as u64), ..*limits };
    let files = external::inline(&mut model, folder, &beside)?;
    trust::check(&model, limits)?;
    Ok((model, files.into_iter().collect()))
}

/// Rewrites the ends of a graph as a sidecar says, and puts the manifest of a model of ours into it.
///
/// # Errors
/// A graph that does not fit the sidecar, or a sidecar that contradicts itself.
pub fn wrapped(mut model: ModelProto, sidecar: &Sidecar) -> Result<ModelFile, ModelError> {
    let manifest = sidecar.manifest().map_err(ModelError::Sidecar)?;
    wrap(&mut model, &sidecar.wrapping().map_err(ModelError::Sidecar)?)?;
    ModelFile::assemble_unchecked(model, manifest)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
