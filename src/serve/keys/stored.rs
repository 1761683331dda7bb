//! The database's keys: read at the start, asked for every second, and told when they were last used.
//!
//! While the database cannot be asked, the keys that are known go on working for a time that the settings say.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{ApiKey, Keyring};
use crate::store::{Store, StoreError, keys::KeyRow};

/// Between two looks: with a look's own time, a revoked key stops working within 2 s.
const EVERY: Duration = Duration::from_secs(1);
/// How far the noted last use of a key may lie behind.
const NOTE_EVERY_MS: i64 = 5000;
/// The least time that keys hold after a look, so that a look that takes long is no gap.
const LEAST: Duration = Duration::from_secs(3);

/// How long the stop waits for the database.
const LAST: Duration = Duration::from_secs(3);

/// What the database adds to a key.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// When it stops working, in milliseconds since 1970.
    pub(super) expires_ms: Option<i64>,
    /// When it was last used. Requests write, the follower reads.
    last_used_ms: Arc<AtomicI64>,
}

impl Stored {
    pub(super) fn used(&self, now_ms: i64) {
        self.last_used_ms.fetch_max(now_ms, Ordering::Relaxed);
    }
}

/// The way from the database to the ring.
#[derive(Debug)]
pub(in crate::serve) struct StoredKeys {
    store: Store,
    ring: Arc<Keyring>,
    /// How long keys hold when the database cannot be asked.
    grace: Duration,
    /// By the key's id: when it was last used, as requests note it and as the database knows it.
    uses: BTreeMap<String, (Arc<AtomicI64>, i64)>,
    /// Whether the last look failed.
    away: bool,
}

/// A task that follows the database's keys.
#[derive(Debug)]
pub(in crate::serve) struct Followed {
    /// Dropping it ends the task, too.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl StoredKeys {
    /// Reads the keys.
    ///
    /// # Errors
    /// A database that fails: without it nobody knows who may ask.
    pub(in crate::serve) async fn read(store: Store, ring: Arc<Keyring>, grace: Duration) -> Result<Self, StoreError> {
        let mut stored = Self { store, ring, grace: grace.max(LEAST), uses: BTreeMap::new(), away: false };
        stored.look().await?;
        Ok(stored)
    }

    /// Follows the keys until it is told to stop.
    pub(in crate::serve) fn follow(mut self) -> Followed {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut stopped => break,
                    _ = ticks.tick() => {}
                }
                let looked = self.look().await;
                self.report(looked.err());
                self.note_uses(NOTE_EVERY_MS).await;
            }
            self.note_uses(1).await;
        });
        Followed { stop, task }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let rows = self.store.keys().await?;
        let working = rows.iter().filter(|row| row.revoked_ms.is_none());
        let keys = working.filter_map(|row| self.key(row)).collect();
        self.ring.replace_stored(keys, !rows.is_empty(), Instant::now() + self.grace);
        Ok(())
    }

    /// A key of the ring; none where a newer program wrote what this one cannot read.
    fn key(&mut self, row: &KeyRow) -> Option<(ApiKey, Stored)> {
        let is_new = !self.uses.contains_key(&row.id);
        let known = row.last_used_ms.unwrap_or_default();
        let (last_used_ms, _) = self.uses.entry(row.id.clone()).or_insert_with(|| (Arc::new(known.into()), known));
        let stored = Stored { expires_ms: row.expires_ms, last_used_ms: Arc::clone(last_used_ms) };
        match ApiKey::from_row(row) {
            Ok(key) => Some((key, stored)),
            Err(reason) => {
                if is_new {
                    tracing::error!(key = row.name, reason, "a key of the database cannot be read; it opens nothing");
                }
                None
            }
        }
    }

    /// Says when the database goes away, and when it is back.
    fn report(&mut self, error: Option<StoreError>) {
        match (error, self.away) {
            (Some(error), false) => {
                let grace_s = self.grace.as_secs();
                tracing::error!(%error, grace_s, "the database's keys cannot be asked for; those known go on working");
                self.away = true;
            }
            (None, true) => {
                tracing::info!("the database's keys are asked for again");
                self.away = false;
            }
            _ => {}
        }
    }

    /// Tells the database of uses that lie at least so much later than those it knows.
    async fn note_uses(&mut self, least_ms: i64) {
        if self.away {
            return;
        }
        let news = |(id, (used, known)): (&String, &(Arc<AtomicI64>, i64))| {
            let used = used.load(Ordering::Relaxed);
            (used - known >= least_ms).then(|| (id.clone(), used))
        };
        let news: Vec<(String, i64)> = self.uses.iter().filter_map(news).collect();
        if self.store.use_keys(&news).await.is_ok() {
            for (id, used) in news {
                self.uses.entry(id).and_modify(|(_, known)| *known = used);
            }
        }
    }
}

impl Followed {
    /// Ends the task, once the database knows the last uses.
    pub(in crate::serve) async fn finish(self) {
        drop(self.stop);
        // A task that panicked has nothing left to note, and a database that hangs is not waited for.
        let _ = tokio::time::timeout(LAST, self.task).await;
    }
}
