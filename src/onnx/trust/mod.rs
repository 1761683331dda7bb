//! Whether a model file may reach ONNX Runtime: model files are input from outside like any other.
//!
//! [`read_bytes`] takes a file whose size is within its limit; `scan.rs` counts what its bytes would become before anything is decoded
//! and [`decode`] decodes them. [`check`] then looks at everything that a decoded model says: versions, operators and
//! functions, shapes, data. What it cannot see are sizes that a graph computes while it runs; the golden check meets
//! those, and the memory limit of the process.
//!
//! Data in other files are refused here; for somebody else's model [`super::external`] brings them in first.

mod functions;
mod operators;
mod scan;
mod tensors;
#[cfg(test)]
mod tests;
mod values;
mod walk;

use std::{fs::File, io::Read as _, path::Path};

pub use self::operators::LAST_OPSET;
use super::{ModelProto, OnnxError, TensorProto};

/// What a model file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustLimits {
    /// Bytes of the file, together with those of the files beside it that it names.
    pub max_bytes: u64,
    /// Messages of the encoding: nodes, attributes, tensors, values, entries.
    pub max_messages: usize,
    /// Fields of the encoding, of whatever kind.
    pub max_fields: usize,
    /// Bytes of integers that grow when they are decoded, up to eightfold.
    pub max_packed_bytes: usize,
    /// Nodes, with each function counted where it is called.
    pub max_nodes: u64,
    /// Graphs inside of graphs.
    pub max_depth: usize,
    /// Bytes of a name.
    pub max_name: usize,
    /// Bytes of one tensor, be it in the file or made from a shape that stands there.
    pub max_tensor_bytes: u64,
    /// Bytes of one input, output or other value of known shape.
    pub max_value_bytes: u64,
    /// What an open dimension counts as: pictures that run together.
    pub batch: u64,
}

impl Default for TrustLimits {
    /// 2 GiB in all (the encoding allows no more), 1 GiB for a tensor or value, 100,000 nodes.
    fn default() -> Self {
        Self {
            max_bytes: 2 << 30,
            max_messages: 400_000,
            max_fields: 4_000_000,
            max_packed_bytes: 64 << 20,
            max_nodes: 100_000,
            max_depth: 16,
            max_name: 1024,
            max_tensor_bytes: 1 << 30,
            max_value_bytes: 1 << 30,
            batch: 8,
        }
    }
}

/// The bytes of a file, if they are within the limit.
///
/// # Errors
/// What the file system says, as text, and a file that is larger or none at all.
pub fn read_bytes(path: &Path, limits: &TrustLimits) -> std::io::Result<Vec<u8>> {
    let too_large = || std::io::Error::other(format!("the file is larger than {} bytes", limits.max_bytes));
    // Before it is opened: a pipe would be waited on for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > limits.max_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may grow meanwhile.
    file.take(limits.max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limits.max_bytes { Err(too_large()) } else { Ok(bytes) }
}

/// Decodes a model that is not checked yet, once its parts are counted.
///
/// # Errors
/// Bytes that are not ONNX, or that would become too much.
pub fn decode(bytes: &[u8], limits: &TrustLimits) -> Result<ModelProto, OnnxError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(untrusted(format!("the file has {} bytes, {} at most", bytes.len(), limits.max_bytes)));
    }
    scan::scan(bytes, limits)?;
    Ok(prost::Message::decode(bytes)?)
}

/// Checks a decoded model.
///
/// # Errors
/// The first thing that is not allowed, with its name and the reason.
pub fn check(model: &ModelProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    operators::check_versions(model)?;
    functions::check_functions(model, limits)?;
    walk::check_bodies(model, limits)
}

/// Bytes of a tensor's data by its shape; `None` where it says no possible number of them.
pub(super) fn byte_len(tensor: &TensorProto) -> Option<u64> {
    tensors::bytes_of(&tensor.dims, tensors::element_bits(tensor.data_type.unwrap_or_default())?)
}

fn untrusted(reason: impl Into<String>) -> OnnxError {
    OnnxError::Untrusted(reason.into())
}
