//! A version in memory: opened, checked, with threads that run it.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use super::{
    super::{
        drift::LiveScores,
        metrics::Metrics,
        queue::{BatchRule, Health, Queue, Worker},
        settings::Settings,
        shadow::Report,
        statistics::Statistics,
        thresholds::{Revisions, Thresholds},
    },
    variant::{Opener, Variant},
};
use crate::{
    infer::{GoldenError, InferError, MemoryAccount, Precision, Runtime, Session, Tolerance},
    model::{Digest, Manifest, ModelError, ModelVersion, VersionFolder},
    store::predictions::ModelRow,
};

/// A version that takes pictures.
#[derive(Debug)]
pub(in crate::serve) struct ServedModel {
    pub(in crate::serve) name: String,
    pub(in crate::serve) version: ModelVersion,
    /// SHA-256 of the model file.
    pub(in crate::serve) digest: Digest,
    pub(in crate::serve) manifest: Arc<Manifest>,
    /// Its thresholds, which may be others than the manifest's.
    pub(in crate::serve) thresholds: Thresholds,
    /// The way to its threads; dropping it ends them.
    pub(in crate::serve) queue: Queue,
    pub(in crate::serve) health: Arc<Health>,
    /// What it has done.
    pub(in crate::serve) statistics: Arc<Statistics>,
    /// The scores that it has answered with, but as a shadow.
    pub(in crate::serve) live_scores: LiveScores,
    /// The whole process's.
    pub(in crate::serve) metrics: Metrics,
    /// Whether there were golden samples to check it by.
    pub(in crate::serve) checked: bool,
    /// What it computes with, and why.
    pub(in crate::serve) precision: Precision,
    pub(in crate::serve) precision_reason: String,
    /// Of each session, what ONNX Runtime holds for it.
    pub(in crate::serve) memory: Vec<MemoryAccount>,
    /// How its answers as a shadow differ from the default's.
    pub(in crate::serve) shadow_report: Report,
    /// Holds a token for each of its threads.
    threads: TaskTracker,
}

/// What a version is opened with.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) runtime: Runtime,
    pub(super) settings: Arc<Settings>,
    pub(super) metrics: Metrics,
    pub(super) revisions: Arc<Revisions>,
    /// Takes a token for each thread of each version.
    pub(super) all_threads: TaskTracker,
}

/// Why a version is not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    File(#[from] ModelError),
    #[error("{0}")]
    Session(#[from] InferError),
    #[error("golden check failed: {0}")]
    Golden(#[from] GoldenError),
    #[error("its thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Refusal {
    /// Whether this may pass: the system did not give what it might give another time, and nothing is wrong with the version.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            // Without a number it is not the system's, and says what is wrong with the file.
            Self::File(ModelError::Io { source, .. }) => source.raw_os_error().is_some(),
            Self::Thread(_) => true,
            Self::File(_) | Self::Session(_) | Self::Golden(_) => false,
        }
    }
}

impl ServedModel {
    /// Opens and checks a version and starts its threads. Blocking.
    pub(super) fn open(folder: &VersionFolder, opening: &Opening) -> Result<Self, Refusal> {
        let Opening { runtime, settings, metrics, revisions, all_threads } = opening;
        let Variant { file, precision, reason, tolerance, sessions } = Opener { runtime, settings }.open(folder)?;
        if !file.can_be_checked() {
            tracing::warn!(
                model = folder.name.as_str(),
                version = %folder.version,
                "the model has no golden samples: nothing was checked; `tagpoint import` records some"
            );
        }
        let rule = BatchRule {
            max_batch: settings.max_batch,
            max_delay: settings.max_delay,
            queue_limit: settings.queue_limit,
        };
        let manifest = Arc::new(file.manifest.clone());
        let served = Self {
            name: folder.name.to_string(),
            version: folder.version,
            digest: file.digest,
            thresholds: Thresholds::new(Arc::clone(revisions), file.digest.to_string(), file.manifest.task.clone()),
            live_scores: LiveScores::new(Arc::clone(&manifest)),
            manifest,
            queue: Queue::new(rule),
            health: Arc::default(),
            statistics: Arc::default(),
            metrics: metrics.clone(),
            checked: file.can_be_checked(),
            precision,
            precision_reason: reason,
            memory: sessions.iter().map(Session::memory_account).collect::<Result<_, _>>()?,
            shadow_report: Report::default(),
            threads: TaskTracker::new(),
        };
        for session in sessions {
            served.start_worker(session, tolerance, all_threads)?;
        }
        Ok(served)
    }

