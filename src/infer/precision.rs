//! Numbers that a model computes with.

use std::{fmt, str::FromStr};

/// What a model file's weights and activations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32: `model.onnx`.
    Float32,
    /// Integers of 8 bits: `model.int8.onnx`.
    Int8,
}

/// Which precision is to run, where a version has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionChoice {
    /// INT8 where it gives the right answers on this host, and faster ones.
    #[default]
    Auto,
    /// This one.
    Only(Precision),
}

impl fmt::Display for Precision {
    /// As manifests name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "fp32",
            Self::Int8 => "int8",
        })
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(precision) => precision.fmt(f),
        }
    }
}

impl FromStr for PrecisionChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Auto, Self::Only(Precision::Float32), Self::Only(Precision::Int8)];
        all.into_iter().find(|choice| choice.to_string() == text).ok_or(())
    }
}
