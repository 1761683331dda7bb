//! fastai's smoothed training loss.

use serde::{Deserialize, Serialize};

/// Exponential average with beta .98, divided by what it lacks at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SmoothedLoss {
    sum: f64,
    count: i32,
}

impl SmoothedLoss {
    const BETA: f64 = 0.98;

    /// Takes one more loss into account; the average with it.
    pub(super) fn add(&mut self, loss: f64) -> f64 {
        self.sum = Self::BETA * self.sum + (1.0 - Self::BETA) * loss;
        self.count += 1;
        self.value()
    }

    /// The average; no number before the first loss.
    pub(super) fn value(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum / (1.0 - Self::BETA.powi(self.count)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smoothed_loss_of_a_constant_is_that_constant() {
        let mut loss = SmoothedLoss::default();
        for _ in 0..5 {
            assert!((loss.add(3.0) - 3.0).abs() < 1e-12);
        }
    }
}
