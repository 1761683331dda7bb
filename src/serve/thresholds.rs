//! Which thresholds hold: the model file's own, or a revision of the database, which is asked every second.
//!
//! While the database cannot be asked, what held last goes on holding.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Mutex, task::AbortHandle};

use crate::{
    feedback::Revision,
    model::Task,
    store::{Store, StoreError, thresholds::InForceRow},
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// The revisions that are in force.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// By the model file's SHA-256. Requests read it; a look replaces it.
    found: RwLock<BTreeMap<String, Arc<Revised>>>,
    /// Held from a question to the database until its answer holds: what an earlier look saw never replaces what a later
    /// one did.
    looking: Mutex<()>,
}

#[derive(Debug)]
struct Revised {
    number: i64,
    revision: Revision,
}

/// What holds for a version.
#[derive(Debug)]
pub(super) struct InForce {
    /// The revision; 0 for the model file's own thresholds.
    pub(super) revision: i64,
    /// The task with these thresholds.
    pub(super) task: Task,
}

/// What holds for one model file, made anew when its revision changes.
#[derive(Debug)]
pub(super) struct Thresholds {
    revisions: Arc<Revisions>,
    digest: String,
    /// The model file's own.
    task: Task,
    /// Requests read it; the first one after a change writes.
    in_force: RwLock<Arc<InForce>>,
}

impl Thresholds {
    pub(super) fn new(revisions: Arc<Revisions>, digest: String, task: Task) -> Self {
        let in_force = RwLock::new(Arc::new(InForce { revision: 0, task: task.clone() }));
        Self { revisions, digest, task, in_force }
    }

    pub(super) fn in_force(&self) -> Arc<InForce> {
        let number = self.revisions.of(&self.digest).map_or(0, |revised| revised.number);
        let known = Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner));
        if known.revision == number {
            return known;
        }
        let new = Arc::new(self.revisions.in_force(&self.digest, self.task.clone()));
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        new
    }
}

impl Revisions {
    /// What holds for a model file, whose own thresholds are those of `task`, also where it is not loaded.
    pub(super) fn in_force(&self, digest: &str, task: Task) -> InForce {
        match self.of(digest) {
            Some(revised) => InForce { revision: revised.number, task: revised.revision.applied_to(&task) },
            None => InForce { revision: 0, task },
        }
    }

    fn of(&self, digest: &str) -> Option<Arc<Revised>> {
        self.found.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Asks the database what is in force.
    ///
    /// # Errors
    /// A database that fails; then what held goes on holding.
    pub(super) async fn look(&self, store: &Store) -> Result<(), StoreError> {
        self.take_all(store.thresholds_in_force()).await
    }

    /// Takes what the database answers; nothing is asked before the look before has ended.
    async fn take_all(&self, ask: impl Future<Output = Result<Vec<InForceRow>, StoreError>>) -> Result<(), StoreError> {
        let _one_at_a_time = self.looking.lock().await;
        let rows = ask.await?;
        let mut found = BTreeMap::new();
        for row in rows {
            match self.of(&row.digest) {
                Some(known) if known.number == row.revision => drop(found.insert(row.digest, known)),
                _ => self.take(row, &mut found),
            }
        }
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }

    /// Takes a revision that is new; one that cannot be read leaves what held before.
    fn take(&self, row: InForceRow, found: &mut BTreeMap<String, Arc<Revised>>) {
        match Revision::read(&row.thresholds) {
            Ok(revision) => {
                tracing::info!(digest = row.digest, revision = row.revision, "thresholds are in force");
                found.insert(row.digest, Arc::new(Revised { number: row.revision, revision }));
            }
            Err(error) => {
                tracing::error!(digest = row.digest, revision = row.revision, %error, "thresholds are not taken");
                if let Some(known) = self.of(&row.digest) {
                    found.insert(row.digest, known);
                }
            }
        }
    }

    /// Asks every second, until the handle is dropped or aborted.
    pub(super) fn follow(self: &Arc<Self>, store: Store) -> AbortHandle {
        let revisions = Arc::clone(self);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                // What follows the keys says when the database goes away.
                let _ = revisions.look(&store).await;
            }
        });
        task.abort_handle()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn row(revision: i64) -> InForceRow {
        InForceRow { digest: "d".to_owned(), revision, thresholds: "[]".to_owned() }
    }

    #[tokio::test]
    async fn what_an_earlier_look_saw_does_not_replace_what_a_later_one_did() {
        let revisions = Revisions::default();
        let (answer, answered) = oneshot::channel();
        // The first has asked before the second revision was there, and is answered late.
        let first = revisions.take_all(async { Ok(answered.await.unwrap()) });
        let second = revisions.take_all(async { Ok(vec![row(2)]) });
        let late = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer.send(vec![row(1)]).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, late);
        first.and(second).unwrap();
        assert_eq!(revisions.of("d").unwrap().number, 2);
    }
}
