//! Focal loss: pictures that are easy count little (Lin et al. 2017, "Focal Loss for Dense Object Detection").

use serde::{Deserialize, Serialize};
use tch::{Reduction, TchError, Tensor};

/// Keeps a power's slope finite where its base is 0.
pub(super) const SMALLEST_BASE: f64 = 1e-12;

/// Binary cross-entropy times `(1 − p_t)^gamma`, where p_t is the probability given to what is true; torchvision's
/// `sigmoid_focal_loss` with `reduction="mean"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Focal {
    /// How fast the weight of an easy example falls, 0…10; 0 is binary cross-entropy.
    pub gamma: f64,
    /// The share of the positive term, whose complement is the negative term's; between 0 and 1, none for neither.
    pub alpha: Option<f64>,
}

impl Default for Focal {
    /// Gamma 2 without alpha: alpha .25 is for detectors, where nearly every example is background.
    fn default() -> Self {
        Self { gamma: 2.0, alpha: None }
    }
}

impl Focal {
    pub(super) fn validate(self) -> Result<(), String> {
        if !(0.0..=10.0).contains(&self.gamma) {
            return Err(format!("loss focal: gamma {} is not in 0…10", self.gamma));
        }
        match self.alpha {
            Some(alpha) if !(alpha > 0.0 && alpha < 1.0) => {
                Err(format!("loss focal: alpha {alpha} is not between 0 and 1"))
            }
            _ => Ok(()),
        }
    }

    /// The mean over pictures and labels; both tensors are [B, L].
    ///
    /// # Errors
    /// Where the shapes differ.
    pub fn of(&self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let none = None::<&Tensor>;
        let entropy = logits.f_binary_cross_entropy_with_logits(targets, none, none, Reduction::None)?;
        let others = targets.f_rsub_scalar(1.0)?;
        // 1 − p_t, from the logits' own side, so that it does not vanish by rounding.
        let missing = logits.f_neg()?.f_sigmoid()?.f_mul(targets)?.f_add(&logits.f_sigmoid()?.f_mul(&others)?)?;
        let loss = entropy.f_mul(&missing.f_clamp_min(SMALLEST_BASE)?.f_pow_tensor_scalar(self.gamma)?)?;
        let Some(alpha) = self.alpha else { return loss.f_mean(loss.kind()) };
        let share = targets.f_mul_scalar(alpha)?.f_add(&others.f_mul_scalar(1.0 - alpha)?)?;
        loss.f_mul(&share)?.f_mean(loss.kind())
    }
}
