//! Which of two sessions is faster.

use std::time::{Duration, Instant};

use super::{InferError, Session};

/// Batches of each session that count.
const ROUNDS: usize = 7;

/// The time of one picture in each of two sessions of the same input, alone in its batch: the median of a few, taken in
/// turns, so that whatever else runs meanwhile slows both. Takes about sixteen pictures.
///
/// # Errors
/// A failing run.
pub fn race(one: &mut Session, other: &mut Session) -> Result<(Duration, Duration), InferError> {
    let pixels = vec![114; one.picture_len()];
    let mut times = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let taken = (time(one, &pixels)?, time(other, &pixels)?);
        // The first batch of a session also makes room for it.
        if round > 0 {
            times.0.push(taken.0);
            times.1.push(taken.1);
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2]
    };
    Ok((median(times.0), median(times.1)))
}

fn time(session: &mut Session, pixels: &[u8]) -> Result<Duration, InferError> {
    let began = Instant::now();
    session.run(pixels)?;
    Ok(began.elapsed())
}
