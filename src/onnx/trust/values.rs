//! Inputs, outputs and values between them: what their shapes cost for one batch.

use super::{TrustLimits, operators::shorten, tensors, untrusted};
use crate::onnx::{
    OnnxError,
    proto::{DimensionValue, TypeValue, ValueInfoProto},
};

pub(super) fn check_value(value: &ValueInfoProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|found| found.value.as_ref()) else {
        return Ok(());
    };
    let Some(shape) = &tensor.shape else { return Ok(()) };
    let name = || shorten(value.name());
    // ONNX Runtime knows no more dimensions.
    if shape.dim.len() > 64 {
        return Err(untrusted(format!("value {:?}: it has {} dimensions", name(), shape.dim.len())));
    }
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (place, dim) in shape.dim.iter().enumerate() {
        dims.push(match dim.value {
            // Exporters write -1 and 0 for open ones.
            Some(DimensionValue::Value(-1 | 0)) | Some(DimensionValue::Param(_)) | None if place > 0 => 1,
            Some(DimensionValue::Value(dim)) if dim < -1 => {
                return Err(untrusted(format!("value {:?}: its dimension {place} is {dim}", name())));
            }
            Some(DimensionValue::Value(dim)) if dim > 0 => dim,
            // The first one is the batch.
            _ => i64::try_from(limits.batch).unwrap_or(i64::MAX),
        });
    }
    let bits = tensors::element_bits(tensor.elem_type.unwrap_or_default()).unwrap_or(8);
    match tensors::bytes_of(&dims, bits) {
        Some(bytes) if bytes <= limits.max_value_bytes => Ok(()),
        bytes => Err(untrusted(format!(
            "value {:?}: {} of {} pictures, by its shape, have {} bytes, {} at most",
            name(),
            "a batch",
            limits.batch,
            bytes.map_or("too many".to_owned(), |bytes| bytes.to_string()),
            limits.max_value_bytes
        ))),
    }
}
