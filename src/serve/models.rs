//! The models that are served, and their state from the start of loading on.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use tokio::{runtime::Handle, sync::watch};

use super::{
    queue::{self, BatchRule, Queue},
    settings::Settings,
};
use crate::{
    error::Error,
    infer::{GoldenError, InferError, Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{Digest, Manifest, ModelError, ModelFile, ModelVersion, VersionFolder, list_versions},
};

/// Every model, by name, and how far loading has come.
#[derive(Debug)]
pub struct Models {
    /// The loader's thread writes; requests read, and the ready message waits on it.
    status: watch::Sender<Status>,
    /// The thread that opens and checks models, to be waited for at the end.
    loader: Mutex<Option<JoinHandle<()>>>,
    /// The models' own threads, to be waited for at the end.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Set once the server stops: the loader then opens no further model.
    stopping: AtomicBool,
}

/// How far loading has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// Whether loading is over.
    pub(super) loaded: bool,
    /// Why the models folder cannot be read, where it cannot.
    pub(super) folder_error: Option<String>,
    /// Each model's highest version, by name.
    pub(super) models: BTreeMap<String, Entry>,
}

/// One model's highest version.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The version.
    pub(super) version: ModelVersion,
    /// Its state.
    pub(super) state: State,
}

/// The state of a model.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Not opened and checked yet.
    Loading,
    /// Opened, checked, and taking pictures.
    Ready(Arc<ServedModel>),
    /// Not served, and why.
    Refused(String),
}

/// A model that takes pictures.
#[derive(Debug)]
pub(super) struct ServedModel {
    /// SHA-256 of the model file.
    pub(super) digest: Digest,
    /// Its manifest.
    pub(super) manifest: Manifest,
    /// The way to its thread; dropping it ends the thread.
    pub(super) queue: Queue,
}

