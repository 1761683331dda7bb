//! Following the repository: what is wanted of what lies there, at the start and whenever it has changed. What cannot be
//! loaded for a reason that may pass is tried again, also where the repository is not watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};

use super::{Catalog, Entry, Models, State, change::NotOpened, choice::Choice};
use crate::model::{ModelVersion, StoredVersion};

/// Versions that are opened together: most of that is the work of one thread, and each needs its file several times in
/// memory meanwhile.
const OPENED_AT_ONCE: usize = 2;

/// Between two tries to load what is delayed: twice as long after each that leaves something so, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A model's name and one of its versions.
type Key = (String, ModelVersion);

/// What a look at the repository saw: each version with the size and time of its file, where it lies on this machine, and
/// each model's choice.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sight {
    files: Vec<(StoredVersion, Option<(u64, SystemTime)>)>,
    choices: BTreeMap<String, Result<Choice, String>>,
}

/// What a look through the repository opens of what is wanted and not in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scope {
    All,
    /// All but what is refused: opening that again takes as long as at first, and ends the same.
    NotRefused,
}

impl Scope {
    fn opens(self, state: &State) -> bool {
        match state {
            State::Ready(_) => false,
            State::Refused(_) => self == Self::All,
            State::Unloaded | State::Loading | State::Delayed(_) | State::Unloading => true,
        }
    }
}

impl Models {
    /// Opens and checks what is wanted at the start, then follows the repository if the settings say so.
    pub(in crate::serve) fn start(self: &Arc<Self>) {
        let models = Arc::clone(self);
        self.tasks.spawn(async move {
            let watches = !models.settings.watch.is_zero();
            // Before the scan: what changes while models are opened is a change.
            let seen = if watches { models.look().await } else { None };
            // What fails stands in the log and in the catalog.
            let scanned = models.rescan().await;
            models.catalog.send_modify(|catalog| catalog.loaded = true);
            let applied = seen.filter(|_| scanned.is_ok());
            let follow = async {
                if watches {
                    models.follow(applied).await;
                }
            };
            let go_on = async { tokio::join!(follow, models.try_again()) };
            models.stopping.run_until_cancelled(go_on).await;
        });
    }

    /// Whenever something is delayed, tries to load that again, after pauses that grow.
    async fn try_again(self: &Arc<Self>) {
        let mut catalog = self.catalog.subscribe();
        let mut pause = PAUSE;
        loop {
            // The sender lives as long as self, so the wait cannot fail.
            let _ = catalog.wait_for(Catalog::is_unfinished).await;
            tokio::time::sleep(pause).await;
            // What fails stands in the log and in the catalog.
            let _ = self.rescan_within(Scope::NotRefused).await;
            pause = if self.catalog.borrow().is_unfinished() { (2 * pause).min(LONGEST_PAUSE) } else { PAUSE };
        }
    }

    /// Looks again and again. A change counts once two looks have seen the same, so that a file which is still being
    /// copied is not opened. `applied` is what was seen when what is loaded was last brought in line with it; none where that
    /// failed, or nothing could be seen.
    async fn follow(self: &Arc<Self>, mut applied: Option<Sight>) {
        let mut last = applied.clone();
        loop {
            tokio::time::sleep(self.settings.watch).await;
            let now = self.look().await;
            if now == last && now != applied {
                let scanned = self.rescan().await;
                applied = now.clone().filter(|_| scanned.is_ok());
            }
            last = now;
        }
    }

