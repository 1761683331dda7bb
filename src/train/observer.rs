//! What a run tells while it goes on, and who listens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One step of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Epochs done, this one not included.
    pub epoch: u64,
    /// Steps done in this epoch, this one included.
    pub step: u64,
    /// Steps of this epoch.
    pub steps: u64,
    /// Learning rate of each parameter group, from the first layers to the head.
    pub lrs: Vec<f64>,
    /// Adam's first beta.
    pub momentum: f64,
    /// Training loss: debiased exponential average with beta .98, over the whole fit (fastai's `train_loss`).
    pub loss: f64,
    /// Pictures in this step.
    pub pictures: u64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Epochs done, this one included, over all phases.
    pub epoch: u64,
    /// Epochs of the whole run.
    pub epochs: u64,
    /// What trained: `head` (and the batch norms of the body) or `all`.
    pub trains: String,
    /// See [`StepReport::loss`].
    #[serde(with = "number")]
    pub train_loss: f64,
    /// Mean loss over the validation split.
    #[serde(with = "number")]
    pub valid_loss: f64,
    /// Validation metrics by name.
    #[serde(with = "numbers")]
    pub metrics: Vec<(String, f64)>,
    /// Time of the epoch, validation included, in seconds in files.
    #[serde(with = "seconds")]
    pub time: Duration,
    /// The share of the training time in which the step waited for pictures.
    pub waiting: f64,
    /// Training pictures per second.
    pub pictures_per_second: f64,
}

/// Listens to a run.
pub trait Observer {
    /// A step was made.
    fn step(&mut self, report: &StepReport);
    /// An epoch was finished and validated.
    fn epoch(&mut self, report: &EpochReport);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: &StepReport) {}
    fn epoch(&mut self, _: &EpochReport) {}
}

/// Tells several, in their order.
pub struct Many<'a>(pub Vec<&'a mut dyn Observer>);

impl Observer for Many<'_> {
    fn step(&mut self, report: &StepReport) {
        self.0.iter_mut().for_each(|observer| observer.step(report));
    }

    fn epoch(&mut self, report: &EpochReport) {
        self.0.iter_mut().for_each(|observer| observer.epoch(report));
    }
}

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

/// A number that may be none, which JSON can only say as null.
pub(super) mod number {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in crate::train) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.is_finite().then_some(*number).serialize(serializer)
    }

    pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

/// Named numbers that may be none.
mod numbers {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(numbers: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        let numbers: Vec<_> =
            numbers.iter().map(|(name, number)| (name, number.is_finite().then_some(number))).collect();
        numbers.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
        let numbers: Vec<(String, Option<f64>)> = Vec::deserialize(deserializer)?;
        Ok(numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect())
    }
}
