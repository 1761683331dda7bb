//! Asymmetric loss: easy negatives count less than easy positives, and very easy ones not at all (Ridnik et al. 2021,
//! "Asymmetric Loss For Multi-Label Classification").

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::focal::SMALLEST_BASE;

/// `−t·(1 − p)^γ₊·ln p − (1 − t)·q^γ₋·ln(1 − q)` with p = σ(x) and q = max(p − clip, 0); timm's
/// `AsymmetricLossMultiLabel` with `reduction="mean"`.
///
/// The paper sums where this takes the mean, so that its learning rates are those of the other losses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asymmetric {
    /// γ₋, 0…10.
    pub gamma_negative: f64,
    /// γ₊, 0…10.
    pub gamma_positive: f64,
    /// What is taken from the probabilities of labels that are absent, 0 to below 1.
    pub clip: f64,
}

impl Default for Asymmetric {
    /// The paper's: 4, 1 and .05.
    fn default() -> Self {
        Self { gamma_negative: 4.0, gamma_positive: 1.0, clip: 0.05 }
    }
}

impl Asymmetric {
    pub(super) fn validate(self) -> Result<(), String> {
        for (name, gamma) in [("gamma_negative", self.gamma_negative), ("gamma_positive", self.gamma_positive)] {
            if !(0.0..=10.0).contains(&gamma) {
                return Err(format!("loss asymmetric: {name} {gamma} is not in 0…10"));
            }
        }
        let clip = self.clip;
        if (0.0..1.0).contains(&clip) { Ok(()) } else { Err(format!("loss asymmetric: clip {clip} is not in 0…1")) }
    }

    /// The mean over pictures and labels; both tensors are [B, L].
    ///
    /// # Errors
    /// Where the shapes differ.
    pub fn of(&self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let others = targets.f_rsub_scalar(1.0)?;
        let absent = logits.f_neg()?;
        let shifted = logits.f_sigmoid()?.f_sub_scalar(self.clip)?.f_clamp_min(0.0)?;
        // Logarithms from logits, where timm takes those of probabilities that it keeps above 1e-8: there a label that
        // is missed by far would have no gradient.
        let negative = if self.clip == 0.0 { absent.f_log_sigmoid()? } else { shifted.f_rsub_scalar(1.0)?.f_log()? };
        let entropy = logits.f_log_sigmoid()?.f_mul(targets)?.f_add(&negative.f_mul(&others)?)?;
        let missing = absent.f_sigmoid()?.f_mul(targets)?.f_add(&shifted.f_mul(&others)?)?;
        let gammas = targets.f_mul_scalar(self.gamma_positive)?.f_add(&others.f_mul_scalar(self.gamma_negative)?)?;
        let loss = entropy.f_mul(&missing.f_clamp_min(SMALLEST_BASE)?.f_pow(&gammas)?)?.f_neg()?;
        loss.f_mean(loss.kind())
    }
}
