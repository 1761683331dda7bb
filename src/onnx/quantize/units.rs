//! What of a graph can be computed in integers.

use std::collections::{BTreeSet, HashSet};

use super::{
    fold::is_plain_linear,
    links::{Links, int_of, name_of},
};
use crate::onnx::{GraphProto, NodeProto, proto::DataType};

/// Weights from which on a linear layer gains: below it, making bytes costs as much as reading floats.
const LEAST_LINEAR: i64 = 1 << 17;

/// What a unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A convolution over height and width with constant weights.
    Conv,
    /// A large linear layer with constant weights.
    Gemm,
    /// A sum of two activations.
    Add,
    /// Activations joined along an axis.
    Concat,
    /// An average over a window or the whole picture.
    AveragePool,
    /// A maximum, or another shape: bytes stay what they are.
    Passive,
}

/// A node that can be computed in integers, with the ReLU or clip behind it that saturation does for nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// The node's name, by which it can be left in float32.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// The activations that it takes.
    pub inputs: Vec<String>,
    /// What it makes, its ReLU or clip applied.
    pub output: String,
    /// The node's place in the graph.
    pub(super) node: usize,
    /// The place of its ReLU or clip.
    pub(super) activation: Option<usize>,
}

impl Unit {
    /// Whether its output is in bytes at once. What a linear layer makes without a ReLU stays float32 until another unit
    /// takes it: mostly these are logits.
    pub(super) fn makes_bytes(&self) -> bool {
        self.kind != Kind::Gemm || self.activation.is_some()
    }
}

/// The units of a graph, in its order.
pub fn units(graph: &GraphProto) -> Vec<Unit> {
    let links = Links::of(graph);
    (0..graph.node.len()).filter_map(|place| unit(place, &links)).collect()
}

fn unit(place: usize, links: &Links<'_>) -> Option<Unit> {
    let node = links.node(place);
    let (first, output) = (node.input.first()?, node.output.first()?);
    let is_constant = |name: &String| links.constant(name).is_some();
    let (kind, inputs) = match node.op_type() {
        "Conv" if has_constants(node, 4, links) => (Kind::Conv, vec![first.clone()]),
        "Gemm" if is_plain_linear(node) && has_constants(node, 2, links) && is_large(node, links) => {
            (Kind::Gemm, vec![first.clone()])
        }
        "Add" => (Kind::Add, node.input.clone()),
        "Concat" => (Kind::Concat, node.input.clone()),
        "GlobalAveragePool" | "AveragePool" => (Kind::AveragePool, vec![first.clone()]),
        "MaxPool" if node.output.len() == 1 => (Kind::Passive, vec![first.clone()]),
        "Flatten" | "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" => (Kind::Passive, vec![first.clone()]),
        _ => return None,
    };
    if inputs.iter().any(is_constant) {
        return None;
    }
    let takes_activation = matches!(kind, Kind::Conv | Kind::Add | Kind::Gemm);
    let activation = links.only_consumer(output).filter(|&next| takes_activation && is_saturation(next, links));
    let behind = activation.and_then(|next| links.node(next).output.first()).unwrap_or(output);
    let name = name_of(node).to_owned();
    Some(Unit { name, kind, inputs, output: behind.clone(), node: place, activation })
}

fn is_large(linear: &NodeProto, links: &Links<'_>) -> bool {
    linear.input.get(1).and_then(|weight| links.constant(weight)).is_some_and(|weight| {
        let weights = weight.dims.iter().try_fold(1_i64, |count, &dim| count.checked_mul(dim));
        weights.is_some_and(|weights| weights >= LEAST_LINEAR)
    })
}

/// Whether weights, of so many dimensions, and bias are float32 constants.
fn has_constants(node: &NodeProto, rank: usize, links: &Links<'_>) -> bool {
    let floats = |name: &String| links.constant(name).filter(|tensor| tensor.data_type() == DataType::Float);
    let weight = node.input.get(1).and_then(floats);
    let bias = node.input.get(2).filter(|name| !name.is_empty());
    weight.is_some_and(|tensor| tensor.dims.len() == rank)
        && bias.is_none_or(|bias| floats(bias).is_some_and(|tensor| tensor.dims.len() == 1))
}

/// Whether a node is a ReLU, or a clip to a range around or beside 0 that stands in the graph.
fn is_saturation(place: usize, links: &Links<'_>) -> bool {
    let node = links.node(place);
    match node.op_type() {
        "Relu" => true,
        "Clip" => {
            let bound = |at: usize| node.input.get(at).map(|name| links.floats(name).ok()?.first().copied());
            let low = bound(1).unwrap_or(Some(f32::NEG_INFINITY));
            let high = bound(2).unwrap_or(Some(f32::INFINITY));
            low.zip(high).is_some_and(|(low, high)| low <= 0.0 && high >= 0.0)
        }
        _ => false,
    }
}

