//! The models that are served: which there are ([`catalog`]), a version in memory ([`served`]) and which of its files
//! runs ([`variant`]), which of them answer
//! ([`choice`]), and how all of that changes while the server runs ([`change`], [`follow`]).

mod catalog;
mod change;
mod choice;
mod follow;
mod served;
mod variant;

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use catalog::{Catalog, Entry, State};
pub(super) use change::Changed;
pub(super) use choice::ShadowChoice;
use served::Opening;
pub(super) use served::ServedModel;

use super::{metrics::Metrics, settings::Settings, thresholds::Revisions};
use crate::{
    error::Error,
    infer::Runtime,
    model::{ModelVersion, Repository, StorageError},
};

/// Every model, and how far loading has come.
#[derive(Debug)]
pub struct Models {
    /// Changes write; requests read, and the ready message waits on it.
    catalog: watch::Sender<Catalog>,
    runtime: Runtime,
    settings: Arc<Settings>,
    /// Where the model files lie.
    repository: Repository,
    metrics: Metrics,
    /// Thresholds of the database.
    revisions: Arc<Revisions>,
    /// Held by whoever changes what is loaded: one change after the other, and none while it lists or downloads.
    changing: Mutex<()>,
    /// Changes that run, and a token for each thread of each version: all are waited for at the end.
    tasks: TaskTracker,
    /// Cancelled once the server stops: then no further version is opened.
    stopping: CancellationToken,
}

impl Models {
    /// No models yet.
    ///
    /// # Errors
    /// An address of the repository that is none.
    pub(super) fn new(runtime: Runtime, settings: Arc<Settings>, metrics: Metrics) -> Result<Self, StorageError> {
        let repository = Repository::open(&settings.models.to_string_lossy(), settings.storage.clone())?;
        Ok(Self {
            catalog: watch::Sender::default(),
            runtime,
            settings,
            changing: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            repository,
            metrics,
            revisions: Arc::default(),
        })
    }

    /// Waits until every model is ready or refused, and gives the names of those that answer.
    pub async fn loaded(&self) -> Vec<String> {
        let mut catalog = self.catalog.subscribe();
        // The sender lives as long as self, so the wait cannot fail.
        let _ = catalog.wait_for(|catalog| catalog.loaded).await;
        let catalog = catalog.borrow();
        let answers = |entry: &&Entry| {
            entry.default_version().and_then(|version| entry.versions.get(&version)).is_some_and(State::is_ready)
        };
        catalog.models.iter().filter(|(_, entry)| answers(entry)).map(|(name, _)| name.clone()).collect()
    }

    /// Which thresholds of the database hold.
    pub(super) fn revisions(&self) -> &Arc<Revisions> {
        &self.revisions
    }

    /// What there is now.
    pub(super) fn catalog(&self) -> Catalog {
        self.catalog.borrow().clone()
    }

    /// A version, if it takes pictures; the default one where none is named.
    ///
    /// # Errors
    /// `UnknownModel`, `UnknownVersion`, `NotLoaded`, `NotReady` or `Refused`.
    pub(super) fn find(&self, name: &str, version: Option<ModelVersion>) -> Result<Arc<ServedModel>, Error> {
        self.catalog.borrow().find(name, version)
    }

    /// The version that is to see this picture too, besides the default one.
    pub(super) fn shadow_of(&self, model: &ServedModel) -> Option<(Arc<ServedModel>, f64)> {
        let catalog = self.catalog.borrow();
        let entry = catalog.models.get(&model.name)?;
        let trial = entry.trial()?;
        match entry.versions.get(&trial.version)? {
            State::Ready(served) if entry.default_version() == Some(model.version) => {
                Some((Arc::clone(served), trial.share))
            }
            _ => None,
        }
    }

    /// Waits until a version is on trial no more: it was promoted, or somebody ended the trial.
    pub(super) async fn trial_is_over(&self, shadow: &ServedModel) {
        let is_over = |catalog: &Catalog| {
            let trial = catalog.models.get(&shadow.name).and_then(Entry::trial);
            trial.is_none_or(|trial| trial.version != shadow.version)
        };
        let mut catalog = self.catalog.subscribe();
        // The sender lives as long as self, so the wait cannot fail.
        let _ = catalog.wait_for(is_over).await;
    }

    /// Closes every queue and waits until the models' threads have run what is queued.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        {
            let _no_change = self.changing.lock().await;
            self.catalog.send_modify(|catalog| catalog.models.clear());
        }
        // Without the lock: a change that waits for it is one of the tasks.
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
impl Models {
    /// Those of a folder, with so many versions of `ages` in memory that no thread runs, promoted one after the other.
    pub(super) fn of_ages(folder: &std::path::Path, versions: u64) -> Arc<Self> {
        let settings = Settings { models: folder.to_owned(), ..Settings::default() };
        let models = Self::new(Runtime::load(None).unwrap(), Arc::new(settings), Metrics::default()).unwrap();
        let mut ages = Entry::default();
        for version in (1..=versions).map(ModelVersion) {
            let mut served = ServedModel::without_threads("ages");
            served.version = version;
            ages.versions.insert(version, State::Ready(Arc::new(served)));
            ages.choice = ages.choice.promoting(Some(version));
        }
        models.catalog.send_modify(|catalog| drop(catalog.models.insert("ages".to_owned(), ages)));
        Arc::new(models)
    }
}
