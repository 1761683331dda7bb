//! How fast a queue is served.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use crate::serve::sync::AtomicU64;

#[derive(Debug, Default)]
pub(super) struct Load {
    /// Nanoseconds for each picture, a moving average over batches; 0 before the first one.
    picture_nanos: AtomicU64,
}

impl Load {
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
