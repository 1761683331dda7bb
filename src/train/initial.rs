//! Initial values of parameters that no weight file gives.

use rand::RngExt as _;

use super::random::{Purpose, draws};
use crate::onnx::{GraphProto, OnnxError, head::HEAD_PREFIX, weights};

/// Fills every parameter without values.
///
/// Convolutions: Kaiming normal, fan-out, as torchvision starts them. Linear layers: Kaiming normal, fan-in, gain √2.
/// Batch norm: weight 1, bias 0 (1e-3 in the head, as fastai's), running mean 0, running variance 1. Other biases: 0.
///
/// # Errors
/// A parameter whose shape cannot be counted.
pub fn initialise(graph: &mut GraphProto, seed: u64) -> Result<(), OnnxError> {
    let mut place = 0;
    weights::fill(graph, |name, dims| {
        place += 1;
        let count = dims.iter().product::<i64>() as usize;
        let part = name.rsplit('.').next().unwrap_or(name);
        match (part, dims) {
            ("weight", &[out, _, height, width]) => normal(seed, place, count, (out * height * width) as f64),
            ("weight", &[_, inputs]) => normal(seed, place, count, inputs as f64),
            ("weight" | "running_var", _) => vec![1.0; count],
            ("bias", _) if name.starts_with(HEAD_PREFIX) => vec![1e-3; count],
            _ => vec![0.0; count],
        }
    })
}

/// Normal draws with variance 2 / fan (He et al. 2015, arXiv:1502.01852).
fn normal(seed: u64, place: u64, count: usize, fan: f64) -> Vec<f32> {
    let mut random = draws(seed, Purpose::Weights, 0, place);
    let deviation = (2.0 / fan).sqrt();
    (0..count).map(|_| (deviation * standard_normal(&mut random)) as f32).collect()
}

/// Box and Muller's transform of two uniform draws.
fn standard_normal(random: &mut impl rand::Rng) -> f64 {
    // 1 − u lies in (0, 1], so that its logarithm is finite.
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_variance_of_he() {
        let values = normal(1, 0, 100_000, 50.0);
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 100_000.0;
        assert!((variance - 0.04).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn the_same_seed_draws_the_same_weights() {
        assert_eq!(normal(7, 3, 10, 1.0), normal(7, 3, 10, 1.0));
        assert_ne!(normal(7, 3, 10, 1.0), normal(8, 3, 10, 1.0));
    }
}