    fn start_worker(&self, session: Session, tolerance: Tolerance, all_threads: &TaskTracker) -> std::io::Result<()> {
        let worker = Worker {
            session,
            manifest: Arc::clone(&self.manifest),
            tolerance,
            health: Arc::clone(&self.health),
            statistics: Arc::clone(&self.statistics),
            metrics: self.metrics.batches_of(&self.name, &self.version.to_string()),
            label: format!("{}/{}", self.name, self.version),
        };
        let queue = self.queue.worker_end();
        let tokens = (self.threads.token(), all_threads.token());
        let thread = std::thread::Builder::new().name(format!("model-{}", self.name));
        thread.spawn(move || {
            worker.run(&queue);
            drop(tokens);
        })?;
        Ok(())
    }

    /// What predictions of it are read by.
    ///
    /// # Errors
    /// None in practice: a manifest that was read can be written.
    pub(in crate::serve) fn as_row(&self) -> Result<ModelRow, serde_json::Error> {
        ModelRow::new(&self.name, self.version, &self.digest, &self.manifest)
    }

    /// Why it gives no right answers, where it does not.
    pub(in crate::serve) fn ailment(&self) -> Option<String> {
        match self.queue.is_closed() {
            true => Some("its threads have ended".to_owned()),
            false => self.health.ailment(),
        }
    }

    /// Lets go of the version and waits until its threads have run what was queued and freed their memory; false where
    /// requests still held it after so long. Whenever they end, its metrics do.
    pub(super) async fn retire(self: Arc<Self>, patience: Duration) -> bool {
        let (threads, metrics) = (self.threads.clone(), self.metrics.clone());
        let (name, version, manifest) = (self.name.clone(), self.version.to_string(), Arc::clone(&self.manifest));
        drop(self);
        threads.close();
        let ended = tokio::spawn(async move {
            threads.wait().await;
            metrics.forget(&name, &version, &manifest.task);
        });
        tokio::time::timeout(patience, ended).await.is_ok()
    }
}

#[cfg(test)]
impl ServedModel {
    /// A model of one value that no thread runs.
    pub(in crate::serve) fn without_threads(name: &str) -> Self {
        use crate::{
            model::{Golden, InputSpec, OutputSpec, Provenance, SCHEMA_VERSION, Task, Values},
            picture::{PictureSize, ResizeMethod, ResizeRule},
        };
        let size = PictureSize { width: 1, height: 1 };
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            task: Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() }),
            input: InputSpec { name: "image".to_owned(), resize: ResizeRule { method: ResizeMethod::Squish, size } },
            output: OutputSpec { name: "values".to_owned() },
            graph_digest: Digest::of(b""),
            golden: Golden::default(),
            metrics: std::collections::BTreeMap::new(),
            score_reference: None,
            provenance: Provenance::default(),
        };
        let manifest = Arc::new(manifest);
        Self {
            name: name.to_owned(),
            version: ModelVersion(1),
            digest: Digest::of(b""),
            thresholds: Thresholds::new(Arc::default(), String::new(), manifest.task.clone()),
            live_scores: LiveScores::new(Arc::clone(&manifest)),
            manifest,
            queue: Queue::new(BatchRule { max_batch: 1, max_delay: Duration::ZERO, queue_limit: 1 }),
            health: Arc::default(),
            statistics: Arc::default(),
            metrics: Metrics::default(),
            checked: true,
            precision: Precision::Float32,
            precision_reason: String::new(),
            memory: Vec::new(),
            shadow_report: Report::default(),
            threads: TaskTracker::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_the_system_refuses_may_pass_and_what_a_file_is_stays() {
        let file = |source| Refusal::File(ModelError::Io { path: "model.onnx".to_owned(), source });
        // Too many open files.
        assert!(file(io::Error::from_raw_os_error(24)).may_pass());
        assert!(Refusal::Thread(io::ErrorKind::WouldBlock.into()).may_pass());
        assert!(!file(io::Error::other("it is no regular file")).may_pass());
        assert!(!Refusal::File(ModelError::NoManifest).may_pass());
    }
}