/// Says of each unit whether it is computed in integers, where those named `in_float` are not.
///
/// Convolutions and linear layers always gain. The others gain where what they take is in bytes already, and pools,
/// joins and shapes only where what they make is needed in bytes.
pub fn active(units: &[Unit], in_float: &BTreeSet<String>) -> Vec<bool> {
    let computes = |unit: &Unit| matches!(unit.kind, Kind::Conv | Kind::Gemm);
    let mut wanted: HashSet<&str> = HashSet::new();
    let mut gains = vec![false; units.len()];
    for (unit, gains) in units.iter().zip(&mut gains).rev() {
        // A maximum of bytes is as good as one of floats, and faster.
        let always = computes(unit) || unit.kind == Kind::Add;
        *gains = !in_float.contains(&unit.name) && (always || wanted.contains(unit.output.as_str()));
        if *gains {
            wanted.extend(unit.inputs.iter().map(String::as_str));
        }
    }
    let mut in_bytes: HashSet<&str> = HashSet::new();
    for (unit, active) in units.iter().zip(&mut gains) {
        *active &= computes(unit) || unit.inputs.iter().all(|input| in_bytes.contains(input.as_str()));
        if *active && unit.makes_bytes() {
            in_bytes.insert(&unit.output);
        }
    }
    gains
}

/// The axis of a unit's weights along which the output channels lie.
pub(super) fn channel_axis(unit: &Unit, node: &NodeProto) -> usize {
    usize::from(unit.kind == Kind::Gemm && int_of(node, "transB", 0) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        onnx::{
            arch::Architecture,
            builder::{GraphBuilder, int},
            proto::DataType,
            quantize::simplify,
            weights,
        },
        picture::PictureSize,
    };

    fn of(arch: Architecture) -> GraphProto {
        let mut graph = arch.build(PictureSize { width: 64, height: 64 }, 1000);
        weights::fill(&mut graph, |_, dims| vec![0.5; dims.iter().product::<i64>() as usize]).unwrap();
        simplify(&mut graph).unwrap();
        graph
    }

    fn count(units: &[Unit], kind: Kind) -> usize {
        units.iter().filter(|unit| unit.kind == kind).count()
    }

    #[test]
    fn every_layer_of_our_architectures_is_a_unit_with_its_relu() {
        for (arch, convs, adds, saturated) in [
            (Architecture::Resnet18, 20, 8, 9 + 8),
            (Architecture::Resnet50, 53, 16, 33 + 16),
            (Architecture::MobilenetV2, 52, 10, 35),
        ] {
            let graph = of(arch);
            let units = units(&graph);
            assert_eq!((count(&units, Kind::Conv), count(&units, Kind::Add)), (convs, adds), "{arch:?}");
            assert_eq!(units.iter().filter(|unit| unit.activation.is_some()).count(), saturated, "{arch:?}");
            let active = active(&units, &BTreeSet::new());
            // Of the pools and shapes the picture's transposition alone is not in bytes already.
            let idle: Vec<&str> =
                units.iter().zip(&active).filter(|(_, active)| !**active).map(|(unit, _)| unit.name.as_str()).collect();
            assert_eq!(idle, ["preprocess.planes"], "{arch:?}");
        }
    }

    #[test]
    fn a_sum_is_in_float_where_one_of_its_inputs_is() {
        let graph = of(Architecture::Resnet18);
        let units = units(&graph);
        let in_float: BTreeSet<String> = ["layer1.0.conv2".to_owned()].into();
        let active = active(&units, &in_float);
        let is_active = |name: &str| active[units.iter().position(|unit| unit.name == name).unwrap()];
        assert!(!is_active("layer1.0.conv2") && !is_active("layer1.0.add"));
        assert!(is_active("layer1.0.conv1") && is_active("layer1.1.conv1"));
        // Its other input comes from the sum that stays in float.
        assert!(!is_active("layer1.1.add") && is_active("layer2.0.add"));
    }

    #[test]
    fn pools_before_a_head_in_float_stay_in_float() {
        let mut builder = GraphBuilder::default();
        builder.input("x", DataType::Float, &[-1, 1, 4, 4]);
        builder.constant("k", &[1, 1, 1, 1], &[1.0]);
        builder.constant("low", &[], &[1.0]);
        builder.constant("w", &[2, 1], &[1.0, 1.0]);
        builder.node("Conv", "conv", &["x", "k"], vec![]);
        // A clip to 1 and more is no saturation of a range that contains 0.
        builder.node("Clip", "clip", &["conv", "low"], vec![]);
        builder.node("GlobalAveragePool", "pool", &["conv"], vec![]);
        builder.node("Flatten", "flat", &["pool"], vec![int("axis", 1)]);
        builder.node("MatMul", "y", &["flat", "w"], vec![]);
        builder.output("y", DataType::Float, &[-1, 2]);
        let graph = builder.finish("g");
        let units = units(&graph);
        assert_eq!(units[0].activation, None);
        assert_eq!(active(&units, &BTreeSet::new()), [true, false, false]);
    }
}
