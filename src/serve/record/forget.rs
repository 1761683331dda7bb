//! Predictions that are older than they are kept, and their pictures, are deleted. Every replica does; what one has
//! deleted the next does not find.

use std::time::{Duration, Instant};

use crate::store::{Pictures, Store, StoreError, now_ms};

/// Between two looks; the first is at the start.
const EVERY: Duration = Duration::from_secs(600);
/// Predictions of one statement, so that none holds the database for long.
const BATCH: i64 = 500;

/// The time of day at the start, and what has passed since by a clock that nobody sets: a clock that jumps years ahead shall
/// not make everything old.
#[derive(Clone, Copy, Debug)]
struct SteadyClock {
    began_ms: i64,
    began: Instant,
}

impl SteadyClock {
    fn now_ms(self) -> i64 {
        self.began_ms.saturating_add(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Never ends.
pub(super) async fn run(store: Store, pictures: Option<Pictures>, keep: Duration) {
    let clock = SteadyClock { began_ms: now_ms(), began: Instant::now() };
    loop {
        match forget(&store, pictures.as_ref(), keep, clock.now_ms()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "predictions forgotten: they were older than they are kept"),
            Err(error) => tracing::warn!(%error, "old predictions cannot be deleted now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(store: &Store, pictures: Option<&Pictures>, keep: Duration, now_ms: i64) -> Result<usize, StoreError> {
    let before = now_ms.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let mut forgotten = 0;
    loop {
        let old = store.old_predictions(before, BATCH).await?;
        // The pictures first: what is left of a stop in between is still known.
        for name in old.iter().filter_map(|(_, picture)| picture.as_deref()) {
            match pictures {
                Some(pictures) => pictures.delete(name).await?,
                None => tracing::warn!(name, "a picture is left: record_pictures no longer says where it is"),
            }
        }
        let ids: Vec<String> = old.into_iter().map(|(id, _)| id).collect();
        store.forget_predictions(&ids, before).await?;
        if ids.is_empty() {
            return Ok(forgotten);
        }
        forgotten += ids.len();
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
