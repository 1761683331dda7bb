//! Element types of stored tensors, and their values as float32.

use half::{bf16, f16};
use safetensors::Dtype;

/// The type of a stored tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float16,
    Bfloat16,
    Float32,
    Float64,
    /// Integers and booleans, with their width in bytes: they are stepped over, but are no weights.
    Whole(usize),
}

impl Element {
    /// By the name of PyTorch's class, such as `FloatStorage`.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "HalfStorage" => Self::Float16,
            "BFloat16Storage" => Self::Bfloat16,
            "FloatStorage" => Self::Float32,
            "DoubleStorage" => Self::Float64,
            "LongStorage" => Self::Whole(8),
            "IntStorage" => Self::Whole(4),
            "ShortStorage" => Self::Whole(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => Self::Whole(1),
            _ => return None,
        })
    }

    /// By safetensors' type.
    pub(super) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F16 => Self::Float16,
            Dtype::BF16 => Self::Bfloat16,
            Dtype::F32 => Self::Float32,
            Dtype::F64 => Self::Float64,
            Dtype::I64 | Dtype::U64 => Self::Whole(8),
            Dtype::I32 | Dtype::U32 => Self::Whole(4),
            Dtype::I16 | Dtype::U16 => Self::Whole(2),
            Dtype::I8 | Dtype::U8 | Dtype::BOOL => Self::Whole(1),
            _ => return None,
        })
    }

    /// Bytes for one element.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
            Self::Whole(width) => width,
        }
    }

    /// One element's little-endian bytes as float32, rounded to nearest; none for whole numbers.
    pub(super) fn to_f32(self, bytes: &[u8]) -> Option<f32> {
        Some(match self {
            Self::Float16 => f16::from_le_bytes(bytes.try_into().ok()?).to_f32(),
            Self::Bfloat16 => bf16::from_le_bytes(bytes.try_into().ok()?).to_f32(),
            Self::Float32 => f32::from_le_bytes(bytes.try_into().ok()?),
            Self::Float64 => f64::from_le_bytes(bytes.try_into().ok()?) as f32,
            Self::Whole(_) => return None,
        })
    }
}
