//! Rows go to the database in batches. One that it does not take is tried again for a while, during which rows wait in
//! the channel; then it is dropped and counted, and its pictures are deleted.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{AnsweringModel, TOGETHER, gather};
use crate::{
    serve::metrics::{Lost, Metrics},
    store::{
        Pictures, Store, StoreError,
        predictions::{ModelRow, PredictionRow, ShadowRow},
    },
};

/// Rows of one statement.
const BATCH: usize = 500;
/// How long the first row of a batch waits for company.
const GATHER: Duration = Duration::from_millis(200);
/// How long a batch is tried.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// How long rows wait for a dropped batch's pictures to be deleted.
const CLEANING: Duration = Duration::from_secs(20);

/// What is to be written.
#[derive(Debug)]
pub(super) enum Entry {
    Prediction(Box<PredictionRow>, AnsweringModel),
    Shadow(ShadowRow),
}

pub(super) struct Write {
    store: Store,
    /// None where pictures are not kept.
    pictures: Option<Pictures>,
    metrics: Metrics,
    /// How long a batch is tried.
    pub(super) persistence: Duration,
    /// Model files that the database knows.
    known: BTreeSet<String>,
    /// Whether the last attempt failed.
    away: bool,
}

#[derive(Default)]
struct Batch {
    models: Vec<AnsweringModel>,
    predictions: Vec<PredictionRow>,
    shadows: Vec<ShadowRow>,
}

impl Write {
    pub(super) fn new(store: Store, pictures: Option<Pictures>, metrics: Metrics) -> Self {
        Self { store, pictures, metrics, persistence: PERSISTENCE, known: BTreeSet::new(), away: false }
    }

    /// Runs until the channel ends.
    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(gathered) = gather(&mut entries, BATCH, GATHER).await {
            self.write(Batch::of(gathered.into_iter())).await;
        }
    }

    async fn write(&mut self, mut batch: Batch) {
        let (began, mut pause) = (Instant::now(), Duration::from_millis(250));
        while let Err(error) = self.try_write(&mut batch).await {
            if !self.away {
                tracing::error!(%error, "predictions cannot be written; they wait, and are dropped where too many do");
                self.away = true;
            }
            if began.elapsed() >= self.persistence {
                self.metrics.lost(Lost::Database, batch.predictions.len() as u64);
                return self.delete_pictures(batch.predictions).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        if std::mem::take(&mut self.away) {
            tracing::info!("predictions are written again");
        }
    }

    /// Deletes the pictures of predictions that are dropped. What cannot be deleted now, `forget` finds. Where the database took
    /// a row without saying so, its picture is one that is gone.
    async fn delete_pictures(&self, predictions: Vec<PredictionRow>) {
        let Some(pictures) = &self.pictures else { return };
        let names = predictions.into_iter().filter_map(|row| row.picture);
        let deleted = stream::iter(names).for_each_concurrent(TOGETHER, async |name| {
            let _ = pictures.delete(&name).await;
        });
        let _ = tokio::time::timeout(CLEANING, deleted).await;
    }

    /// Predictions that are written are no longer of the batch: nothing takes them back.
    async fn try_write(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        for model in &batch.models {
            let digest = model.digest.to_string();
            if self.known.contains(&digest) {
                continue;
            }
            let row = ModelRow::new(&model.name, model.version, &model.digest, &model.manifest)
                .map_err(|error| StoreError::Row { what: "model", reason: error.to_string() })?;
            self.store.add_model(&row).await?;
            self.known.insert(digest);
        }
        self.store.add_predictions(&batch.predictions).await?;
        self.metrics.recorded(batch.predictions.drain(..).len() as u64);
        self.store.add_shadow_outputs(&batch.shadows).await
    }
}

impl Batch {
    fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let mut batch = Self::default();
        for entry in entries {
            match entry {
                Entry::Prediction(row, model) => {
                    if batch.models.iter().all(|known| known.digest != model.digest) {
                        batch.models.push(model);
                    }
                    batch.predictions.push(*row);
                }
                Entry::Shadow(row) => batch.shadows.push(row),
            }
        }
        batch
    }
}
