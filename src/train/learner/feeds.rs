//! Where an epoch's batches come from.

use std::time::Duration;

use super::Learner;
use crate::train::{TrainError, loader::Batches, objective::Fed, schedule::PhasePlan};

/// The batches of one epoch, in order.
pub(super) enum Feeds {
    /// Pictures, from the loader's threads.
    Pixels(Batches),
    /// What the body has given for them.
    Features(Box<dyn Iterator<Item = Result<Fed, TrainError>>>),
}

impl Feeds {
    /// How long the loop has waited for pictures so far.
    pub(super) fn waited(&self) -> Duration {
        match self {
            Self::Pixels(batches) => batches.waited(),
            Self::Features(_) => Duration::ZERO,
        }
    }
}

impl Iterator for Feeds {
    type Item = Result<Fed, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Pixels(batches) => batches.next().map(|batch| Ok(batch?.into())),
            Self::Features(rows) => rows.next(),
        }
    }
}

impl Learner {
    /// The training batches of an epoch of the run, without its first `skipped` ones.
    pub(super) fn feeds(&mut self, phase: &PhasePlan, epoch: u64, skipped: usize) -> Result<Feeds, TrainError> {
        Ok(match self.views_of(phase) {
            Some(views) => Feeds::Features(Box::new(self.feature_epoch(views, epoch, skipped)?)),
            None => Feeds::Pixels(self.train_loader().train_epoch(epoch, skipped)),
        })
    }
}
