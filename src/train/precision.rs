//! What training computes in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tch::Kind;

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
    /// The fastest that this processor has instructions for.
    pub fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512bf16") {
            return Self::Bfloat16;
        }
        Self::Float32
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

impl FromStr for Precision {
    type Err = String;

    /// `float32`, `bfloat16`, or `auto` for the fastest here.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::of_this_machine()),
            "float32" => Ok(Self::Float32),
            "bfloat16" => Ok(Self::Bfloat16),
            _ => Err("give auto, float32 or bfloat16".to_owned()),
        }
    }
}
