//! Predictions that are older than they are kept, and their pictures, are deleted. Every replica does; what one has
//! deleted the next does not find.

use std::time::Duration;

use crate::{
    serve::steady_clock::SteadyClock,
    store::{Pictures, Store, StoreError},
};

/// Between two looks; the first is at the start.
const EVERY: Duration = Duration::from_secs(600);
/// Predictions of one statement, so that none holds the database for long.
const BATCH: i64 = 500;

/// Never ends.
pub(super) async fn run(store: Store, pictures: Option<Pictures>, keep: Duration) {
    let clock = SteadyClock::start();
    loop {
        match forget(&store, pictures.as_ref(), clock.before_ms(keep)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "predictions forgotten: they were older than they are kept"),
            Err(error) => tracing::warn!(%error, "old predictions cannot be deleted now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(store: &Store, pictures: Option<&Pictures>, before: i64) -> Result<usize, StoreError> {
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
