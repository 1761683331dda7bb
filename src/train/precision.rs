//! What training computes in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::onnx::GraphProto;

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
    /// The faster one for a network on a device: bfloat16 on a graphics card, and where the processor has instructions for
    /// it and the network has no depthwise convolutions, which gain nothing by it and pay for the casts.
    ///
    /// A rule and no trial, so that a run with the same settings comes to the same weights.
    pub fn faster(graph: &GraphProto, device: Device) -> Self {
        let fast = match device {
            Device::Cuda(_) => true,
            #[cfg(target_arch = "x86_64")]
            Device::Cpu => std::arch::is_x86_feature_detected!("avx512bf16") && !has_depthwise(graph),
            _ => false,
        };
        if fast { Self::Bfloat16 } else { Self::Float32 }
    }

    /// The type of the tensors.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }
}

/// Whether a convolution of the graph has a group for each channel.
fn has_depthwise(graph: &GraphProto) -> bool {
    graph.node.iter().filter(|node| node.op_type() == "Conv").any(|node| {
        let groups = node.attribute.iter().find(|attribute| attribute.name() == "group").map_or(1, |it| it.i());
        let weight = node.input.get(1).and_then(|name| graph.initializer.iter().find(|it| it.name() == name));
        groups > 1 && weight.is_some_and(|weight| weight.dims.get(1) == Some(&1))
    })
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
    /// The faster one for the network on the device ([`Precision::faster`]).
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{onnx::arch::Architecture, picture::PictureSize};

    #[test]
    fn depthwise_convolutions_decide() {
        for (architecture, depthwise) in [(Architecture::Resnet18, false), (Architecture::MobilenetV2, true)] {
            let graph = architecture.build(PictureSize { width: 64, height: 64 }, 10);
            assert_eq!(has_depthwise(&graph), depthwise, "{architecture:?}");
        }
    }
}
