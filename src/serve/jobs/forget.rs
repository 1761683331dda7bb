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

/// A job with an upload that cannot be deleted is passed over, and tried again at the next look.
async fn forget(store: &Store, kept: Option<&Pictures>, before_ms: i64) -> Result<usize, StoreError> {
    let (mut forgotten, mut left, mut last) = (0, Vec::new(), None);
    loop {
        let old = store.old_jobs(before_ms, last.as_ref(), BATCH).await?;
        if old.is_empty() {
            break;
        }
        for job in old {
            // The uploads first: what is left of a stop in between is still known.
            match delete_uploads(store, kept, &job.id).await {
                Ok(()) => {
                    store.forget_job(&job.id).await?;
                    forgotten += 1;
                }
                Err(error @ StoreError::Pictures { .. }) => left.push(error),
                Err(error) => return Err(error),
            }
            last = Some(job);
        }
    }
    if let Some(error) = left.first() {
        tracing::warn!(count = left.len(), %error, "old jobs have uploads that cannot be deleted now; the jobs stay");
    }
    Ok(forgotten)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        serve::jobs::parts,
        store::{Database, jobs::NewJob, now_ms},
    };

    #[tokio::test]
    async fn a_job_whose_upload_cannot_be_deleted_stays_and_those_behind_it_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().join("test.db"))).await.unwrap().unwrap();
        let kept = Pictures::open(folder.path().join("jobs").to_str().unwrap()).unwrap();
        // More than one page.
        let ids: Vec<String> = (0..=BATCH).map(|index| format!("job-{index:02}")).collect();
        for id in &ids {
            let upload = JobPicture { name: "a.png".to_owned(), place: Place::Kept(format!("{id}/0000000")) };
            let job = NewJob {
                id: id.clone(),
                author: None,
                model: "colours".to_owned(),
                version: 1,
                selection: "{}".to_owned(),
                source: "zip".to_owned(),
                output: None,
                format: "jsonl".to_owned(),
            };
            store.add_job(&job, 1, parts(&[upload]).unwrap()).await.unwrap();
            assert!(store.cancel_job(id).await.unwrap());
            kept.put(&format!("{id}/0000000"), Bytes::from_static(b"picture")).await.unwrap();
        }
        // A folder is no file that can be deleted.
        let stuck = folder.path().join("jobs/job-00/0000000");
        std::fs::remove_file(&stuck).unwrap();
        std::fs::create_dir(&stuck).unwrap();
        let later = now_ms() + 60_000;
        assert_eq!(forget(&store, Some(&kept), later).await.unwrap(), ids.len() - 1);
        let left: Vec<String> = store.jobs(None, 100).await.unwrap().into_iter().map(|row| row.job.id).collect();
        assert_eq!(left, ["job-00"]);
        // Once it can be deleted, its job goes, too.
        std::fs::remove_dir(&stuck).unwrap();
        assert_eq!(forget(&store, Some(&kept), later).await.unwrap(), 1);
    }
}
