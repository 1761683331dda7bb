//! Changing what is loaded and what answers, while the server runs.
//!
//! One change runs after the other, each as a task of its own: a client that goes away leaves no change half-way.
//! Requests hold the version that they began with, so a change fails none of them.

use std::{future::Future, sync::Arc};

use super::{Entry, Models, Opening, ServedModel, ShadowChoice, State, choice::Choice, follow::Scope, served::Refusal};
use crate::{
    error::Error,
    model::{ModelVersion, StorageError, StoredVersion, VersionFolder},
};

const STOPPING: &str = "the server is stopping";

/// What a change that succeeded has to add.
#[derive(Debug, Default)]
pub(in crate::serve) struct Changed {
    /// What went less well than it might.
    pub(in crate::serve) note: Option<String>,
}

/// Why a version was not opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// It is not what it should be, or does not run here: another try would end the same.
    Refused(String),
    /// What may pass: a store that does not answer, a full disk, a server that stops.
    Delayed(String),
}

impl From<StorageError> for NotOpened {
    fn from(error: StorageError) -> Self {
        let reason = error.to_string();
        if error.may_pass() { Self::Delayed(reason) } else { Self::Refused(reason) }
    }
}

impl From<Refusal> for NotOpened {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.to_string();
        if refusal.may_pass() { Self::Delayed(reason) } else { Self::Refused(reason) }
    }
}

impl Models {
    /// Loads a version, which then takes pictures under its own address, and stays until somebody unloads it.
    pub(in crate::serve) async fn load(
        self: &Arc<Self>,
        name: String,
        version: ModelVersion,
    ) -> Result<Changed, Error> {
        self.bring(name, version, true).await
    }

    /// Loads a version that may be put away. It stays as long as it would have if nobody had put it away.
    pub(in crate::serve) async fn bring_back(
        self: &Arc<Self>,
        name: String,
        version: ModelVersion,
    ) -> Result<Changed, Error> {
        self.bring(name, version, false).await
    }

    async fn bring(self: &Arc<Self>, name: String, version: ModelVersion, is_to_stay: bool) -> Result<Changed, Error> {
        self.change(async move |models| {
            models.load_version(&name, version).await?;
            models.modify(&name, |entry| {
                entry.put_away.remove(&version);
                if is_to_stay {
                    entry.kept.insert(version);
                }
            });
            Ok(Changed::default())
        })
        .await
    }

    /// Takes a version out of memory once the requests that it has are answered; without a version, the whole model.
    pub(in crate::serve) async fn unload(
        self: &Arc<Self>,
        name: String,
        version: Option<ModelVersion>,
    ) -> Result<Changed, Error> {
        self.change(async move |models| {
            let versions = models.catalog.borrow().to_unload(&name, version)?;
            let mut changed = Changed::default();
            for version in versions {
                models.modify(&name, |entry| {
                    entry.kept.remove(&version);
                    entry.put_away.insert(version);
                });
                if !models.unload_version(&name, version).await {
                    let note = format!("requests still hold version {version}; its memory is freed when they end");
                    changed.note = Some(note);
                }
            }
            Ok(changed)
        })
        .await
    }

    /// Makes a version the one that answers where a request names none; None follows the newest. Loads it if need be.
    pub(in crate::serve) async fn promote(
        self: &Arc<Self>,
        name: String,
        version: Option<ModelVersion>,
    ) -> Result<Changed, Error> {
        self.change(async move |models| {
            let choice = models.choice_of(&name)?.promoting(version);
            models.choose(&name, choice, version).await
        })
        .await
    }

    /// Makes the default what it was before the last promotion.
    pub(in crate::serve) async fn roll_back(self: &Arc<Self>, name: String) -> Result<Changed, Error> {
        self.change(async move |models| {
            let earlier = models.choice_of(&name)?.rolled_back();
            let choice = earlier
                .ok_or_else(|| Error::Conflict(format!("model {name:?} has no earlier default to roll back to")))?;
            let version = choice.default;
            models.choose(&name, choice, version).await
        })
        .await
    }

    /// Puts a version on trial, or ends the trial. Loads it if need be.
    pub(in crate::serve) async fn set_shadow(
        self: &Arc<Self>,
        name: String,
        shadow: Option<ShadowChoice>,
    ) -> Result<Changed, Error> {
        self.change(async move |models| {
            let mut choice = models.choice_of(&name)?;
            choice.shadow = shadow;
            models.choose(&name, choice, shadow.map(|shadow| shadow.version)).await
        })
        .await
    }

    /// Looks through the repository: loads what is new and wanted, unloads what is gone or no longer wanted.
    pub(in crate::serve) async fn rescan(self: &Arc<Self>) -> Result<Changed, Error> {
        self.rescan_within(Scope::All).await
    }

    /// The same, opening what belongs to the scope alone.
    pub(super) async fn rescan_within(self: &Arc<Self>, scope: Scope) -> Result<Changed, Error> {
        self.change(async move |models| {
            models.scan(scope).await.map_err(Error::NotReady)?;
            Ok(Changed::default())
        })
        .await
    }

