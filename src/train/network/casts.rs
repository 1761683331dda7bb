//! Where a graph that runs in bfloat16 changes precision.
//!
//! Convolutions and matrix products of the body run in bfloat16: their inputs are cast to it, weights among them, which
//! stay float32 wherever they are kept. What adds up many terms or is steep (reductions, normalisations over a layer,
//! exponentials) runs in float32, and so does the whole head. Everything else, batch norm with its float32 statistics
//! among it, takes what it is given. The lists are about those of PyTorch's autocast for processors.

use tch::{Kind, TchError, Tensor};

use crate::onnx::{NodeProto, head::HEAD_PREFIX};

/// Operators that run in the reduced precision.
const REDUCED: [&str; 5] = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"];
/// Operators that run in full precision.
const FULL: [&str; 17] = [
    "Exp",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "Mean",
    "Pow",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
];

/// What happens to the float inputs of a node where the graph runs in reduced precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Casts {
    /// They are cast down to it.
    Reduce,
    /// They are cast back to the network's own precision.
    Restore,
    /// They are taken as they come.
    Keep,
}

impl Casts {
    /// For a node of the name `name`.
    pub(super) fn of(proto: &NodeProto, name: &str) -> Self {
        if name.starts_with(HEAD_PREFIX) || FULL.contains(&proto.op_type()) {
            Self::Restore
        } else if REDUCED.contains(&proto.op_type()) {
            Self::Reduce
        } else {
            Self::Keep
        }
    }

    /// The tensor in the other precision, where it has to change; `None` where it stays as it is.
    pub(super) fn apply(self, tensor: &Tensor, full: Kind, reduced: Kind) -> Result<Option<Tensor>, TchError> {
        let to = match self {
            Self::Reduce if tensor.kind() == full => reduced,
            Self::Restore if tensor.kind() == reduced => full,
            _ => return Ok(None),
        };
        tensor.f_to_kind(to).map(Some)
    }
}