    /// None where the repository cannot be read.
    async fn look(&self) -> Option<Sight> {
        let stored = self.list().await.ok()?;
        let Some(root) = self.repository.folder().map(Path::to_owned) else {
            let files = stored.into_iter().map(|stored| (stored, None)).collect();
            return Some(Sight { files, choices: BTreeMap::new() });
        };
        let look = move || {
            let mut sight = Sight { files: Vec::new(), choices: read_choices(&root, &stored) };
            for stored in stored {
                let about = stored.file().and_then(|file| std::fs::metadata(file).ok());
                let stamp = about.and_then(|about| Some((about.len(), about.modified().ok()?)));
                sight.files.push((stored, stamp));
            }
            sight
        };
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// Makes what is loaded what is wanted.
    ///
    /// # Errors
    /// A repository that cannot be read; what is loaded goes on answering then.
    pub(super) async fn scan(&self, scope: Scope) -> Result<(), String> {
        let folders = match self.list().await {
            Ok(folders) => folders,
            Err(reason) => {
                tracing::error!("{reason}");
                self.catalog.send_modify(|catalog| catalog.repository_error = Some(reason.clone()));
                return Err(reason);
            }
        };
        // Before the lock that every request takes: a disk may hang.
        let read = self.choices(&folders).await?;
        let (wanted, choices) = self.register(&folders, read, scope);
        let present: BTreeSet<_> = folders.iter().map(|folder| (folder.name.to_string(), folder.version)).collect();
        let is_lacking = |folder: &StoredVersion| {
            let key = (folder.name.to_string(), folder.version);
            wanted.contains(&key) && matches!(self.state(&key.0, key.1), Some(State::Loading))
        };
        let lacking: Vec<_> = folders.iter().filter(|folder| is_lacking(folder)).cloned().collect();
        let open = |folder: StoredVersion| async move {
            if self.stopping.is_cancelled() {
                return;
            }
            let (name, version) = (folder.name.to_string(), folder.version);
            if let Err(NotOpened::Delayed(reason)) = self.open(folder).await {
                self.set_state(&name, version, State::Delayed(reason));
            }
        };
        stream::iter(lacking).for_each_concurrent(OPENED_AT_ONCE, open).await;
        if self.stopping.is_cancelled() {
            return Ok(());
        }
        self.settle(choices);
        let served: Vec<_> =
            self.catalog.borrow().served().map(|served| (served.name.clone(), served.version)).collect();
        // Where none that is wanted is ready, the version that answers goes on as long as it lies there.
        let goes_on = |key: &Key| present.contains(key) && self.is_default(key);
        for key in served.into_iter().filter(|key| !wanted.contains(key) && !goes_on(key)) {
            self.unload_version(&key.0, key.1).await;
        }
        self.forget_missing(&present);
        if let Err(error) = self.repository.prune_cache(&folders).await {
            tracing::warn!(%error, "the cache of models cannot be cleaned up");
        }
        Ok(())
    }

    /// What is chosen for each model that lies in the repository; nothing where choices are not kept there.
    async fn choices(&self, folders: &[StoredVersion]) -> Result<BTreeMap<String, Result<Choice, String>>, String> {
        let Some(root) = self.repository.folder().map(Path::to_owned) else { return Ok(BTreeMap::new()) };
        let folders = folders.to_vec();
        tokio::task::spawn_blocking(move || read_choices(&root, &folders)).await.map_err(|error| error.to_string())
    }

    /// Enters what lies in the repository, marks what is going to be loaded, and gives what is wanted and chosen.
    fn register(
        &self,
        folders: &[StoredVersion],
        mut read: BTreeMap<String, Result<Choice, String>>,
        scope: Scope,
    ) -> (BTreeSet<Key>, BTreeMap<String, Choice>) {
        let mut found: BTreeMap<String, BTreeSet<ModelVersion>> = BTreeMap::new();
        for folder in folders {
            found.entry(folder.name.to_string()).or_default().insert(folder.version);
        }
        let (mut all_wanted, mut choices) = (BTreeSet::new(), BTreeMap::new());
        self.catalog.send_modify(|catalog| {
            catalog.repository_error = None;
            for (name, versions) in found {
                let entry = catalog.models.entry(name.clone()).or_default();
                let choice = read.remove(&name).unwrap_or_else(|| Ok(entry.choice.clone()));
                let choice = choice.unwrap_or_else(|reason| {
                    tracing::error!(model = name, reason, "the choice of versions is not taken");
                    entry.choice.clone()
                });
                for &version in &versions {
                    let state = entry.versions.entry(version).or_insert(State::Unloaded);
                    // What is no longer wanted is not tried again.
                    if matches!(state, State::Delayed(_)) {
                        *state = State::Unloaded;
                    }
                }
                for version in entry.wanted(&choice, &versions, self.settings.versions) {
                    let state = entry.versions.entry(version).or_insert(State::Unloaded);
                    if scope.opens(state) {
                        *state = State::Loading;
                    }
                    all_wanted.insert((name.clone(), version));
                }
                // What answers now goes on doing so until what is to answer is loaded.
                if !entry.versions.values().any(State::is_ready) {
                    entry.choice = choice.clone();
                }
                choices.insert(name, choice);
            }
        });
        (all_wanted, choices)
    }

    /// Lets choices hold, now that their versions are loaded. One whose default was refused does not, where another
    /// version answers.
    fn settle(&self, choices: BTreeMap<String, Choice>) {
        self.catalog.send_modify(|catalog| {
            for (name, choice) in choices {
                let Some(entry) = catalog.models.get_mut(&name) else { continue };
                let is_ready = |version: ModelVersion| entry.versions.get(&version).is_some_and(State::is_ready);
                let answers = entry.default_version().is_some_and(is_ready);
                match choice.default {
                    Some(version) if answers && !is_ready(version) => {
                        tracing::error!(model = name, %version, "the chosen version is not there: the earlier one goes on");
                    }
                    _ => entry.choice = choice,
                }
            }
        });
    }

    fn is_default(&self, (name, version): &Key) -> bool {
        let catalog = self.catalog.borrow();
        catalog.models.get(name).and_then(Entry::default_version) == Some(*version)
    }

    /// Versions that no longer lie in the repository, and models without any, are no longer known.
    fn forget_missing(&self, present: &BTreeSet<Key>) {
        self.catalog.send_modify(|catalog| {
            catalog.models.retain(|name, entry| {
                entry.versions.retain(|version, _| present.contains(&(name.clone(), *version)));
                !entry.versions.is_empty()
            });
        });
    }
}

/// What is chosen for each model of a folder.
fn read_choices(root: &Path, stored: &[StoredVersion]) -> BTreeMap<String, Result<Choice, String>> {
    let names: BTreeSet<&str> = stored.iter().map(|stored| stored.name.as_str()).collect();
    names.into_iter().map(|name| (name.to_owned(), Choice::read(root, name))).collect()
}

impl Entry {
    /// The versions, of those that are there, that are to be in memory.
    fn wanted(&self, choice: &Choice, present: &BTreeSet<ModelVersion>, newest: usize) -> BTreeSet<ModelVersion> {
        let newest = present.iter().rev().take(newest).copied();
        let chosen = choice.default.into_iter().chain(choice.shadow.map(|shadow| shadow.version));
        let wanted = newest.chain(chosen).chain(self.kept.iter().copied());
        wanted.filter(|version| present.contains(version) && !self.put_away.contains(version)).collect()
    }
}
