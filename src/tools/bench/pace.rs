//! When requests leave.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The times of all requests; the connections take them one after the other.
#[derive(Debug)]
pub(super) struct Pace {
    from: Instant,
    until: Instant,
    /// Between two requests; none where each leaves once its connection is free.
    interval: Option<Duration>,
    /// Times given out so far.
    taken: AtomicU64,
    /// Whether somebody wants no more of them.
    stopped: AtomicBool,
}

impl Pace {
    /// With a rate, requests per second, whatever becomes of them; without one as fast as answers come.
    pub(super) fn new(rate: Option<f64>, from: Instant, until: Instant) -> Self {
        let interval = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { from, until, interval, taken: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    /// When the next request is due; none once the time is over.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = match self.interval {
            None => Instant::now(),
            Some(interval) => {
                let before = self.taken.fetch_add(1, Relaxed);
                self.from + Duration::from_secs_f64(interval.as_secs_f64() * before as f64)
            }
        };
        (due < self.until && !self.stopped.load(Relaxed)).then_some(due)
    }

    /// Whether requests leave at times of their own.
    pub(super) fn has_rate(&self) -> bool {
        self.interval.is_some()
    }

    /// Ends it before its time.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_rate_the_times_lie_evenly_whoever_takes_them_and_end() {
        let from = Instant::now();
        let pace = Pace::new(Some(200.0), from, from + Duration::from_millis(12));
        let due: Vec<_> = std::iter::from_fn(|| pace.next()).map(|due| (due - from).as_millis()).collect();
        assert_eq!(due, [0, 5, 10]);
    }

    #[test]
    fn without_a_rate_a_request_is_due_at_once() {
        let from = Instant::now();
        let pace = Pace::new(None, from, from + Duration::from_secs(60));
        assert!(pace.next().unwrap() >= from);
        pace.stop();
        assert!(pace.next().is_none() && Pace::new(None, from, from).next().is_none());
    }
}
