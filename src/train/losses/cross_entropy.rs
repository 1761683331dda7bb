//! Softmax cross-entropy.

use tch::{Reduction, TchError, Tensor};

/// The mean over pictures of `−Σ t·ln softmax(x)`.
///
/// `logits` and `targets` are [B, L]; each row of the targets sums to 1, as one label or a mixture of several.
///
/// # Errors
/// Where the shapes do not fit.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
    /// torch's default for `ignore_index`, which has no meaning for targets that are shares.
    const NO_CLASS: i64 = -100;
    logits.f_cross_entropy_loss(targets, None::<Tensor>, Reduction::Mean, NO_CLASS, 0.0)
}
