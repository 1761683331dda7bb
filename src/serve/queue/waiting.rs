//! The pictures that wait, in the order in which they are to run.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{Job, Priority};
use crate::serve::sync::Instant;

/// A picture's place in the order: priority, then arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(Priority, u64);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    jobs: BTreeMap<Turn, Job>,
    /// Arrival of each of `jobs`, to find the one that has waited longest whatever its priority.
    arrivals: BTreeSet<(Instant, u64)>,
    arrived: u64,
}

impl Waiting {
    pub(super) fn put(&mut self, priority: Priority, job: Job) -> Turn {
        let turn = Turn(priority, self.arrived);
        self.arrived += 1;
        self.arrivals.insert((job.queued, turn.1));
        self.jobs.insert(turn, job);
        turn
    }

    pub(super) fn take_first(&mut self) -> Option<Job> {
        let (turn, job) = self.jobs.pop_first()?;
        self.arrivals.remove(&(job.queued, turn.1));
        Some(job)
    }

    /// Takes one out whose client has gone, unless a worker has it already.
    pub(super) fn remove(&mut self, turn: Turn) {
        if let Some(job) = self.jobs.remove(&turn) {
            self.arrivals.remove(&(job.queued, turn.1));
        }
    }

    /// Since when the one that has waited longest waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.arrivals.first().map(|(queued, _)| *queued)
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}
