//! The picture's own bytes as the first convolution's input.
//!
//! Our graphs begin with a cast of the uint8 picture, a transposition, and a scale and shift for each channel. Where
//! all of that leads to one convolution, scale and shift can become part of its weights, and the bytes of the picture
//! are its quantised activation as they are: nothing is rounded, and nothing is computed in float32. Only padding is not
//! quite the same: a kernel that reaches over the edge sees one byte for all channels there, not the three means.

use super::{links::Links, numbers::Params};
use crate::onnx::{GraphProto, OnnxError, proto::DataType};

/// The way from the picture to the first convolution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PictureWay {
    /// The graph's input.
    pub(super) input: String,
    /// The convolution's place.
    pub(super) conv: usize,
    /// What a byte stands for, for every channel.
    pub(super) params: Params,
    /// Nodes on the way that stay, in order: shape and order of bytes alone.
    pub(super) kept: Vec<usize>,
    /// Nodes on the way that go.
    pub(super) dropped: Vec<usize>,
    /// Of each channel: a normalised value is `factor · u + shift`, where u is what a byte stands for.
    channels: [(f64, f64); 3],
}

impl PictureWay {
    /// Makes the normalisation part of weights [O, 3, kh, kw] and bias.
    pub(super) fn absorb(&self, weights: &mut [f32], bias: &mut [f32]) {
        let kernel = weights.len() / bias.len().max(1);
        for (kernel, bias) in weights.chunks_exact_mut(kernel.max(1)).zip(bias) {
            let mut added = 0.0;
            for (plane, (factor, shift)) in kernel.chunks_exact_mut(kernel.len().div_ceil(3)).zip(self.channels) {
                for weight in plane {
                    added += f64::from(*weight) * shift;
                    *weight = (f64::from(*weight) * factor) as f32;
                }
            }
            *bias = (f64::from(*bias) + added) as f32;
        }
    }
}

/// The way of a graph that has one of this kind.
///
/// # Errors
/// Constants that cannot be read.
pub(super) fn find(graph: &GraphProto) -> Result<Option<PictureWay>, OnnxError> {
    let links = Links::of(graph);
    let Some(input) = graph.input.iter().find(|input| is_bytes(input)).map(|input| input.name().to_owned()) else {
        return Ok(None);
    };
    let mut tensor = input.clone();
    // A normalised value is factor · byte + shift.
    let mut channels = [(1.0_f64, 0.0_f64); 3];
    let (mut kept, mut dropped, mut is_turned) = (Vec::new(), Vec::new(), false);
    while let Some(place) = links.only_consumer(&tensor) {
        let node = links.node(place);
        match node.op_type() {
            "Cast" => dropped.push(place),
            "Transpose" if node.attribute.iter().any(|it| it.name() == "perm" && it.ints == [0, 3, 1, 2]) => {
                is_turned = true;
                kept.push(place);
            }
            // The order of the channels, before any of them is treated by itself.
            "Gather" if channels == [(1.0, 0.0); 3] && node.input.first() == Some(&tensor) => kept.push(place),
            operator @ ("Sub" | "Div" | "Mul" | "Add") => {
                let Some(constants) = constants_of(node, &tensor, is_turned, &links)? else { return Ok(None) };
                for ((factor, shift), constant) in channels.iter_mut().zip(constants) {
                    match operator {
                        "Sub" => *shift -= constant,
                        "Add" => *shift += constant,
                        "Mul" => (*factor, *shift) = (*factor * constant, *shift * constant),
                        _ => (*factor, *shift) = (*factor / constant, *shift / constant),
                    }
                }
                dropped.push(place);
            }
            "Conv" if is_turned && node.input.first() == Some(&tensor) => {
                let weight = node.input.get(1).and_then(|weight| links.constant(weight));
                let takes_all = weight.is_some_and(|weight| weight.dims.get(1) == Some(&3));
                let nodes = Nodes { conv: place, kept, dropped };
                return Ok(if takes_all { way(input, channels, nodes) } else { None });
            }
            _ => return Ok(None),
        }
        let Some(output) = node.output.first() else { return Ok(None) };
        tensor.clone_from(output);
    }
    Ok(None)
}

