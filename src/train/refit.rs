//! Batch norms that are only a unit scale.
//!
//! Some files have batch norms with mean 0 and variance 1 throughout: the real ones were folded into the convolutions,
//! and these were put in their place. Evaluated they do as they should; in training mode they would normalise by the
//! batch what was never normalised, and the network would be another one at the first step. [`refit`] measures what
//! the statistics are on training pictures, and changes weight and bias so that evaluation gives what it gave.

use std::fmt;

use tch::{Device, Kind, Tensor, no_grad};

use super::{
    TrainError,
    loader::Loader,
    network::{Mode, Network},
};
use crate::{
    onnx::{
        GraphProto, NodeProto, OnnxError, SourceGraph, TensorProto,
        head::{HEAD_PREFIX, LOGITS},
    },
    picture::PictureSize,
};

/// Training pictures that statistics are measured on.
const PICTURES: usize = 256;
/// How far outputs may move, relative to the largest.
const TOLERANCE: f64 = 1e-4;

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refitted {
    /// Training pictures that were measured.
    pub(super) pictures: usize,
    /// Batch norms that were changed.
    pub(super) norms: usize,
    /// How far outputs moved, relative to the largest.
    pub(super) difference: f64,
}

impl fmt::Display for Refitted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the {} batch norms of these weights are only a unit scale (mean 0, variance 1), which training would \
             break: statistics were measured on {} training pictures and refitted; outputs moved by {:.0e} of the largest",
            self.norms, self.pictures, self.difference
        )
    }
}

/// Whether a body's batch norms all have mean 0 and variance 1, to 1e-6, though it was trained: random weights are so
/// too, and need nothing, but their biases are 0 throughout.
///
/// # Errors
/// Statistics that cannot be read.
pub(super) fn is_unit_scale(graph: &GraphProto) -> Result<bool, OnnxError> {
    let mut trained = false;
    for norm in norms(graph) {
        let near = |values: &[f32], wanted: f32| values.iter().all(|value| (value - wanted).abs() <= 1e-6);
        if !near(&values(graph, norm, 3)?, 0.0) || !near(&values(graph, norm, 4)?, 1.0) {
            return Ok(false);
        }
        let conv = graph.node.iter().find(|node| node.op_type() == "Conv" && node.output[0] == norm.input[0]);
        // A bias that the graph computes is an exporter's zero.
        let conv_bias = conv.filter(|conv| conv.input.len() == 3).and_then(|conv| values(graph, conv, 2).ok());
        let conv_bias = conv_bias.unwrap_or_default();
        trained |= !near(&values(graph, norm, 2)?, 0.0) || !near(&conv_bias, 0.0);
    }
    Ok(trained)
}

/// Gives the batch norms of the body the statistics that their inputs have on training pictures.
///
/// With mean m and variance v in the place of m₀ and v₀, weight w·√((v + ε) / (v₀ + ε)) and bias
/// b + w·(m − m₀) / √(v₀ + ε) give the same outputs.
///
/// # Errors
/// Pictures that cannot be read, a failure of libtorch, or outputs that would change.
pub(super) fn refit(source: &mut SourceGraph, loader: &Loader, size: PictureSize) -> Result<Refitted, TrainError> {
    let norms: Vec<NodeProto> = norms(&source.graph).into_iter().cloned().collect();
    let inputs: Vec<&str> = norms.iter().map(|norm| norm.input[0].as_str()).collect();
    let mut network = Network::new(&source.graph, source.opset, Device::Cpu, Kind::Float)?;
    let mut moments: Vec<Moments> = Vec::new();
    let mut first: Option<(Tensor, Tensor)> = None;
    let mut pictures = 0;
    for batch in loader.train_epoch(0, 0) {
        let batch = batch?;
        let pixels = batch.image(size)?;
        let wanted = [inputs.as_slice(), &[LOGITS]].concat();
        let mut outputs = no_grad(|| network.forward(&pixels, &wanted, &Mode::Evaluate))?;
        if let (Some(logits), None) = (outputs.pop(), &first) {
            first = Some((pixels, logits));
        }
        moments.resize_with(inputs.len(), Moments::default);
        for (moments, tensor) in moments.iter_mut().zip(&outputs) {
            moments.add(tensor)?;
        }
        pictures += batch.items.len();
        if pictures >= PICTURES {
            break;
        }
    }
    for (norm, moments) in norms.iter().zip(&moments) {
        change(&mut source.graph, norm, &moments.mean(), &moments.variance())?;
    }
    let difference = match first {
        Some((pixels, before)) => relative_change(source, &pixels, &before)?,
        None => 0.0,
    };
    // A NaN has to fail too.
    if difference <= TOLERANCE {
        return Ok(Refitted { pictures, norms: norms.len(), difference });
    }
    Err(TrainError::Recipe(format!(
        "the batch norms of these weights are only a unit scale and could not be refitted: outputs would change by \
         {difference:.1e} of the largest; start from weights whose batch norms were kept"
    )))
}

