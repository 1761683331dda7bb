//! A clock for deleting what is old, which nobody sets.

use std::time::{Duration, Instant};

use crate::store::now_ms;

/// The time of day at the start, and what has passed since by a clock that nobody sets: a clock that jumps years ahead shall
/// not make everything old.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteadyClock {
    began_ms: i64,
    began: Instant,
}

impl SteadyClock {
    pub(super) fn start() -> Self {
        Self { began_ms: now_ms(), began: Instant::now() }
    }

    /// So long ago, in milliseconds since 1970.
    pub(super) fn before_ms(self, age: Duration) -> i64 {
        self.now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }

    fn now_ms(self) -> i64 {
        self.began_ms.saturating_add(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_from_the_start_on_whatever_the_time_of_day_is_set_to() {
        let begun = Instant::now();
        // A start in 1970; the time of day has jumped to today's since.
        let clock = SteadyClock { began_ms: 5000, began: begun };
        std::thread::sleep(Duration::from_millis(20));
        let passed = i64::try_from(begun.elapsed().as_millis()).unwrap();
        assert!((5020..=5000 + passed + 1000).contains(&clock.now_ms()), "{}", clock.now_ms());
    }
}
