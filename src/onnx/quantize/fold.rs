//! Making a trained graph simpler before it is quantised: the same function with fewer nodes.

use std::collections::{BTreeSet, HashMap};

use super::links::{Links, float_of, int_of, name_of};
use crate::onnx::{GraphProto, NodeProto, OnnxError, TensorProto, builder::prune, head::LOGITS};

/// Takes out what does nothing when a model is used (Dropout, Identity), turns Constant nodes into initializers, and
/// folds batch norms into the convolutions before them.
///
/// # Errors
/// Graphs inside of the graph, and tensors that cannot be read.
pub fn simplify(graph: &mut GraphProto) -> Result<(), OnnxError> {
    if graph.node.iter().flat_map(|node| &node.attribute).any(|attribute| attribute.g.is_some()) {
        return Err(OnnxError::Graph("a graph with branches (If) cannot be quantised".into()));
    }
    // Shapes and types of values that are about to change.
    graph.value_info.clear();
    constants_to_initializers(graph);
    drop_idle_nodes(graph);
    fold_into_convolutions(graph)?;
    prune(graph);
    Ok(())
}

fn constants_to_initializers(graph: &mut GraphProto) {
    let constant = |node: &NodeProto| {
        let [attribute] = node.attribute.as_slice() else { return None };
        let tensor = attribute.t.clone().filter(|_| node.op_type() == "Constant")?;
        Some(TensorProto { name: node.output.first().cloned(), ..tensor })
    };
    graph.initializer.extend(graph.node.iter().filter_map(constant));
    graph.node.retain(|node| constant(node).is_none());
}

fn drop_idle_nodes(graph: &mut GraphProto) {
    let outputs: Vec<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    let mut renamed: HashMap<String, String> = HashMap::new();
    graph.node.retain_mut(|node| {
        for input in &mut node.input {
            if let Some(name) = renamed.get(input) {
                input.clone_from(name);
            }
        }
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else { return true };
        let idle = matches!(node.op_type(), "Dropout" | "Identity") && output != LOGITS && !outputs.contains(output);
        if idle {
            renamed.insert(output.clone(), input.clone());
        }
        !idle
    });
}

/// `y = scale · x + shift` for each channel.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    /// A batch norm with its running statistics; `None` where they are no constants.
    fn of(norm: &NodeProto, links: &Links<'_>) -> Result<Option<Self>, OnnxError> {
        let [_, weight, bias, mean, variance] = norm.input.as_slice() else { return Ok(None) };
        let parts = [weight, bias, mean, variance];
        if int_of(norm, "training_mode", 0) != 0 || parts.iter().any(|part| links.constant(part).is_none()) {
            return Ok(None);
        }
        let epsilon = f64::from(float_of(norm, "epsilon", 1e-5));
        let [weight, bias, mean, variance] = parts.map(|part| links.floats(part));
        let (weight, bias, mean, variance) = (weight?, bias?, mean?, variance?);
        let scale: Vec<f64> = weight
            .iter()
            .zip(&variance)
            .map(|(weight, variance)| f64::from(*weight) / (f64::from(*variance) + epsilon).sqrt())
            .collect();
        let centred = bias.iter().zip(&mean).zip(&scale);
        let shift = centred.map(|((bias, mean), scale)| f64::from(*bias) - f64::from(*mean) * scale).collect();
        Ok(Some(Self { scale, shift }))
    }
}

/// What becomes of a layer that a batch norm is folded into.
struct Folded {
    norm: usize,
    layer: usize,
    weight: TensorProto,
    bias: TensorProto,
}