    /// Runs one change after those before it, to its end, whether or not somebody still waits for it.
    pub(super) async fn change<F, R>(self: &Arc<Self>, work: F) -> Result<Changed, Error>
    where
        F: FnOnce(Arc<Self>) -> R + Send + 'static,
        R: Future<Output = Result<Changed, Error>> + Send + 'static,
    {
        let models = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let _one_at_a_time = models.changing.lock().await;
            if models.stopping.is_cancelled() {
                return Err(Error::NotReady(STOPPING.to_owned()));
            }
            work(Arc::clone(&models)).await
        });
        task.await.map_err(Error::internal)?
    }

    fn choice_of(&self, name: &str) -> Result<Choice, Error> {
        Ok(self.catalog.borrow().entry(name)?.choice.clone())
    }

    /// Loads the version that a choice newly names, then lets the choice hold and writes it down.
    async fn choose(&self, name: &str, choice: Choice, newly: Option<ModelVersion>) -> Result<Changed, Error> {
        if let Some(version) = newly {
            self.load_version(name, version).await?;
        }
        let saved = match self.repository.folder() {
            Some(folder) => {
                let (choice, folder, name) = (choice.clone(), folder.to_owned(), name.to_owned());
                let written = tokio::task::spawn_blocking(move || choice.write(&folder, &name));
                written.await.unwrap_or_else(|error| Err(error.to_string()))
            }
            None => Err(format!("{} is not written to from here", self.repository)),
        };
        tracing::info!(model = name, default = ?choice.default, shadow = ?choice.shadow, "chosen");
        self.modify(name, |entry| {
            entry.put_away.retain(|version| Some(*version) != newly);
            entry.choice = choice;
        });
        let unsaved = |reason| format!("this holds until the server stops: it could not be written down: {reason}");
        Ok(Changed { note: saved.err().map(unsaved) })
    }

    /// Loads a version unless it is there already.
    async fn load_version(&self, name: &str, version: ModelVersion) -> Result<(), Error> {
        let before = self.state(name, version);
        if before.as_ref().is_some_and(State::is_ready) {
            return Ok(());
        }
        let stored = self.list().await.map_err(Error::NotReady)?;
        let stored = stored.into_iter().find(|stored| stored.name.as_str() == name && stored.version == version);
        match self.open(stored.ok_or_else(|| Error::unknown_version(name, version))?).await {
            Ok(()) => Ok(()),
            Err(NotOpened::Refused(reason)) => {
                Err(Error::Rejected { model: name.to_owned(), version: version.0, reason })
            }
            Err(NotOpened::Delayed(reason)) => {
                // Whoever asked may ask again. What is tried again without being asked was to be so before.
                self.set_state(name, version, before.unwrap_or(State::Unloaded));
                Err(Error::NotReady(format!("version {version} of model {name:?} cannot be loaded now: {reason}")))
            }
        }
    }

    /// Opens a version.
    ///
    /// # Errors
    /// Why it is not opened. Where that is a delay, what becomes of the version's state is left to the caller.
    pub(super) async fn open(&self, stored: StoredVersion) -> Result<(), NotOpened> {
        let (name, version) = (stored.name.to_string(), stored.version);
        self.set_state(&name, version, State::Loading);
        // A download may take an hour, and a stop waits for each change.
        let Some(local) = self.stopping.run_until_cancelled(self.repository.local(&stored)).await else {
            return Err(NotOpened::Delayed(STOPPING.to_owned()));
        };
        let opened = match local {
            Ok(file) => self.open_file(VersionFolder { name: stored.name, version, file }).await,
            Err(error) => Err(error.into()),
        };
        match &opened {
            Ok(served) => {
                tracing::info!(model = name, %version, digest = %served.digest, "model ready");
                self.set_state(&name, version, State::Ready(Arc::clone(served)));
            }
            Err(NotOpened::Refused(reason)) => {
                tracing::error!(model = name, %version, reason, "model refused");
                self.set_state(&name, version, State::Refused(reason.clone()));
            }
            Err(NotOpened::Delayed(_)) if self.stopping.is_cancelled() => {}
            Err(NotOpened::Delayed(reason)) => {
                tracing::error!(model = name, %version, reason, "model cannot be loaded now");
            }
        }
        opened.map(|_| ())
    }

    async fn open_file(&self, folder: VersionFolder) -> Result<Arc<ServedModel>, NotOpened> {
        let opening = Opening {
            runtime: self.runtime.clone(),
            settings: Arc::clone(&self.settings),
            metrics: self.metrics.clone(),
            revisions: Arc::clone(&self.revisions),
            all_threads: self.tasks.clone(),
        };
        let open = move || ServedModel::open(&folder, &opening);
        let opened = tokio::task::spawn_blocking(open).await;
        Ok(Arc::new(opened.map_err(|error| NotOpened::Refused(error.to_string()))??))
    }

    /// Takes a version out of memory; false where requests still hold it after the stop timeout.
    pub(super) async fn unload_version(&self, name: &str, version: ModelVersion) -> bool {
        let before = self.set_state(name, version, State::Unloading);
        let freed = match before {
            Some(State::Ready(served)) => served.retire(self.settings.stop_timeout).await,
            _ => true,
        };
        self.set_state(name, version, State::Unloaded);
        tracing::info!(model = name, %version, freed, "model unloaded");
        freed
    }

    pub(super) fn state(&self, name: &str, version: ModelVersion) -> Option<State> {
        self.catalog.borrow().models.get(name)?.versions.get(&version).cloned()
    }

    pub(super) fn set_state(&self, name: &str, version: ModelVersion, state: State) -> Option<State> {
        let mut before = None;
        self.catalog.send_modify(|catalog| {
            before = catalog.models.entry(name.to_owned()).or_default().versions.insert(version, state);
        });
        before
    }

    fn modify(&self, name: &str, modify: impl FnOnce(&mut Entry)) {
        self.catalog.send_modify(|catalog| modify(catalog.models.entry(name.to_owned()).or_default()));
    }

    /// What lies in the repository.
    pub(super) async fn list(&self) -> Result<Vec<StoredVersion>, String> {
        let failed = |error| format!("the models in {} cannot be listed: {error}", self.repository);
        let listed = self.stopping.run_until_cancelled(self.repository.list()).await;
        listed.ok_or_else(|| STOPPING.to_owned())?.map_err(failed)
    }
}
