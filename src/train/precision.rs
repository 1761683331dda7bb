//! What training computes in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// The precision of convolutions and matrix products in training; everything else is float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As the model runs when it is served.
    #[default]
    Float32,
    /// Half the memory and, where the processor multiplies in it, a fraction of the time; 8 bits of precision.
    Bfloat16,
}

impl Precision {
    /// Whether a device may have instructions for it; of a graphics card that is not known before it is tried.
    pub fn is_native(self, device: Device) -> bool {
        match (self, device) {
            (Self::Float32, _) | (Self::Bfloat16, Device::Cuda(_)) => true,
            #[cfg(target_arch = "x86_64")]
            (Self::Bfloat16, Device::Cpu) => std::arch::is_x86_feature_detected!("avx512bf16"),
            (Self::Bfloat16, _) => false,
        }
    }

    /// The type of the tensors.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        })
    }
}

/// A precision, or that it is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// The faster one for the network on the device ([`Learner::choose_precision`](super::learner::Learner)).
    Auto,
    /// This one.
    Only(Precision),
}

impl FromStr for PrecisionChoice {
    type Err = String;

    /// `auto`, `float32` or `bfloat16`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "float32" => Ok(Self::Only(Precision::Float32)),
            "bfloat16" => Ok(Self::Only(Precision::Bfloat16)),
            _ => Err("give auto, float32 or bfloat16".to_owned()),
        }
    }
}
