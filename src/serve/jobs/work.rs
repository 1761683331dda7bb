//! A worker: lease a task, do it while the lease is renewed, finish it or give it back.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{
    Address, IDLE, JobPicture, JobResult, Jobs,
    picture::{Sources, Stopped, parts},
    result, write,
};
use crate::{
    answer::Selection,
    error::Error,
    model::ModelVersion,
    serve::{
        models::ServedModel,
        pipeline::{Input, Pipeline},
    },
    store::{
        StoreError,
        jobs::{Given, JobRow, Lease, Outcome, TaskKind},
    },
};

/// How often a task is tried; then its pictures' last errors are their results.
const ATTEMPTS: i64 = 5;
/// The pause after a failure; it doubles with each.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a finished task waits for a database that is away.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) struct Worker {
    pub(super) jobs: Jobs,
    pub(super) pipeline: Pipeline,
}

/// Why a task is not done.
#[derive(Debug)]
enum Undone {
    /// Another try may help.
    Passing(String),
    /// The job cannot be done.
    Hopeless(String),
}

impl Worker {
    /// Never ends, but for the stop.
    pub(super) async fn run(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            // A stop does not break it off: the database may have given a task by then, which is to go back.
            match self.lease().await {
                Ok(Some(lease)) => self.take(&lease, &stopping).await,
                Ok(None) => self.pause(&stopping).await,
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be asked for now");
                    self.pause(&stopping).await;
                }
            }
        }
    }

    async fn lease(&self) -> Result<Option<Lease>, StoreError> {
        let catalog = self.pipeline.models.catalog();
        // Where requests keep a version's queue busy, the task's pictures would wait here while another server has time for them.
        let idle = catalog.served().filter(|model| model.queue.has_spare());
        let versions: Vec<String> = idle.map(|model| format!("{}/{}", model.name, model.version)).collect();
        self.jobs.0.store.lease_task(&versions, self.jobs.0.settings.jobs.lease).await
    }

    async fn pause(&self, stopping: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(IDLE) => {}
            () = self.jobs.0.added.notified() => {}
            () = stopping.cancelled() => {}
        }
    }

    /// Does a task, as long as it is ours.
    async fn take(&self, lease: &Lease, stopping: &CancellationToken) {
        let mut output = None;
        let done = tokio::select! {
            done = self.work(lease, &mut output) => done,
            () = self.keep(lease) => {
                tracing::info!(job = lease.job, task = lease.task, "the task is no longer ours: its job has ended, or another took it");
                return abort(output).await;
            }
            () = stopping.cancelled() => {
                self.give_back(lease, &Given::Unbegun).await;
                return abort(output).await;
            }
        };
        match done {
            Ok(outcome) => self.finish(lease, &outcome, stopping).await,
            Err(Undone::Hopeless(reason)) => self.fail(lease, &reason).await,
            Err(Undone::Passing(reason)) if lease.attempts >= ATTEMPTS => {
                self.fail(lease, &format!("tried {} times: {reason}", lease.attempts)).await;
            }
            Err(Undone::Passing(reason)) => {
                let doublings = u32::try_from(lease.attempts - 1).unwrap_or_default();
                let pause = PAUSE.saturating_mul(1 << doublings.min(6)).min(LONGEST_PAUSE);
                tracing::warn!(
                    job = lease.job,
                    task = lease.task,
                    attempt = lease.attempts,
                    reason,
                    "a task of a job failed; it is tried again"
                );
                self.give_back(lease, &Given::Failed { reason, pause }).await;
            }
        }
    }

    /// Does it. Where this is dropped while results are written, `output` is what is to be aborted.
    async fn work(&self, lease: &Lease, output: &mut Option<write::Output>) -> Result<Outcome, Undone> {
        let passing = |error: StoreError| Undone::Passing(error.to_string());
        let job = self.jobs.0.store.job(&lease.job).await.map_err(passing)?;
        let job = job.ok_or_else(|| Undone::Hopeless("the job is gone".to_owned()))?;
        if lease.attempts > ATTEMPTS && lease.kind != TaskKind::Predict {
            return Err(Undone::Hopeless(format!("{ATTEMPTS} servers ended while they worked on it")));
        }
        match lease.kind {
            TaskKind::List => self.list(&job).await,
            TaskKind::Predict => self.predict(lease, &job).await,
            TaskKind::Write => {
                let address =
                    job.job.output.as_deref().unwrap_or_default().parse::<Address>().map_err(Undone::Hopeless)?;
                let written = write::write(&self.jobs, &job, &address, output).await;
                written.map(|()| Outcome::Written).map_err(Undone::Passing)
            }
        }
    }

    /// Finds the pictures below an address.
    async fn list(&self, job: &JobRow) -> Result<Outcome, Undone> {
        let address: Address = job.job.source.parse().map_err(Undone::Hopeless)?;
        let limit = self.jobs.0.settings.jobs.max_pictures;
        let found = self.jobs.0.stores.list(&address, limit).await.map_err(Undone::Passing)?;
        if found.is_empty() {
            return Err(Undone::Hopeless(format!("there are no files at {address}")));
        }
        if found.len() > limit {
            return Err(Undone::Hopeless(format!("{address} has more than {limit} pictures (max_job_pictures)")));
        }
        let picture = |(name, object)| JobPicture { name, place: super::Place::Object(object) };
        let pictures: Vec<JobPicture> = found.into_iter().map(picture).collect();
        let total = i64::try_from(pictures.len()).unwrap_or(i64::MAX);
        Ok(Outcome::Listed { total, parts: parts(&pictures).map_err(hopeless)? })
    }

    /// Answers a task's pictures, in their order.
    async fn predict(&self, lease: &Lease, job: &JobRow) -> Result<Outcome, Undone> {
        let pictures: Vec<JobPicture> =
            serde_json::from_str(lease.pictures.as_deref().unwrap_or_default()).map_err(hopeless)?;
        let lines: Vec<JobResult> = if lease.attempts > ATTEMPTS {
            let reason = format!("given up: {ATTEMPTS} servers ended while they worked on it, or on one beside it");
            pictures.iter().map(|picture| JobResult::failed(picture, &Error::internal(reason.clone()))).collect()
        } else {
            let version = ModelVersion(u64::try_from(job.job.version).unwrap_or_default());
            let model = self.pipeline.models.find(&job.job.model, Some(version));
            let model = model.map_err(|error| Undone::Passing(error.to_string()))?;
            let selection: Selection = serde_json::from_str(&job.job.selection).map_err(hopeless)?;
            let at_once = self.jobs.0.settings.max_batch * self.jobs.0.settings.instances;
            let is_last = lease.attempts == ATTEMPTS;
            let answers: Vec<_> =
                pictures.iter().map(|picture| self.answer(&model, &selection, picture, is_last)).collect();
            stream::iter(answers).buffered(at_once).try_collect().await?
        };
        let failed = lines.iter().filter(|line| line.is_failure()).count();
        let results = lines.iter().map(JobResult::text).collect::<Result<String, _>>().map_err(hopeless)?;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Outcome::Predicted { answered: count(lines.len() - failed), failed: count(failed), results })
    }

    /// One picture's result. Trouble that may pass stops the task, unless it is the last try.
    async fn answer(
        &self,
        model: &std::sync::Arc<ServedModel>,
        selection: &Selection,
        picture: &JobPicture,
        is_last: bool,
    ) -> Result<JobResult, Undone> {
        let shared = &self.jobs.0;
        let sources = Sources {
            stores: &shared.stores,
            kept: shared.kept.as_ref(),
            fetcher: shared.fetcher.as_ref(),
            max_bytes: shared.settings.picture.max_bytes,
        };
        let outcome = match sources.read(&picture.place).await {
            Ok(bytes) => match self.pipeline.run_spare(model, Input::Encoded(bytes)).await {
                // Outputs that are no numbers: another try gives the same.
                Ok(outcome) => {
                    let answered = JobResult::answered(picture, model, &outcome, selection);
                    let failed = |error| JobResult::failed(picture, &Error::internal(error));
                    return Ok(answered.unwrap_or_else(failed));
                }
                Err(error @ Error::Picture(_)) => Stopped::Picture(error),
                Err(error) => Stopped::Passing(error),
            },
            Err(stopped) => stopped,
        };
        match outcome {
            Stopped::Passing(error) if !is_last => {
                Err(Undone::Passing(format!("{}: {}", picture.name, result::cause(&error))))
            }
            Stopped::Passing(error) | Stopped::Picture(error) => Ok(JobResult::failed(picture, &error)),
        }
    }

    /// Ends once the task is no longer ours.
    async fn keep(&self, lease: &Lease) {
        let time = self.jobs.0.settings.jobs.lease;
        loop {
            tokio::time::sleep(time / 3).await;
            match self.jobs.0.store.renew_lease(lease, time).await {
                Ok(true) => {}
                Ok(false) => return,
                // Whether it is still ours is told when it is finished.
                Err(error) => tracing::warn!(job = lease.job, %error, "a task's lease cannot be renewed now"),
            }
        }
    }

    /// Writes down what came of a task. A database that is away is waited for, since the work is done.
    async fn finish(&self, lease: &Lease, outcome: &Outcome, stopping: &CancellationToken) {
        let begun = tokio::time::Instant::now();
        loop {
            match self.jobs.0.store.finish_task(lease, outcome).await {
                Ok(true) => return self.jobs.tell(),
                Ok(false) => {
                    tracing::info!(
                        job = lease.job,
                        task = lease.task,
                        "the task's results are not taken: its job has ended, or another took it"
                    );
                    return;
                }
                Err(error) if begun.elapsed() > PATIENCE || stopping.is_cancelled() => {
                    tracing::warn!(job = lease.job, task = lease.task, %error, "the task's results are lost; it is done again");
                    return;
                }
                Err(error) => {
                    tracing::warn!(job = lease.job, task = lease.task, %error, "the task's results cannot be written now");
                    self.pause(stopping).await;
                }
            }
        }
    }

    async fn fail(&self, lease: &Lease, reason: &str) {
        tracing::error!(job = lease.job, reason, "the job cannot be done");
        if let Err(error) = self.jobs.0.store.fail_job(&lease.job, reason).await {
            tracing::warn!(job = lease.job, %error, "the job's failure cannot be written now");
        }
    }

    async fn give_back(&self, lease: &Lease, given: &Given) {
        if let Err(error) = self.jobs.0.store.release_task(lease, given).await {
            tracing::warn!(job = lease.job, task = lease.task, %error, "the task cannot be given back; its lease runs out");
        }
    }
}

/// Throws away results that are no longer written, where there are any.
async fn abort(output: Option<write::Output>) {
    if let Some(output) = output {
        output.abort().await;
    }
}

fn hopeless(error: impl std::fmt::Display) -> Undone {
    Undone::Hopeless(error.to_string())
}
