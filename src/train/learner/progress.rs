//! What a run has done so far.

use serde::{Deserialize, Serialize};

use super::smoothed::SmoothedLoss;
use crate::train::observer::{EpochReport, StepReport, number};

/// What a run has done so far, and where in its plan it goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The phase of the plan to go on in, from 0.
    pub(super) phase: usize,
    /// The epoch of that phase, from 0.
    pub(super) epoch: usize,
    /// The step of that epoch, from 0; as many as it has where only its validation is left.
    pub(super) step: usize,
    /// Whether training ended before the plan did.
    pub(super) done: bool,
    pub(super) loss: SmoothedLoss,
    /// Updates of the average of the weights.
    pub(super) averaged: u64,
    /// The best epoch so far, by the recipe's metric.
    pub best: Option<Best>,
    /// Every finished epoch.
    pub epochs: Vec<EpochReport>,
    /// Every step.
    pub steps: Vec<StepReport>,
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Counted from 1, over all phases.
    pub epoch: u64,
    /// The metric's name.
    pub metric: String,
    /// Its value; NaN where there was nothing to measure.
    #[serde(with = "number")]
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_without_a_measure_goes_through_a_checkpoint() {
        let best = Best { epoch: 1, metric: "map".to_owned(), value: f64::NAN };
        let read: Best = serde_json::from_str(&serde_json::to_string(&best).unwrap()).unwrap();
        assert!(read.value.is_nan() && read.epoch == 1);
        let measured = Best { value: 0.5, ..best };
        assert_eq!(serde_json::from_str::<Best>(&serde_json::to_string(&measured).unwrap()).unwrap(), measured);
    }
}
