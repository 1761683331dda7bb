//! Rates and percentiles.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use serde::Serialize;

use super::Answered;

/// The timer is exact to a millisecond; what leaves later than this was kept waiting.
const LATE: Duration = Duration::from_millis(10);

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Seconds from the first request that counts to the last answer.
    pub seconds: f64,
    /// Requests, per second.
    pub asked_per_second: f64,
    /// Requests answered with 200, per second.
    pub answered_per_second: f64,
    /// Requests that left more than 10 ms after they were due: no connection was free, or no processor.
    pub left_late: usize,
    /// By status; 0 stands for no answer.
    pub statuses: BTreeMap<u16, Latencies>,
}

/// How long answers of one status took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latencies {
    /// How many there were.
    pub count: usize,
    /// Half took at most so long.
    pub p50_ms: f64,
    /// Nine in ten.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Summary {
    pub(super) fn of(answers: &[Answered], measured: Duration) -> Self {
        let mut by_status: BTreeMap<u16, Vec<Duration>> = BTreeMap::new();
        for answer in answers {
            by_status.entry(answer.status).or_default().push(answer.took);
        }
        let seconds = measured.as_secs_f64();
        let answered = by_status.get(&200).map_or(0, Vec::len);
        let statuses = by_status.into_iter().map(|(status, took)| (status, Latencies::of(took))).collect();
        Self {
            seconds,
            asked_per_second: answers.len() as f64 / seconds,
            answered_per_second: answered as f64 / seconds,
            left_late: answers.iter().filter(|answer| answer.late > LATE).count(),
            statuses,
        }
    }
}

impl Latencies {
    /// Nearest rank; there is at least one.
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |share: f64| {
            let rank = (share * took.len() as f64).ceil() as usize;
            took[rank.clamp(1, took.len()) - 1].as_secs_f64() * 1e3
        };
        Self { count: took.len(), p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, asked_per_second: asked, answered_per_second: answered, left_late, .. } = self;
        writeln!(f, "{answered:.1} of {asked:.1} requests answered a second, over {seconds:.1} s")?;
        if *left_late > 0 {
            writeln!(
                f,
                "{left_late} requests left late: more connections, or fewer requests a second, would change that"
            )?;
        }
        writeln!(
            f,
            "{:>9} {:>9} {:>10} {:>10} {:>10} {:>10}",
            "status", "count", "p50 ms", "p90 ms", "p99 ms", "max ms"
        )?;
        for (status, Latencies { count, p50_ms, p90_ms, p99_ms, max_ms }) in &self.statuses {
            let status = if *status == 0 { "no answer".to_owned() } else { status.to_string() };
            writeln!(f, "{status:>9} {count:>9} {p50_ms:>10.2} {p90_ms:>10.2} {p99_ms:>10.2} {max_ms:>10.2}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank_and_statuses_apart() {
        let answer =
            |status, ms, late| Answered { status, took: Duration::from_millis(ms), late: Duration::from_millis(late) };
        let mut answers: Vec<_> = (1..=100).map(|ms| answer(200, ms, 10)).collect();
        answers.push(answer(503, 7, 11));
        let summary = Summary::of(&answers, Duration::from_secs(4));
        assert_eq!((summary.answered_per_second, summary.asked_per_second, summary.left_late), (25.0, 25.25, 1));
        let expected = Latencies { count: 100, p50_ms: 50.0, p90_ms: 90.0, p99_ms: 99.0, max_ms: 100.0 };
        assert_eq!(summary.statuses[&200], expected);
        assert_eq!(summary.statuses[&503].p99_ms, 7.0);
        assert!(summary.to_string().contains("25.0 of 25.2 requests answered a second"));
    }
}
