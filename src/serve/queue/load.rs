//! What a queue has turned away, and how fast it is served.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Pictures that were turned away since the version was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct Counts {
    /// The queue was full.
    pub(in crate::serve) full: u64,
    /// The deadline passed before there was an answer.
    pub(in crate::serve) expired: u64,
    /// The client went away before there was an answer.
    pub(in crate::serve) gone: u64,
}

#[derive(Debug, Default)]
pub(super) struct Load {
    full: AtomicU64,
    expired: AtomicU64,
    gone: AtomicU64,
    /// Nanoseconds for each picture, a moving average over batches; 0 before the first one.
    picture_nanos: AtomicU64,
}

impl Load {
    pub(super) fn count_full(&self) {
        self.full.fetch_add(1, Relaxed);
    }

    pub(super) fn count_expired(&self) {
        self.expired.fetch_add(1, Relaxed);
    }

    pub(super) fn count_gone(&self) {
        self.gone.fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { full: self.full.load(Relaxed), expired: self.expired.load(Relaxed), gone: self.gone.load(Relaxed) }
    }

    /// Each batch counts for a fifth. Two workers that record at once may lose one of the two, which an average bears.
    pub(super) fn record(&self, pictures: usize, took: Duration) {
        let now = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / pictures.max(1) as u64;
        let before = self.picture_nanos.load(Relaxed);
        let average = if before == 0 { now } else { before - before / 5 + now / 5 };
        self.picture_nanos.store(average, Relaxed);
    }

    /// About how long so many pictures take one worker.
    pub(super) fn time_for(&self, pictures: usize) -> Duration {
        Duration::from_nanos(self.picture_nanos.load(Relaxed).saturating_mul(pictures as u64))
    }
}
