//! Tensors of the ONNX file to libtorch's and back.

use tch::{Device, Kind, Tensor};

use super::NetworkError;
use crate::onnx::{OnnxError, TensorProto, proto::DataType};

/// A tensor of the file, in its own element type and in host memory.
///
/// # Errors
/// Data that do not fit the shape, and element types that libtorch's binding lacks.
pub fn to_tensor(proto: &TensorProto) -> Result<Tensor, NetworkError> {
    let kind = kind_of(proto.data_type()).ok_or_else(|| OnnxError::Tensor {
        name: proto.name().to_owned(),
        reason: format!("elements of type {:?} are not supported", proto.data_type()),
    })?;
    let bytes = proto.little_endian_bytes()?;
    Ok(Tensor::f_from_data_size(&bytes, &proto.dims, kind)?)
}

/// The values of a tensor as float32, in row-major order whatever its strides.
///
/// # Errors
/// None but libtorch's own.
pub fn to_f32(tensor: &Tensor) -> Result<Vec<f32>, NetworkError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

/// A tensor on a device. From pinned memory a card fetches it by itself, while the processor goes on; to fetch it from
/// other memory, it first finishes what it was given before.
///
/// # Errors
/// libtorch's.
pub fn uploaded(tensor: &Tensor, device: Device) -> Result<Tensor, tch::TchError> {
    if tensor.device() == device || !device.is_cuda() {
        return tensor.f_to_device(device);
    }
    // `pin_memory` itself warns in every call that its argument is deprecated, which the binding always gives.
    tensor.f_internal_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)
}

/// libtorch's name of an element type.
pub(super) fn kind_of(data_type: DataType) -> Option<Kind> {
    Some(match data_type {
        DataType::Float => Kind::Float,
        DataType::Double => Kind::Double,
        DataType::Float16 => Kind::Half,
        DataType::Bfloat16 => Kind::BFloat16,
        DataType::Uint8 => Kind::Uint8,
        DataType::Int8 => Kind::Int8,
        DataType::Int16 => Kind::Int16,
        DataType::Int32 => Kind::Int,
        DataType::Int64 => Kind::Int64,
        DataType::Bool => Kind::Bool,
        _ => return None,
    })
}

/// The values of an integer tensor.
pub(super) fn to_ints(tensor: &Tensor) -> Result<Vec<i64>, tch::TchError> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?.f_contiguous()?;
    let mut values = vec![0; tensor.numel()];
    tensor.f_copy_data(&mut values, tensor.numel())?;
    Ok(values)
}

/// Whether elements are floating-point numbers.
pub(super) fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

/// A copy of the values, without a gradient.
///
/// # Errors
/// libtorch's.
pub fn copy_of(tensor: &Tensor) -> Result<Tensor, NetworkError> {
    let tensor = tensor.f_detach()?;
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(&tensor)?;
    Ok(copy)
}
