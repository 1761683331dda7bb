//! Binary cross-entropy on logits.

use tch::{Reduction, TchError, Tensor};

use crate::train::network::uploaded;

/// The mean over pictures and labels of `−w·t·ln σ(x) − (1 − t)·ln(1 − σ(x))`.
///
/// `logits` and `targets` are [B, L]; `positive_weights` has a w for each label, or is empty where all are 1.
///
/// # Errors
/// Where the shapes differ.
pub fn binary_cross_entropy(logits: &Tensor, targets: &Tensor, positive_weights: &[f32]) -> Result<Tensor, TchError> {
    let weights = if positive_weights.is_empty() {
        None
    } else {
        Some(uploaded(&Tensor::f_from_slice(positive_weights)?, logits.device())?.f_to_kind(logits.kind())?)
    };
    logits.f_binary_cross_entropy_with_logits(targets, None::<Tensor>, weights, Reduction::Mean)
}
