//! INT8: rewriting a float32 graph for integer kernels, and the arithmetic of calibration.
//!
//! In reading order: [`simplify()`] folds batch norms into convolutions; [`units()`] finds what can be computed in integers;
//! [`probe()`] makes their activations outputs, whose values a [`Histogram`] collects for each; a [`Method`] turns it into
//! a [`Range`]; [`rewrite()`] puts QuantizeLinear and DequantizeLinear around every unit that is not left in float32.
//!
//! The graphs are made for ONNX Runtime's kernels on processors: weights are signed, symmetric, with a scale for each
//! output channel; activations are unsigned with one scale and zero point; biases are int32. ONNX Runtime fuses each unit
//! into one operator (QLinearConv, QLinearAdd, …). Nothing is quantised dynamically: a picture's answer never depends on
//! the pictures beside it. Nothing here knows libtorch or ONNX Runtime.

mod entropy;
mod fold;
mod histogram;
mod links;
mod numbers;
mod picture;
mod probe;
mod range;
mod rewrite;
mod units;

pub use fold::simplify;
pub use histogram::Histogram;
pub use numbers::{Params, WeightRange, quantise_bias, quantise_weights};
pub use probe::{probe, probed};
pub use range::{Method, Range};
pub use rewrite::{Recipe, rewrite};
pub use units::{Kind, Unit, active, units};

use super::GraphProto;

/// The first operator set whose DequantizeLinear has a scale for each channel.
pub const MIN_OPSET: i64 = 13;

/// Whether a graph computes in integers, at least in part.
pub fn is_quantised(graph: &GraphProto) -> bool {
    graph.node.iter().any(|node| {
        let operator = node.op_type();
        operator == "DequantizeLinear" || operator.starts_with("QLinear") || operator == "QGemm"
    })
}
