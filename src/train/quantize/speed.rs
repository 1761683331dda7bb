//! How fast two sessions are, one picture at a time.

use std::time::Instant;

use super::{QuantizeError, pictures::Pictures};
use crate::infer::Session;

/// Rounds in which the sessions run in turn, and runs of each in a round.
const ROUNDS: usize = 5;
const RUNS: usize = 20;

/// Pictures a second of each, the best of several rounds: what else runs on the machine only takes away.
pub(super) fn measure(sessions: &mut [Session; 2], pictures: &Pictures<'_>) -> Result<[f64; 2], QuantizeError> {
    let pixels = pictures.first(1).kept()?.concat();
    let mut best = [0.0_f64; 2];
    for _ in 0..ROUNDS {
        for (session, best) in sessions.iter_mut().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..RUNS {
                session.run(&pixels)?;
            }
            *best = best.max(RUNS as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}