fn is_bytes(input: &crate::onnx::proto::ValueInfoProto) -> bool {
    crate::onnx::ends::tensor_shape(input).is_some_and(|(data_type, _)| data_type == DataType::Uint8)
}

/// What a node subtracts from, divides by and so on, for each channel; `None` where that is no such thing.
fn constants_of(
    node: &crate::onnx::NodeProto,
    tensor: &str,
    is_turned: bool,
    links: &Links<'_>,
) -> Result<Option<[f64; 3]>, OnnxError> {
    let [first, second] = node.input.as_slice() else { return Ok(None) };
    let constant = match (first == tensor, node.op_type()) {
        (true, _) => second,
        (false, "Mul" | "Add") => first,
        (false, _) => return Ok(None),
    };
    let Some(found) = links.constant(constant) else { return Ok(None) };
    let values = found.to_f32()?;
    let by_channel = if is_turned { found.dims.ends_with(&[3, 1, 1]) } else { found.dims.last() == Some(&3) };
    Ok(match *values.as_slice() {
        [all] => Some([f64::from(all); 3]),
        [a, b, c] if by_channel => Some([a, b, c].map(f64::from)),
        _ => None,
    })
}

struct Nodes {
    conv: usize,
    kept: Vec<usize>,
    dropped: Vec<usize>,
}

fn way(input: String, channels: [(f64, f64); 3], nodes: Nodes) -> Option<PictureWay> {
    let mean = |value: fn((f64, f64)) -> f64| channels.map(value).iter().sum::<f64>() / 3.0;
    let scale = mean(|(factor, _)| factor) as f32;
    let zero = mean(|(factor, shift)| -shift / factor);
    if !(scale > 0.0 && scale.is_finite() && zero.is_finite()) {
        return None;
    }
    // The byte that is nearest to the means stands for 0, because padding is 0.
    let params = Params { scale, zero_point: zero.round().clamp(0.0, 255.0) as u8 };
    let (scale, zero) = (f64::from(params.scale), f64::from(params.zero_point));
    let channels = channels.map(|(factor, shift)| (factor / scale, factor * zero + shift));
    let Nodes { conv, kept, dropped } = nodes;
    Some(PictureWay { input, conv, params, kept, dropped, channels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        onnx::{arch::Architecture, quantize::simplify, weights},
        picture::PictureSize,
    };

    #[test]
    fn normalisation_becomes_part_of_the_first_convolution() {
        let mut graph = Architecture::Resnet18.build(PictureSize { width: 64, height: 64 }, 10);
        weights::fill(&mut graph, |_, dims| vec![0.5; dims.iter().product::<i64>() as usize]).unwrap();
        simplify(&mut graph).unwrap();
        let way = find(&graph).unwrap().unwrap();
        assert_eq!(graph.node[way.conv].name(), "conv1");
        assert_eq!((way.kept.len(), way.dropped.len()), (1, 3));
        // 255 · (.485 + .456 + .406) / 3 is about 114.5 when the means are weighted by their deviations.
        assert!((114..=116).contains(&way.params.zero_point), "{:?}", way.params);
        // One pixel of each channel, by either way.
        let bytes = [10_u8, 130, 250];
        let (mut weights, mut bias) = (vec![0.3_f32, -0.7, 1.1], vec![0.25_f32]);
        let means = [0.485, 0.456, 0.406];
        let deviations = [0.229, 0.224, 0.225];
        let mut expected = f64::from(bias[0]);
        for (((byte, mean), deviation), weight) in bytes.iter().zip(means).zip(deviations).zip(&weights) {
            expected += f64::from(*weight) * (f64::from(*byte) / 255.0 - mean) / deviation;
        }
        way.absorb(&mut weights, &mut bias);
        let terms = bytes.iter().zip(&weights).map(|(byte, weight)| way.params.dequantise(*byte) * weight);
        let found = f64::from(bias[0] + terms.sum::<f32>());
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}
