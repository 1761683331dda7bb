//! Bulk jobs: pictures by the thousand, answered while nobody waits, by every server on one database.
//!
//! A job and its tasks are rows ([`crate::store::jobs`]). [`Jobs`] takes requests for them; [`Working`] is this server's
//! part of the work: it leases a task, does it ([`work`]), and finishes it. Jobs stand back behind requests: their pictures have
//! the lowest priority, take no more than half of a queue's places and half of the decoding threads, and are neither
//! shown to a version on trial, nor remembered as predictions, nor counted as traffic in drift.

mod address;
mod forget;
mod picture;
mod result;
mod table;
mod temporary;
mod upload;
mod work;
mod write;

use std::{fs::File, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use address::Address;
use address::Stores;
pub(super) use picture::{JobPicture, Place, parts};
pub(super) use result::JobResult;
pub(super) use table::TableError;
pub(super) use temporary::temporary_file;
pub(super) use upload::UploadError;

use super::{fetch::Fetcher, pipeline::Pipeline, settings::Settings};
use crate::{
    error::Error,
    store::{Pictures, Store, StoreError},
};

/// Between two looks for work, where nobody here has told of any.
const IDLE: Duration = Duration::from_secs(1);

/// Uploads that come in at a time.
const UPLOADS: usize = 4;
/// Tables that are made at a time.
const TABLES: usize = 2;

/// What requests for jobs, and work on them, share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Jobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    settings: Arc<Settings>,
    /// Where uploads are kept; none where nobody has said.
    kept: Option<Pictures>,
    stores: Stores,
    fetcher: Option<Fetcher>,
    /// A permit for each upload that comes in: together they take so much of a disk.
    uploads: Arc<Semaphore>,
    /// A permit for each table that is made, by requests and by this server's tasks: each has some rows in memory.
    tables: Semaphore,
    /// Wakes this server's workers when there is a new job.
    added: Notify,
}

/// This server's work on jobs.
#[derive(Debug)]
pub(super) struct Working {
    /// Cancelled when the server stops: tasks go back.
    stopping: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    forget: JoinHandle<()>,
}

impl Jobs {
    /// # Errors
    /// A place for uploads that cannot be used.
    pub(super) fn new(store: Store, settings: Arc<Settings>, fetcher: Option<Fetcher>) -> Result<Self, StoreError> {
        let kept = settings.job_files().as_deref().map(Pictures::open).transpose()?;
        let (stores, added) = (Stores::default(), Notify::new());
        let (uploads, tables) = (Arc::new(Semaphore::new(UPLOADS)), Semaphore::new(TABLES));
        Ok(Self(Arc::new(Shared { store, settings, kept, stores, fetcher, uploads, tables, added })))
    }

    /// Starts to work on jobs.
    pub(super) fn start(&self, pipeline: &Pipeline) -> Working {
        let stopping = CancellationToken::new();
        let worker = |_| {
            let worker = work::Worker { jobs: self.clone(), pipeline: pipeline.in_background() };
            tokio::spawn(worker.run(stopping.clone()))
        };
        let tasks = (0..self.0.settings.jobs.workers).map(worker).collect();
        let forget = tokio::spawn(forget::run(self.0.store.clone(), self.0.kept.clone(), self.0.settings.jobs.keep));
        Working { stopping, tasks, forget }
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Says that there is a new job.
    pub(super) fn tell(&self) {
        self.0.added.notify_waiters();
    }

    /// Whether a job may read an address, as the settings say.
    pub(super) fn may_read(&self, address: &Address) -> bool {
        self.0.settings.jobs.sources.iter().any(|allowed| address.is_within(allowed))
    }

    /// Whether a job may write to an address.
    pub(super) fn may_write(&self, address: &Address) -> bool {
        self.0.settings.jobs.outputs.iter().any(|allowed| address.is_within(allowed))
    }

    /// Whoever holds it may upload an archive.
    ///
    /// # Errors
    /// `NotReady` where others upload.
    pub(super) fn upload_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = Arc::clone(&self.0.uploads).try_acquire_owned();
        turn.map_err(|_| Error::NotReady(format!("{UPLOADS} other uploads come in now; try again")))
    }

    /// A job's results as a Parquet file, at its beginning. Where others make tables, it waits for its turn.
    ///
    /// # Errors
    /// See [`TableError`].
    pub(super) async fn table(&self, job: &str) -> Result<File, TableError> {
        let _turn = self.0.tables.acquire().await?;
        table::write_table(&self.0.store, job).await
    }

    /// Whether pictures are fetched by URL.
    pub(super) fn fetches(&self) -> bool {
        self.0.fetcher.is_some()
    }
}

impl Working {
    /// Gives back what is not done, so that others need not wait for the leases to run out, which those do that are not given
    /// back within `patience`.
    pub(super) async fn finish(mut self, patience: Duration) {
        self.stopping.cancel();
        self.forget.abort();
        // One that panicked has given nothing back either.
        if timeout(patience, join_all(&mut self.tasks)).await.is_err() {
            self.tasks.iter().for_each(JoinHandle::abort);
        }
    }
}