fn fold_into_convolutions(graph: &mut GraphProto) -> Result<(), OnnxError> {
    let links = Links::of(graph);
    let mut folded = Vec::new();
    for (place, norm) in graph.node.iter().enumerate().filter(|(_, node)| node.op_type() == "BatchNormalization") {
        let (Some(input), Some(_)) = (norm.input.first(), norm.output.first()) else { continue };
        let Some(layer) = links.producer(input).filter(|_| links.only_consumer(input) == Some(place)) else { continue };
        let conv = links.node(layer);
        if conv.op_type() != "Conv" || conv.input.len() < 2 || links.constant(&conv.input[1]).is_none() {
            continue;
        }
        if let Some(affine) = Affine::of(norm, &links)? {
            let (weight, bias) = into_convolution(conv, &affine, &links)?;
            folded.push(Folded { norm: place, layer, weight, bias });
        }
    }
    // The layer then makes what the norm made.
    let outputs: Vec<String> = folded.iter().map(|folded| graph.node[folded.norm].output[0].clone()).collect();
    apply(graph, folded, outputs);
    Ok(())
}

fn into_convolution(
    conv: &NodeProto,
    affine: &Affine,
    links: &Links<'_>,
) -> Result<(TensorProto, TensorProto), OnnxError> {
    let weight = &conv.input[1];
    let dims = links.constant(weight).map(|tensor| tensor.dims.clone()).unwrap_or_default();
    let mut values = links.floats(weight)?;
    let channels = affine.scale.len();
    check(values.len().is_multiple_of(channels.max(1)) && dims.first() == Some(&(channels as i64)), conv)?;
    let kernel = values.len() / channels.max(1);
    for (kernel, scale) in values.chunks_exact_mut(kernel.max(1)).zip(&affine.scale) {
        kernel.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
    let before = match conv.input.get(2).filter(|name| !name.is_empty()) {
        Some(bias) => links.floats(bias)?,
        None => vec![0.0; channels],
    };
    check(before.len() == channels, conv)?;
    let bias: Vec<f32> = before
        .iter()
        .zip(affine.scale.iter().zip(&affine.shift))
        .map(|(bias, (scale, shift))| (f64::from(*bias) * scale + shift) as f32)
        .collect();
    let [weight, bias_name] = names(conv);
    Ok((TensorProto::from_f32(&weight, &dims, &values), TensorProto::from_f32(&bias_name, &[channels as i64], &bias)))
}

/// Folds batch norms over [N, C] into the linear layers behind them, but for layers of these names: what a quantised
/// layer takes is better spread evenly by the norm.
///
/// # Errors
/// Tensors that cannot be read.
pub(super) fn fold_into_linear_layers(graph: &mut GraphProto, but: &BTreeSet<&str>) -> Result<(), OnnxError> {
    let links = Links::of(graph);
    let (mut folded, mut outputs) = (Vec::new(), Vec::new());
    for (place, norm) in graph.node.iter().enumerate().filter(|(_, node)| node.op_type() == "BatchNormalization") {
        let Some(output) = norm.output.first() else { continue };
        let Some(layer) = links.only_consumer(output) else { continue };
        let gemm = links.node(layer);
        if but.contains(name_of(gemm)) {
            continue;
        }
        if !is_plain_linear(gemm) || gemm.input.first() != Some(output) || links.constant(&gemm.input[1]).is_none() {
            continue;
        }
        let Some(made) = gemm.output.first() else { continue };
        if let Some(affine) = Affine::of(norm, &links)? {
            let (weight, bias) = into_linear(gemm, &affine, &links)?;
            folded.push(Folded { norm: place, layer, weight, bias });
            outputs.push(made.clone());
        }
    }
    // The layer then takes what the norm took.
    for Folded { norm, layer, .. } in &folded {
        graph.node[*layer].input[0] = graph.node[*norm].input[0].clone();
    }
    apply(graph, folded, outputs);
    prune(graph);
    Ok(())
}

/// Whether a node is `x · W + b` or `x · Wᵀ + b`.
pub(super) fn is_plain_linear(node: &NodeProto) -> bool {
    node.op_type() == "Gemm"
        && node.input.len() >= 2
        && int_of(node, "transA", 0) == 0
        && float_of(node, "alpha", 1.0) == 1.0
        && float_of(node, "beta", 1.0) == 1.0
}

fn into_linear(gemm: &NodeProto, affine: &Affine, links: &Links<'_>) -> Result<(TensorProto, TensorProto), OnnxError> {
    let weight = &gemm.input[1];
    let dims = links.constant(weight).map(|tensor| tensor.dims.clone()).unwrap_or_default();
    let mut values = links.floats(weight)?;
    let transposed = int_of(gemm, "transB", 0) != 0;
    let inputs = affine.scale.len();
    check(dims.len() == 2 && dims[usize::from(transposed)] == inputs as i64, gemm)?;
    let outputs = values.len() / inputs.max(1);
    let mut bias: Vec<f64> = match gemm.input.get(2).filter(|name| !name.is_empty()) {
        Some(bias) => links.floats(bias)?.into_iter().map(f64::from).collect(),
        None => vec![0.0; outputs],
    };
    check(bias.len() == outputs, gemm)?;
    for (place, value) in values.iter_mut().enumerate() {
        let (input, output) =
            if transposed { (place % inputs, place / inputs) } else { (place / outputs, place % outputs) };
        bias[output] += f64::from(*value) * affine.shift[input];
        *value = (f64::from(*value) * affine.scale[input]) as f32;
    }
    let bias: Vec<f32> = bias.into_iter().map(|value| value as f32).collect();
    let [weight, bias_name] = names(gemm);
    Ok((TensorProto::from_f32(&weight, &dims, &values), TensorProto::from_f32(&bias_name, &[outputs as i64], &bias)))
}

/// Names for a layer's new weight and bias.
fn names(layer: &NodeProto) -> [String; 2] {
    let name = layer.output.first().map_or("", String::as_str);
    [format!("folded.{name}.weight"), format!("folded.{name}.bias")]
}

fn check(fits: bool, layer: &NodeProto) -> Result<(), OnnxError> {
    let name = layer.output.first().cloned().unwrap_or_default();
    let wrong = || OnnxError::Graph(format!("the batch norm beside {name:?} does not fit its weights"));
    fits.then_some(()).ok_or_else(wrong)
}

/// Gives the layers their new weights and outputs, and takes the norms out.
fn apply(graph: &mut GraphProto, folded: Vec<Folded>, outputs: Vec<String>) {
    let mut norms: Vec<usize> = folded.iter().map(|folded| folded.norm).collect();
    for (Folded { layer, weight, bias, .. }, output) in folded.into_iter().zip(outputs) {
        let node = &mut graph.node[layer];
        node.input = vec![node.input[0].clone(), weight.name().to_owned(), bias.name().to_owned()];
        node.output = vec![output];
        graph.initializer.extend([weight, bias]);
    }
    norms.sort_unstable();
    let mut place = 0;
    graph.node.retain(|_| {
        place += 1;
        norms.binary_search(&(place - 1)).is_err()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{
        builder::{GraphBuilder, float, int},
        proto::DataType,
    };

    fn norm(builder: &mut GraphBuilder, name: &str, input: &str, values: [&[f32]; 4]) -> String {
        let parts = ["w", "b", "m", "v"];
        let names: Vec<String> = parts
            .iter()
            .zip(values)
            .map(|(part, values)| builder.constant(&format!("{name}.{part}"), &[values.len() as i64], values))
            .collect();
        let inputs: Vec<&str> = std::iter::once(input).chain(names.iter().map(String::as_str)).collect();
        builder.node("BatchNormalization", name, &inputs, vec![float("epsilon", 0.0)])
    }

    fn values(graph: &GraphProto, name: &str) -> Vec<f32> {
        graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap().to_f32().unwrap()
    }

    fn operators(graph: &GraphProto) -> Vec<&str> {
        graph.node.iter().map(NodeProto::op_type).collect()
    }

    #[test]
    fn a_batch_norm_becomes_part_of_the_convolution_before_it() {
        let mut builder = GraphBuilder::default();
        builder.input("x", DataType::Float, &[-1, 1, 2, 2]);
        builder.constant("k", &[2, 1, 1, 1], &[3.0, 5.0]);
        builder.constant("kb", &[2], &[1.0, 2.0]);
        builder.node("Conv", "conv", &["x", "k", "kb"], vec![]);
        // Scales 2/√4 = 1 and 6/√9 = 2; shifts .5 − 1·1 and 0 − 2·(−1).
        norm(&mut builder, "norm", "conv", [&[2.0, 6.0], &[0.5, 0.0], &[1.0, -1.0], &[4.0, 9.0]]);
        builder.node("Dropout", "kept", &["norm"], vec![]);
        builder.node("Relu", "y", &["kept"], vec![]);
        builder.output("y", DataType::Float, &[-1, 2, 2, 2]);
        let mut graph = builder.finish("g");
        simplify(&mut graph).unwrap();
        assert_eq!(operators(&graph), ["Conv", "Relu"]);
        assert_eq!(graph.node[0].output, ["norm"]);
        assert_eq!(graph.node[1].input, ["norm"]);
        assert_eq!(values(&graph, "folded.conv.weight"), [3.0, 10.0]);
        assert_eq!(values(&graph, "folded.conv.bias"), [1.0 - 0.5, 2.0 * 2.0 + 2.0]);
        assert_eq!(graph.initializer.len(), 2, "what is not used any more is gone");
    }

    #[test]
    fn a_batch_norm_becomes_part_of_the_linear_layer_behind_it() {
        for transposed in [true, false] {
            let mut builder = GraphBuilder::default();
            builder.input("x", DataType::Float, &[-1, 2]);
            // y₀ = 1·a + 2·b, y₁ = 3·a + 4·b.
            let rows = if transposed { [1.0, 2.0, 3.0, 4.0] } else { [1.0, 3.0, 2.0, 4.0] };
            builder.constant("w", &[2, 2], &rows);
            norm(&mut builder, "norm", "x", [&[2.0, 1.0], &[0.0, 1.0], &[1.0, 0.0], &[1.0, 1.0]]);
            builder.node("Gemm", "y", &["norm", "w"], vec![int("transB", i64::from(transposed))]);
            builder.output("y", DataType::Float, &[-1, 2]);
            let mut graph = builder.finish("g");
            fold_into_linear_layers(&mut graph, &BTreeSet::new()).unwrap();
            assert_eq!(operators(&graph), ["Gemm"]);
            assert_eq!(graph.node[0].input[0], "x");
            let expected = if transposed { [2.0, 2.0, 6.0, 4.0] } else { [2.0, 6.0, 2.0, 4.0] };
            assert_eq!(values(&graph, "folded.y.weight"), expected);
            // Shifts −2 and 1: 1·(−2) + 2·1 and 3·(−2) + 4·1.
            assert_eq!(values(&graph, "folded.y.bias"), [0.0, -2.0]);
        }
    }

    #[test]
    fn a_convolution_whose_output_is_needed_elsewhere_keeps_its_batch_norm() {
        let mut builder = GraphBuilder::default();
        builder.input("x", DataType::Float, &[-1, 1, 2, 2]);
        builder.constant("k", &[1, 1, 1, 1], &[3.0]);
        builder.node("Conv", "conv", &["x", "k"], vec![]);
        norm(&mut builder, "norm", "conv", [&[2.0], &[0.5], &[1.0], &[4.0]]);
        builder.node("Add", "y", &["norm", "conv"], vec![]);
        builder.output("y", DataType::Float, &[-1, 1, 2, 2]);
        let mut graph = builder.finish("g");
        simplify(&mut graph).unwrap();
        assert_eq!(operators(&graph), ["Conv", "BatchNormalization", "Add"]);
    }
}
