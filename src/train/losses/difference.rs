//! How far points and values are from where they should be.

use serde::{Deserialize, Serialize};
use tch::{Reduction, TchError, Tensor};

/// A loss of one coordinate's or value's difference d from its target, the mean over what a mask keeps.
///
/// Coordinates are in units of the frame, −1…1; values in units of their deviations over the training split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// d².
    Squared,
    /// |d|.
    Absolute,
    /// See [`Huber`].
    Huber(Huber),
    /// See [`Wing`].
    Wing(Wing),
}

/// d²/2 up to delta, and |d|·delta − delta²/2 beyond, so that outliers pull no harder; torch's `HuberLoss`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Huber {
    /// Above 0.
    pub delta: f64,
}

impl Default for Huber {
    /// torch's: 1.
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

/// `width·ln(1 + |d|/curvature)` below width, and |d| less a constant beyond: small differences count for more than by
/// |d| (Feng et al. 2018, "Wing Loss for Robust Facial Landmark Localisation").
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wing {
    /// Where the logarithm ends (the paper's w); above 0.
    pub width: f64,
    /// The smaller, the steeper around 0 (the paper's ε); above 0.
    pub curvature: f64,
}

impl Default for Wing {
    /// The paper's 10 and 2 pixels of a frame of 256, in −1…1 coordinates.
    fn default() -> Self {
        Self { width: 20.0 / 256.0, curvature: 4.0 / 256.0 }
    }
}

impl Huber {
    pub(super) fn validate(self) -> Result<(), String> {
        above_zero("huber", "delta", self.delta)
    }
}

impl Wing {
    pub(super) fn validate(self) -> Result<(), String> {
        above_zero("wing", "width", self.width)?;
        above_zero("wing", "curvature", self.curvature)
    }

    fn of(self, difference: &Tensor) -> Result<Tensor, TchError> {
        let size = difference.f_abs()?;
        let near = size.f_div_scalar(self.curvature)?.f_log1p()?.f_mul_scalar(self.width)?;
        // What makes the two pieces meet.
        let constant = self.width - self.width * (self.width / self.curvature).ln_1p();
        near.f_where_self(&size.f_lt(self.width)?, &size.f_sub_scalar(constant)?)
    }
}

fn above_zero(loss: &str, name: &str, value: f64) -> Result<(), String> {
    let right = value > 0.0 && value.is_finite();
    if right { Ok(()) } else { Err(format!("loss {loss}: {name} {value} is not above 0")) }
}

impl Difference {
    /// The mean over what the mask keeps; 0 where it keeps nothing.
    ///
    /// All have one shape, [B, K, 2] or [B, K]; the mask is 1 for an element that counts and 0 for one that does not,
    /// whose target may be any finite number.
    ///
    /// # Errors
    /// Where the shapes differ.
    pub fn of(&self, predicted: &Tensor, targets: &Tensor, mask: &Tensor) -> Result<Tensor, TchError> {
        let each = match self {
            Self::Squared => predicted.f_sub(targets)?.f_square()?,
            Self::Absolute => predicted.f_sub(targets)?.f_abs()?,
            Self::Huber(huber) => predicted.f_huber_loss(targets, Reduction::None, huber.delta)?,
            Self::Wing(wing) => wing.of(&predicted.f_sub(targets)?)?,
        };
        each.f_mul(mask)?.f_sum(None)?.f_div(&mask.f_sum(None)?.f_clamp_min(1.0)?)
    }
}
