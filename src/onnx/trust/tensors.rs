//! Tensors that stand in a file: their shapes, and that their data are all there.

use super::{TrustLimits, operators::shorten, untrusted};
use crate::onnx::{
    OnnxError, TensorProto,
    proto::{DataLocation, DataType},
};

/// Bits of an element by the standard's numbers; `None` for text and for numbers that the standard does not have.
pub(super) fn element_bits(data_type: i32) -> Option<u64> {
    Some(match data_type {
        2 | 3 | 9 | 17..=20 | 24 => 8,
        4 | 5 | 10 | 16 => 16,
        1 | 6 | 12 => 32,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        21..=23 => 4,
        25 | 26 => 2,
        _ => return None,
    })
}

/// Bytes of a tensor of this shape; `None` for a negative dimension or more than a number holds.
pub(super) fn bytes_of(dims: &[i64], bits: u64) -> Option<u64> {
    let elements = dims.iter().try_fold(1_u64, |count, &dim| count.checked_mul(u64::try_from(dim).ok()?))?;
    Some(elements.checked_mul(bits)?.div_ceil(8))
}

pub(super) fn check_tensor(tensor: &TensorProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    let refuse = |reason: String| Err(untrusted(format!("tensor {:?}: {reason}", shorten(tensor.name()))));
    if tensor.data_location() == DataLocation::External || !tensor.external_data.is_empty() {
        return refuse("its data are in another file, but a model of ours is one file".into());
    }
    if tensor.segment.is_some() {
        return refuse("it is a part of a tensor alone".into());
    }
    let data_type = tensor.data_type.unwrap_or_default();
    let (dims, limit) = (&tensor.dims, limits.max_tensor_bytes);
    if data_type == DataType::String as i32 {
        let wanted = bytes_of(dims, 8);
        return match wanted == Some(tensor.string_data.len() as u64) {
            true => Ok(()),
            false => refuse(format!("{} texts for shape {dims:?}", tensor.string_data.len())),
        };
    }
    let Some(bits) = element_bits(data_type) else {
        return refuse(format!("its element type {data_type} is not known"));
    };
    match bytes_of(dims, bits) {
        None => refuse(format!("its shape {dims:?} is impossible")),
        Some(bytes) if bytes > limit => refuse(format!("it has {bytes} bytes by its shape {dims:?}, {limit} at most")),
        Some(bytes) if data_bytes(tensor, bits) != Some(bytes) => {
            refuse(format!("its data are not those of its shape {dims:?}, which are {bytes} bytes"))
        }
        Some(_) => Ok(()),
    }
}

/// Bytes of the data that are there, in whichever field; `None` where they are in two.
fn data_bytes(tensor: &TensorProto, bits: u64) -> Option<u64> {
    let typed = [
        // Elements of less than a byte lie in a byte together, and half of a complex one by itself.
        tensor.int32_data.len() as u64 * bits.max(8) / 8,
        tensor.float_data.len() as u64 * 4,
        tensor.double_data.len() as u64 * 8,
        tensor.int64_data.len() as u64 * 8,
        tensor.uint64_data.len() as u64 * bits.min(64) / 8,
    ];
    let typed: u64 = typed.iter().sum();
    match &tensor.raw_data {
        Some(_) if typed > 0 => None,
        Some(raw) => Some(raw.len() as u64),
        None => Some(typed),
    }
}
