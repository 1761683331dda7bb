//! Following the repository: what is wanted of what lies there, at the start and whenever it has changed. What cannot be
//! loaded for a reason that may pass is tried again, also where the repository is not watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{
    Catalog, Entry, Models, State,
    change::{Fetched, NotOpened},
    choice::Choice,
};
use crate::{
    error::Error,
    model::{ModelVersion, StoredVersion},
};

/// Versions that are opened together: most of that is the work of one thread, and each needs its file several times in
/// memory meanwhile.
const OPENED_AT_ONCE: usize = 2;
/// Versions that a look fetches together. A few more can be downloaded at a time, for other changes.
const FETCHED_AT_ONCE: usize = 2;

/// Between two tries to load what is delayed: twice as long after each that leaves something so, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A model's name and one of its versions.
type Key = (String, ModelVersion);

/// What is chosen, by model; or why what stands there cannot be taken.
type Choices = BTreeMap<String, Result<Choice, String>>;

/// What a look at the repository saw: each version with the size and time of its file, where it lies on this machine, and
/// each model's choice.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sight {
    files: Vec<(StoredVersion, Option<(u64, SystemTime)>)>,
    choices: Choices,
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
            let names = stored.iter().map(|stored| stored.name.to_string()).collect();
            let mut sight = Sight { files: Vec::new(), choices: read_choices(&root, names) };
            for stored in stored {
                let about = stored.file().and_then(|file| std::fs::metadata(file).ok());
                let stamp = about.and_then(|about| Some((about.len(), about.modified().ok()?)));
                sight.files.push((stored, stamp));
            }
            sight
        };
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// Makes what is loaded what is wanted. What is listed and downloaded for that is so while other changes go on.
    ///
    /// # Errors
    /// `NotReady` where the repository cannot be read; what is loaded goes on answering then.
    pub(super) async fn scan(&self, scope: Scope) -> Result<(), Error> {
        let known = self.known();
        let stored = self.list_noting().await?;
        let listed: BTreeSet<Key> = stored.iter().map(key_of).collect();
        let lacking = {
            let _turn = self.turn().await?;
            let choices = self.choices(&listed).await?;
            self.register(&listed, &choices, scope)
        };
        let to_fetch = stored.iter().filter(|stored| lacking.contains(&key_of(stored))).cloned().collect();
        self.bring_in(to_fetch).await?;
        let _turn = self.turn().await?;
        // What another change has loaded from a later listing is there, too, and what one has found gone is not.
        let is_present = |key: &Key| listed.contains(key) || !known.contains(key);
        let present: BTreeSet<Key> = self.known().into_iter().filter(is_present).collect();
        // Anew, since somebody may have chosen meanwhile.
        let choices = self.choices(&present).await?;
        let wanted = self.settle(&present, &choices);
        let served: Vec<_> =
            self.catalog.borrow().served().map(|served| (served.name.clone(), served.version)).collect();
        // Where none that is wanted is ready, the version that answers goes on as long as it lies there.
        let goes_on = |key: &Key| present.contains(key) && self.is_default(key);
        for key in served.into_iter().filter(|key| !wanted.contains(key) && !goes_on(key)) {
            self.unload_version(&key.0, key.1).await;
        }
        self.forget_missing(&present);
        if let Err(error) = self.repository.prune_cache(&stored).await {
            tracing::warn!(%error, "the cache of models cannot be cleaned up");
        }
        Ok(())
    }

    /// What lies in the repository; why it cannot be read is noted, where that is so.
    async fn list_noting(&self) -> Result<Vec<StoredVersion>, Error> {
        self.list().await.map_err(|reason| {
            tracing::error!("{reason}");
            self.catalog.send_modify(|catalog| catalog.repository_error = Some(reason.clone()));
            Error::NotReady(reason)
        })
    }

    /// Fetches versions, and opens them as they come: each in turn, or together with those that have come meanwhile.
    async fn bring_in(&self, to_fetch: Vec<StoredVersion>) -> Result<(), Error> {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        // Ends the channel as it ends.
        let fetch = async move {
            let fetch = |stored| {
                let arrived = &arrived;
                async move {
                    // Nobody opens any more once the server stops.
                    let _ = arrived.send(self.fetch(stored).await);
                }
            };
            stream::iter(to_fetch).for_each_concurrent(FETCHED_AT_ONCE, fetch).await;
            Ok(())
        };
        let open = async {
            let mut together = Vec::new();
            while arrivals.recv_many(&mut together, usize::MAX).await > 0 {
                let _turn = self.turn().await?;
                let open = |fetched| self.open_if_due(fetched);
                stream::iter(std::mem::take(&mut together)).for_each_concurrent(OPENED_AT_ONCE, open).await;
            }
            Ok(())
        };
        tokio::try_join!(fetch, open).map(|((), ())| ())
    }

    /// Opens a version, unless another change has opened it, or put it away, since it was registered.
    async fn open_if_due(&self, fetched: Fetched) {
        let (name, version) = key_of(&fetched.stored);
        let is_due = matches!(self.state(&name, version), Some(State::Loading | State::Delayed(_)));
        if self.stopping.is_cancelled() || !is_due {
            return;
        }
        if let Err(NotOpened::Delayed(reason)) = self.open(fetched).await {
            self.set_state(&name, version, State::Delayed(reason));
        }
    }

    /// What is chosen for each model of these; nothing where choices are not kept in the repository.
    async fn choices(&self, of: &BTreeSet<Key>) -> Result<Choices, Error> {
        let Some(root) = self.repository.folder().map(Path::to_owned) else { return Ok(BTreeMap::new()) };
        let names: BTreeSet<String> = of.iter().map(|(name, _)| name.clone()).collect();
        // Not under the lock that every request takes: a disk may hang.
        let read = tokio::task::spawn_blocking(move || read_choices(&root, names)).await;
        read.map_err(|error| Error::NotReady(error.to_string()))
    }

    /// Enters what lies in the repository, and marks and gives what is to be opened.
    fn register(&self, listed: &BTreeSet<Key>, read: &Choices, scope: Scope) -> BTreeSet<Key> {
        let mut lacking = BTreeSet::new();
        self.catalog.send_modify(|catalog| {
            catalog.repository_error = None;
            for (name, versions) in by_model(listed) {
                let entry = catalog.models.entry(name.clone()).or_default();
                if let Some(Err(reason)) = read.get(&name) {
                    tracing::error!(model = name, reason, "the choice of versions is not taken");
                }
                let choice = entry.chosen(read.get(&name));
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
                        lacking.insert((name.clone(), version));
                    }
                }
                // What answers now goes on doing so until what is to answer is loaded.
                if !entry.versions.values().any(State::is_ready) {
                    entry.choice = choice;
                }
            }
        });
        lacking
    }

    /// Lets choices hold, now that their versions are loaded, and gives what is wanted by them. One whose default was refused
    /// does not hold, where another version answers.
    fn settle(&self, present: &BTreeSet<Key>, read: &Choices) -> BTreeSet<Key> {
        let mut all_wanted = BTreeSet::new();
        self.catalog.send_modify(|catalog| {
            for (name, versions) in by_model(present) {
                let Some(entry) = catalog.models.get_mut(&name) else { continue };
                let choice = entry.chosen(read.get(&name));
                let wanted = entry.wanted(&choice, &versions, self.settings.versions);
                all_wanted.extend(wanted.into_iter().map(|version| (name.clone(), version)));
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
        all_wanted
    }

    /// Every version that is known.
    fn known(&self) -> BTreeSet<Key> {
        let catalog = self.catalog.borrow();
        let versions = |(name, entry): (&String, &Entry)| {
            entry.versions.keys().map(|version| (name.clone(), *version)).collect::<Vec<_>>()
        };
        catalog.models.iter().flat_map(versions).collect()
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

fn key_of(stored: &StoredVersion) -> Key {
    (stored.name.to_string(), stored.version)
}

fn by_model(keys: &BTreeSet<Key>) -> BTreeMap<String, BTreeSet<ModelVersion>> {
    let mut models: BTreeMap<String, BTreeSet<ModelVersion>> = BTreeMap::new();
    for (name, version) in keys {
        models.entry(name.clone()).or_default().insert(*version);
    }
    models
}

/// What is chosen for models of a folder.
fn read_choices(root: &Path, names: BTreeSet<String>) -> Choices {
    let read = |name: String| {
        let choice = Choice::read(root, &name);
        (name, choice)
    };
    names.into_iter().map(read).collect()
}

impl Entry {
    /// What is chosen by what was read; what holds already where nothing was, or nothing that can be taken.
    fn chosen(&self, read: Option<&Result<Choice, String>>) -> Choice {
        read.and_then(|read| read.as_ref().ok()).unwrap_or(&self.choice).clone()
    }

    /// The versions, of those that are there, that are to be in memory.
    fn wanted(&self, choice: &Choice, present: &BTreeSet<ModelVersion>, newest: usize) -> BTreeSet<ModelVersion> {
        let newest = present.iter().rev().take(newest).copied();
        let chosen = choice.default.into_iter().chain(choice.shadow.map(|shadow| shadow.version));
        let wanted = newest.chain(chosen).chain(self.kept.iter().copied());
        wanted.filter(|version| present.contains(version) && !self.put_away.contains(version)).collect()
    }
}
