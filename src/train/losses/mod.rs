//! What training makes small.
//!
//! `settings` is the choice as data, [`LossSettings`], which meets a task and becomes a [`TaskLoss`]; the losses
//! themselves are one a file. They take float tensors and give a scalar: the mean over pictures and labels, over
//! pictures, or over the coordinates and values that the mask keeps, so that a learning rate that suits one batch size
//! or number of labels suits another. Targets of labels may be shares between 0 and 1, as mixing and smoothing make them.

mod asymmetric;
mod binary;
mod cross_entropy;
mod difference;
mod focal;
mod positive_weights;
mod settings;

use tch::{TchError, Tensor};

pub use asymmetric::Asymmetric;
pub use binary::binary_cross_entropy;
pub use cross_entropy::cross_entropy;
pub use difference::{Difference, Huber, Wing};
pub use focal::Focal;
pub use positive_weights::PositiveWeights;
pub use settings::{LossKind, LossSettings};

/// A loss that fits its task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskLoss {
    /// Between logits [B, L] and shares [B, L].
    Labels(LabelLoss),
    /// Between outputs and targets, [B, K, 2] or [B, K].
    Differences(Difference),
}

/// A loss of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelLoss {
    kind: LabelLossKind,
    /// How far targets move towards saying nothing, 0…1.
    smoothing: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum LabelLossKind {
    /// With the weight of each label's positive term; empty where all are 1.
    Binary(Vec<f32>),
    Focal(Focal),
    Asymmetric(Asymmetric),
    CrossEntropy,
}

impl LabelLoss {
    /// The loss of logits against targets, both [B, L].
    ///
    /// # Errors
    /// Where the shapes differ.
    pub fn of(&self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let targets = &self.smoothed(targets)?;
        match &self.kind {
            LabelLossKind::Binary(weights) => binary_cross_entropy(logits, targets, weights),
            LabelLossKind::Focal(focal) => focal.of(logits, targets),
            LabelLossKind::Asymmetric(asymmetric) => asymmetric.of(logits, targets),
            LabelLossKind::CrossEntropy => cross_entropy(logits, targets),
        }
    }

    /// Labels that are independent move towards one half, those that exclude each other towards equal shares.
    fn smoothed(&self, targets: &Tensor) -> Result<Tensor, TchError> {
        if self.smoothing == 0.0 {
            return Ok(targets.shallow_clone());
        }
        let single = self.kind == LabelLossKind::CrossEntropy;
        let labels = targets.size().last().copied().unwrap_or(1).max(1) as f64;
        let nothing = if single { 1.0 / labels } else { 0.5 };
        targets.f_mul_scalar(1.0 - self.smoothing)?.f_add_scalar(self.smoothing * nothing)
    }
}

#[cfg(test)]
mod tests;
