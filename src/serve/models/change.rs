//! Changing what is loaded and what answers, while the server runs.
//!
//! One change is made after the other, each as a task of its own: a client that goes away leaves no change half-way. What a
//! change has to list or download it gets before its turn, so that none waits for the downloads of another.
//! Requests hold the version that they began with, so a change fails none of them.

use std::{future::Future, path::PathBuf, sync::Arc};

use tokio::sync::MutexGuard;

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

/// A version whose files are on this machine, or why they are not.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) stored: StoredVersion,
    file: Result<PathBuf, NotOpened>,
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
            let fetched = models.fetch_lacking(&name, version).await?;
            let _turn = models.turn().await?;
            models.load_version(&name, version, fetched).await?;
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
            let _turn = models.turn().await?;
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
        let promote = move |choice: Choice| Ok(choice.promoting(version));
        self.change(async move |models| models.choose(&name, version, promote).await).await
    }

    /// Makes the default what it was before the last promotion, unless another one is the default when its turn comes: who
    /// asks again because the first answer takes long does not want to go back twice.
    pub(in crate::serve) async fn roll_back(self: &Arc<Self>, name: String) -> Result<Changed, Error> {
        self.change(async move |models| {
            let asked = models.choice_of(&name)?;
            let earlier = asked.rolled_back();
            let earlier = earlier
                .ok_or_else(|| Error::Conflict(format!("model {name:?} has no earlier default to roll back to")))?;
            let (from, to) = (asked.default, earlier.default);
            let roll_back = |choice: Choice| {
                let back = choice.rolled_back().filter(|back| (choice.default, back.default) == (from, to));
                back.ok_or_else(|| {
                    Error::Conflict(format!(
                        "the default of model {name:?} was changed meanwhile: it is not rolled back"
                    ))
                })
            };
            models.choose(&name, to, roll_back).await
        })
        .await
    }

    /// Puts a version on trial, or ends the trial. Loads it if need be.
    pub(in crate::serve) async fn set_shadow(
        self: &Arc<Self>,
        name: String,
        shadow: Option<ShadowChoice>,
    ) -> Result<Changed, Error> {
        let put_on_trial = move |mut choice: Choice| {
            choice.shadow = shadow;
            Ok(choice)
        };
        let version = shadow.map(|shadow| shadow.version);
        self.change(async move |models| models.choose(&name, version, put_on_trial).await).await
    }

    /// Looks through the repository: loads what is new and wanted, unloads what is gone or no longer wanted.
    pub(in crate::serve) async fn rescan(self: &Arc<Self>) -> Result<Changed, Error> {
        self.rescan_within(Scope::All).await
    }

    /// The same, opening what belongs to the scope alone.
    pub(super) async fn rescan_within(self: &Arc<Self>, scope: Scope) -> Result<Changed, Error> {
        self.change(async move |models| {
            models.scan(scope).await?;
            Ok(Changed::default())
        })
        .await
    }

    /// Runs a change to its end, whether or not somebody still waits for it.
    async fn change<F, R>(self: &Arc<Self>, work: F) -> Result<Changed, Error>
    where
        F: FnOnce(Arc<Self>) -> R + Send + 'static,
        R: Future<Output = Result<Changed, Error>> + Send + 'static,
    {
        let task = self.tasks.spawn(work(Arc::clone(self)));
        task.await.map_err(Error::internal)?
    }

    /// Waits for those that change something now. Nothing is listed or downloaded while it is held.
    ///
    /// # Errors
    /// `NotReady` once the server stops.
    pub(super) async fn turn(&self) -> Result<MutexGuard<'_, ()>, Error> {
        let turn = self.changing.lock().await;
        if self.stopping.is_cancelled() { Err(Error::NotReady(STOPPING.to_owned())) } else { Ok(turn) }
    }

    fn choice_of(&self, name: &str) -> Result<Choice, Error> {
        Ok(self.catalog.borrow().entry(name)?.choice.clone())
    }

    /// Lets another choice hold than the one before, and writes it down. The version that it newly names is loaded first.
    async fn choose(
        &self,
        name: &str,
        newly: Option<ModelVersion>,
        other: impl FnOnce(Choice) -> Result<Choice, Error>,
    ) -> Result<Changed, Error> {
        // No store is asked for a model that is not known.
        self.choice_of(name)?;
        let fetched = match newly {
            Some(version) => self.fetch_lacking(name, version).await?,
            None => None,
        };
        let _turn = self.turn().await?;
        let choice = other(self.choice_of(name)?)?;
        if let Some(version) = newly {
            self.load_version(name, version, fetched).await?;
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

    /// Gets a version's files onto this machine; none where it is in memory.
    async fn fetch_lacking(&self, name: &str, version: ModelVersion) -> Result<Option<Fetched>, Error> {
        if self.state(name, version).as_ref().is_some_and(State::is_ready) {
            return Ok(None);
        }
        let stored = self.list().await.map_err(Error::NotReady)?;
        let stored = stored.into_iter().find(|stored| stored.name.as_str() == name && stored.version == version);
        Ok(Some(self.fetch(stored.ok_or_else(|| Error::unknown_version(name, version))?).await))
    }

    /// Gets a version's files onto this machine, which may take an hour.
    pub(super) async fn fetch(&self, stored: StoredVersion) -> Fetched {
        // A stop waits for each change.
        let local = self.stopping.run_until_cancelled(self.repository.local(&stored)).await;
        let file = match local {
            Some(file) => file.map_err(NotOpened::from),
            None => Err(NotOpened::Delayed(STOPPING.to_owned())),
        };
        Fetched { stored, file }
    }

    /// Loads a version unless it is there already.
    async fn load_version(&self, name: &str, version: ModelVersion, fetched: Option<Fetched>) -> Result<(), Error> {
        let before = self.state(name, version);
        if before.as_ref().is_some_and(State::is_ready) {
            return Ok(());
        }
        let Some(fetched) = fetched else {
            let reason = format!("version {version} of model {name:?} was unloaded meanwhile: ask again");
            return Err(Error::NotReady(reason));
        };
        match self.open(fetched).await {
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
    pub(super) async fn open(&self, Fetched { stored, file }: Fetched) -> Result<(), NotOpened> {
        let (name, version) = (stored.name.to_string(), stored.version);
        self.set_state(&name, version, State::Loading);
        let opened = match file {
            Ok(file) => self.open_file(VersionFolder { name: stored.name, version, file }).await,
            Err(why) => Err(why),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rollbacks_that_meet_go_back_one_step_together() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::of_ages(folder.path(), 3);
        let turn = models.turn().await.unwrap();
        let rollbacks: Vec<_> = (0..4)
            .map(|_| {
                let models = Arc::clone(&models);
                tokio::spawn(async move { models.roll_back("ages".to_owned()).await })
            })
            .collect();
        // On the one thread of this test, all of them run until they wait for their turn.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(turn);
        let mut done = 0;
        for rollback in rollbacks {
            match rollback.await.unwrap() {
                Ok(_) => done += 1,
                Err(error) => assert!(matches!(error, Error::Conflict(_)), "{error}"),
            }
        }
        assert_eq!((done, models.choice_of("ages").unwrap().default), (1, Some(ModelVersion(2))));
        // One that is asked for after that goes back further.
        models.roll_back("ages".to_owned()).await.unwrap();
        assert_eq!(models.choice_of("ages").unwrap().default, Some(ModelVersion(1)));
    }
}