/// Why a model is not served.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    File(#[from] ModelError),
    #[error("{0}")]
    Session(#[from] InferError),
    #[error("golden check failed: {0}")]
    Golden(#[from] GoldenError),
    #[error("its thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Models {
    /// No models yet.
    pub(super) fn new() -> Self {
        Self::with_status(Status::default())
    }

    /// Models in states of the caller's choice.
    pub(super) fn with_status(status: Status) -> Self {
        Self {
            status: watch::Sender::new(status),
            loader: Mutex::default(),
            threads: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Opens and checks the models on a thread of its own.
    pub(super) fn start_loading(
        self: &Arc<Self>,
        runtime: Runtime,
        settings: Arc<Settings>,
        handle: Handle,
    ) -> std::io::Result<()> {
        let models = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("load-models".to_owned())
            .spawn(move || models.load(&runtime, &settings, &handle))?;
        *lock(&self.loader) = Some(thread);
        Ok(())
    }

    /// Waits until every model is ready or refused, and gives the names of those that are ready.
    pub async fn loaded(&self) -> Vec<String> {
        let mut status = self.status.subscribe();
        // The sender lives as long as self, so the wait cannot fail.
        let _ = status.wait_for(|status| status.loaded).await;
        let status = status.borrow();
        let ready = status.models.iter().filter(|(_, entry)| matches!(entry.state, State::Ready(_)));
        ready.map(|(name, _)| name.clone()).collect()
    }

    /// How far loading has come.
    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// A model by name, if it takes pictures, with its version.
    ///
    /// # Errors
    /// `UnknownModel`, `NotReady` or `Refused`.
    pub(super) fn ready(&self, name: &str) -> Result<(ModelVersion, Arc<ServedModel>), Error> {
        let status = self.status.borrow();
        let entry = status.entry(name)?;
        match &entry.state {
            State::Ready(model) => Ok((entry.version, Arc::clone(model))),
            State::Loading => Err(Error::NotReady(format!("model {name:?} is still loading"))),
            State::Refused(reason) => {
                Err(Error::Refused { model: name.to_owned(), version: entry.version.0, reason: reason.clone() })
            }
        }
    }

    /// Opens and checks every model, one after the other.
    fn load(&self, runtime: &Runtime, settings: &Settings, handle: &Handle) {
        match highest_versions(&settings.models) {
            Ok(folders) => {
                let loading = |folder: &VersionFolder| Entry { version: folder.version, state: State::Loading };
                let models = folders.iter().map(|folder| (folder.name.to_string(), loading(folder))).collect();
                self.status.send_modify(|status| status.models = models);
                for folder in folders.into_iter().take_while(|_| !self.stopping.load(Ordering::Relaxed)) {
                    self.load_one(&folder, runtime, settings, handle);
                }
            }
            Err(error) => {
                let reason = format!("the models folder {} cannot be read: {error}", settings.models.display());
                tracing::error!("{reason}");
                self.status.send_modify(|status| status.folder_error = Some(reason));
            }
        }
        self.status.send_modify(|status| status.loaded = true);
    }

    fn load_one(&self, folder: &VersionFolder, runtime: &Runtime, settings: &Settings, handle: &Handle) {
        let (name, version) = (folder.name.as_str(), folder.version);
        let state = match self.open(folder, runtime, settings, handle) {
            Ok(model) => {
                tracing::info!(model = name, %version, digest = %model.digest, "model ready");
                State::Ready(Arc::new(model))
            }
            Err(refusal) => {
                tracing::error!(model = name, %version, reason = %refusal, "model refused");
                State::Refused(refusal.to_string())
            }
        };
        self.status.send_modify(|status| {
            status.models.insert(name.to_owned(), Entry { version, state });
        });
    }

    fn open(
        &self,
        folder: &VersionFolder,
        runtime: &Runtime,
        settings: &Settings,
        handle: &Handle,
    ) -> Result<ServedModel, Refusal> {
        let file = ModelFile::read(&folder.file)?;
        let options = SessionOptions { intra_threads: settings.intra_threads, ..SessionOptions::default() };
        let mut session = Session::open(runtime, &file, &options)?;
        check_golden(&mut session, &file.manifest, Tolerance::FLOAT32)?;
        let rule = BatchRule {
            max_batch: settings.max_batch,
            max_delay: settings.max_delay,
            queue_limit: settings.queue_limit,
        };
        let (queue, thread) = queue::start(folder.name.as_str(), session, rule, handle.clone())?;
        lock(&self.threads).push(thread);
        Ok(ServedModel { digest: file.digest, manifest: file.manifest, queue })
    }

    /// Closes every queue and waits until the models' threads have run what is queued. Blocking.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        join(lock(&self.loader).take());
        self.status.send_modify(|status| status.models.clear());
        join(std::mem::take(&mut *lock(&self.threads)));
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if thread.join().is_err() {
            tracing::error!(thread = name, "a thread ended by a panic");
        }
    }
}

/// What a thread that panicked left locked is still whole: each of these locks covers one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// A model by name, in whatever state.
    ///
    /// # Errors
    /// `UnknownModel`, or `NotReady` while the folder has not been read.
    pub(super) fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.models.get(name).ok_or_else(|| match self.loaded || !self.models.is_empty() {
            true => Error::UnknownModel(name.to_owned()),
            false => Error::NotReady("the models are still loading".to_owned()),
        })
    }

    /// Why the server is not ready; empty where it is.
    pub(super) fn hindrances(&self) -> Vec<String> {
        let mut found: Vec<String> = self.folder_error.iter().cloned().collect();
        for (name, Entry { version, state }) in &self.models {
            match state {
                State::Ready(_) => {}
                State::Loading => found.push(format!("model {name:?} version {version} is still loading")),
                State::Refused(reason) => found.push(format!("model {name:?} version {version} is refused: {reason}")),
            }
        }
        if !self.loaded && found.is_empty() {
            found.push("the models are still loading".to_owned());
        } else if self.models.is_empty() && found.is_empty() {
            found.push("there is no model".to_owned());
        }
        found
    }
}

/// Each model's highest version, by name.
fn highest_versions(root: &Path) -> std::io::Result<Vec<VersionFolder>> {
    // Sorted by name and version, so the last of each name is the highest.
    let by_name: BTreeMap<_, _> =
        list_versions(root)?.into_iter().map(|folder| (folder.name.clone(), folder)).collect();
    Ok(by_name.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_folder_is_read_no_model_is_unknown() {
        let models = Models::new();
        assert!(matches!(models.ready("scenes"), Err(Error::NotReady(_))));
        assert_eq!(models.status().hindrances(), ["the models are still loading"]);
        let models = Models::with_status(Status { loaded: true, ..Status::default() });
        assert!(matches!(models.ready("scenes"), Err(Error::UnknownModel(_))));
    }

    #[test]
    fn a_model_that_loads_does_not_make_others_known() {
        let loading = Entry { version: ModelVersion(1), state: State::Loading };
        let models = BTreeMap::from([("scenes".to_owned(), loading)]);
        let models = Models::with_status(Status { models, ..Status::default() });
        assert!(matches!(models.ready("scenes"), Err(Error::NotReady(_))));
        assert!(matches!(models.ready("faces"), Err(Error::UnknownModel(_))));
    }
}
