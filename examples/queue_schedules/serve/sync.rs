//! In the place of `src/serve/sync.rs`: the checker's locks and wake-ups, and a clock that stands still unless a time-out
//! moves it.

use std::{
    ops::{Add, Sub},
    sync::{
        Arc, LockResult,
        atomic::{AtomicBool, AtomicU64 as Plain, Ordering::Relaxed},
    },
    time::Duration,
};

use shuttle::sync::Condvar as Checked;
pub(super) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize},
};

/// Nanoseconds since a scenario began.
static NOW: Plain = Plain::new(0);
/// Whether wake-ups of one thread get lost: to see that the checker would find that.
static LOSING: AtomicBool = AtomicBool::new(false);

/// Begins a scenario.
pub(super) fn begin(losing: bool) {
    NOW.store(0, Relaxed);
    LOSING.store(losing, Relaxed);
}

/// Moves the clock on.
pub(super) fn pass(time: Duration) {
    NOW.fetch_add(time.as_nanos() as u64, Relaxed);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant(Duration);

impl Instant {
    pub(super) fn now() -> Self {
        Self(Duration::from_nanos(NOW.load(Relaxed)))
    }

    pub(super) fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    pub(super) fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

#[derive(Debug)]
pub(super) struct Condvar(Arc<Checked>);

impl Condvar {
    pub(super) fn new() -> Self {
        Self(Arc::new(Checked::new()))
    }

    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    /// A time-out is a thread that ends the wait when its turn comes, which may be at any time; it wakes everybody, which
    /// a wake-up for no reason may do as well.
    pub(super) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        let (condvar, over) = (Arc::clone(&self.0), Instant::now() + time);
        shuttle::thread::spawn(move || {
            NOW.fetch_max(over.0.as_nanos() as u64, Relaxed);
            condvar.notify_all();
        });
        Ok((self.0.wait(guard).unwrap(), ()))
    }

    pub(super) fn notify_one(&self) {
        if !LOSING.load(Relaxed) {
            self.0.notify_one();
        }
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}
