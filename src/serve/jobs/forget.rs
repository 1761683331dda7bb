//! Jobs that ended longer ago than they are kept are deleted, with their uploads. Every replica does; what one has deleted
//! the next does not find.

use std::time::Duration;

use futures_util::TryStreamExt as _;

use super::{JobPicture, Place};
use crate::{
    serve::steady_clock::SteadyClock,
    store::{Pictures, Store, StoreError},
};

/// Between two looks; the first is at the start.
const EVERY: Duration = Duration::from_secs(600);
/// Jobs of one look at the table.
const BATCH: i64 = 20;

/// Never ends.
pub(super) async fn run(store: Store, kept: Option<Pictures>, keep: Duration) {
    let clock = SteadyClock::start();
    loop {
        match forget(&store, kept.as_ref(), clock.before_ms(keep)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "jobs forgotten: they ended longer ago than they are kept"),
            Err(error) => tracing::warn!(%error, "old jobs cannot be deleted now"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(store: &Store, kept: Option<&Pictures>, before_ms: i64) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    loop {
        let old = store.old_jobs(before_ms, BATCH).await?;
        if old.is_empty() {
            return Ok(forgotten);
        }
        for job in &old {
            // The uploads first: what is left of a stop in between is still known.
            delete_uploads(store, kept, job).await?;
            store.forget_job(job).await?;
        }
        forgotten += old.len();
    }
}

async fn delete_uploads(store: &Store, kept: Option<&Pictures>, job: &str) -> Result<(), StoreError> {
    let mut pages = store.job_pictures(job);
    while let Some(page) = pages.try_next().await? {
        for pictures in page {
            let pictures: Vec<JobPicture> = serde_json::from_str(&pictures).unwrap_or_default();
            for picture in pictures {
                match (picture.place, kept) {
                    (Place::Kept(name), Some(kept)) => kept.delete(&name).await?,
                    (Place::Kept(name), None) => {
                        tracing::warn!(name, "an upload is left: job_files no longer says where it is");
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}