/// The batch norms of the body.
fn norms(graph: &GraphProto) -> Vec<&NodeProto> {
    let in_body = |node: &&NodeProto| node.input.get(1).is_some_and(|weight| !weight.starts_with(HEAD_PREFIX));
    graph
        .node
        .iter()
        .filter(|node| node.op_type() == "BatchNormalization" && node.input.len() == 5)
        .filter(in_body)
        .collect()
}

/// The values of a constant input; of a batch norm's, 1 is weight, 2 bias, 3 running mean, 4 running variance.
fn values(graph: &GraphProto, node: &NodeProto, place: usize) -> Result<Vec<f32>, OnnxError> {
    let name = node.input[place].as_str();
    let tensor = graph.initializer.iter().find(|tensor| tensor.name() == name);
    tensor
        .ok_or_else(|| OnnxError::Graph(format!("node {:?} takes {name:?}, which is no constant", node.name())))?
        .to_f32()
}

fn change(graph: &mut GraphProto, norm: &NodeProto, mean: &[f64], variance: &[f64]) -> Result<(), OnnxError> {
    let epsilon = norm.attribute.iter().find(|it| it.name() == "epsilon").map_or(1e-5, |it| f64::from(it.f()));
    let old: Vec<Vec<f32>> = (1..5).map(|place| values(graph, norm, place)).collect::<Result<_, _>>()?;
    let count = old[0].len();
    let mut new: [Vec<f32>; 4] = Default::default();
    for channel in 0..count {
        let [weight, bias, old_mean, old_variance] = [0, 1, 2, 3].map(|part| f64::from(old[part][channel]));
        // What the file will say, so that the weight makes up for that very number.
        let (mean, variance) = (mean[channel] as f32, variance[channel] as f32);
        let slope = weight / (old_variance + epsilon).sqrt();
        new[0].push((slope * (f64::from(variance) + epsilon).sqrt()) as f32);
        new[1].push((bias + slope * (f64::from(mean) - old_mean)) as f32);
        new[2].push(mean);
        new[3].push(variance);
    }
    for (place, values) in (1..5).zip(new) {
        let name = norm.input[place].as_str();
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.name() == name) {
            *tensor = TensorProto::from_f32(name, &[count as i64], &values);
        }
    }
    Ok(())
}

fn relative_change(source: &SourceGraph, pixels: &Tensor, before: &Tensor) -> Result<f64, TrainError> {
    let mut network = Network::new(&source.graph, source.opset, Device::Cpu, Kind::Float)?;
    let after = no_grad(|| network.forward(pixels, &[LOGITS], &Mode::Evaluate))?.remove(0);
    let difference = after.f_sub(before)?.f_abs()?.f_max()?.f_double_value(&[])?;
    Ok(difference / before.f_abs()?.f_max()?.f_double_value(&[])?.max(f64::MIN_POSITIVE))
}

/// Sums over every axis but the channels'.
#[derive(Debug, Default)]
struct Moments {
    count: f64,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Adds a tensor [N, C, …].
    fn add(&mut self, tensor: &Tensor) -> Result<(), TrainError> {
        let axes: Vec<i64> = (0..tensor.dim() as i64).filter(|&axis| axis != 1).collect();
        let double = tensor.f_to_kind(Kind::Double)?;
        let total = |tensor: &Tensor| -> Result<Vec<f64>, TrainError> {
            Ok(Vec::try_from(&tensor.f_sum_dim_intlist(axes.as_slice(), false, Kind::Double)?)?)
        };
        let (sum, squares) = (total(&double)?, total(&double.f_square()?)?);
        self.sum.resize(sum.len(), 0.0);
        self.squares.resize(sum.len(), 0.0);
        self.sum.iter_mut().zip(&sum).for_each(|(all, one)| *all += one);
        self.squares.iter_mut().zip(&squares).for_each(|(all, one)| *all += one);
        self.count += (tensor.numel() / sum.len().max(1)) as f64;
        Ok(())
    }

    fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|sum| sum / self.count).collect()
    }

    fn variance(&self) -> Vec<f64> {
        let pairs = self.squares.iter().zip(self.mean());
        pairs.map(|(squares, mean)| (squares / self.count - mean * mean).max(0.0)).collect()
    }
}
