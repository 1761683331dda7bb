//! What a version has done since it was loaded: how many pictures and batches, and how long each stage took in all.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

/// A version's sums. Requests and workers add to them, held for moments only.
#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<Sums>);

/// How often, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) time: Duration,
}

/// The sums at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// Pictures that were answered, from the request to the model's output.
    pub(super) answered: Sum,
    /// Pictures that were not: broken, too late, refused, or failed in the model.
    pub(super) failed: Sum,
    /// Of those answered: waiting for a decoding thread and for the model.
    pub(super) waited: Sum,
    /// Of those answered: decoding and resizing.
    pub(super) decoded: Sum,
    /// Of those answered: the batch that each ran in.
    pub(super) inferred: Sum,
    /// The batches that ran, by size.
    pub(super) batches: BTreeMap<usize, Sum>,
    /// When the last picture was answered.
    pub(super) last: Option<SystemTime>,
}

impl Sum {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time = self.time.saturating_add(time);
    }
}

impl Statistics {
    /// A picture was answered.
    pub(super) fn answered(&self, total: Duration, waited: Duration, decoded: Duration, inferred: Duration) {
        let mut sums = self.lock();
        sums.answered.add(total);
        sums.waited.add(waited);
        sums.decoded.add(decoded);
        sums.inferred.add(inferred);
        sums.last = Some(SystemTime::now());
    }

    /// A picture was not answered.
    pub(super) fn failed(&self, total: Duration) {
        self.lock().failed.add(total);
    }

    /// A batch ran.
    pub(super) fn batch(&self, pictures: usize, took: Duration) {
        self.lock().batches.entry(pictures).or_default().add(took);
    }

    /// The sums now.
    pub(super) fn sums(&self) -> Sums {
        self.lock().clone()
    }

    /// No code under the lock can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_batches_are_added_up() {
        let statistics = Statistics::default();
        let ms = Duration::from_millis;
        statistics.answered(ms(10), ms(1), ms(2), ms(7));
        statistics.answered(ms(20), ms(2), ms(4), ms(14));
        statistics.failed(ms(3));
        statistics.batch(2, ms(7));
        statistics.batch(2, ms(8));
        let sums = statistics.sums();
        assert_eq!(sums.answered, Sum { count: 2, time: ms(30) });
        assert_eq!((sums.waited.time, sums.decoded.time, sums.inferred.time), (ms(3), ms(6), ms(21)));
        assert_eq!(sums.failed, Sum { count: 1, time: ms(3) });
        assert_eq!(sums.batches, [(2, Sum { count: 2, time: ms(15) })].into());
        assert!(sums.last.is_some());
    }
}
