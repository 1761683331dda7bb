//! Predictions that are older than they are kept are deleted, and then their pictures. Every replica does; what one has
//! deleted the next does not find.
//!
//! The rows go first, so that a picture is there as long as its prediction can be corrected. The database knows the pictures
//! that are left until they are deleted, too.

use std::time::{Duration, Instant};

use crate::{
    serve::steady_clock::SteadyClock,
    store::{Pictures, Store, StoreError},
};

/// Between two looks; the first is at the start.
const EVERY: Duration = Duration::from_secs(600);
/// Predictions of one statement, so that none holds the database for long.
const BATCH: i64 = 500;

/// Pictures that cannot be deleted.
#[derive(Default)]
struct Left {
    pictures: usize,
    /// Why the first of them cannot.
    reason: String,
}

/// Never ends.
pub(super) async fn run(store: Store, pictures: Option<Pictures>, keep: Duration) {
    let clock = SteadyClock::start();
    let mut known = 0;
    loop {
        match forget(&store, clock.before_ms(keep)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "predictions forgotten: they were older than they are kept"),
            Err(error) => tracing::warn!(%error, "old predictions cannot be deleted now"),
        }
        match delete_pictures(&store, pictures.as_ref()).await {
            Ok(Left { pictures, reason }) => {
                if pictures > 0 && pictures != known {
                    tracing::warn!(
                        pictures,
                        reason,
                        "pictures of forgotten predictions are left: they cannot be deleted"
                    );
                }
                known = pictures;
            }
            Err(error) => tracing::warn!(%error, "pictures of forgotten predictions cannot be deleted now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(store: &Store, before: i64) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    loop {
        let count = store.forget_predictions(before, BATCH).await?;
        if count == 0 {
            store.forget_shadow_outputs(before).await?;
            return Ok(forgotten);
        }
        forgotten += count;
    }
}

/// Deletes what can be deleted. A store that takes too long over it is left until the next look.
async fn delete_pictures(store: &Store, pictures: Option<&Pictures>) -> Result<Left, StoreError> {
    let (began, mut left, mut last) = (Instant::now(), Left::default(), String::new());
    while began.elapsed() < EVERY {
        let names = store.forgotten_pictures(&last, BATCH).await?;
        let Some(name) = names.last() else { break };
        last.clone_from(name);
        let mut deleted = Vec::new();
        for name in names {
            let outcome = match pictures {
                Some(pictures) => pictures.delete(&name).await.map_err(|error| error.to_string()),
                None => Err("record_pictures no longer says where they are".to_owned()),
            };
            match outcome {
                Ok(()) => deleted.push(name),
                Err(reason) => {
                    if left.pictures == 0 {
                        left.reason = reason;
                    }
                    left.pictures += 1;
                }
            }
        }
        store.end_forgotten_pictures(&deleted).await?;
    }
    Ok(left)
}
