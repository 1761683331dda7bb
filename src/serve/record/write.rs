//! Rows go to the database in batches. One that it does not take is tried again for a while, during which rows wait in
//! the channel; then it is dropped and counted.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{AnsweringModel, gather};
use crate::{
    serve::metrics::{Lost, Metrics},
    store::{
        Store, StoreError,
        predictions::{ModelRow, PredictionRow, ShadowRow},
    },
};

/// Rows of one statement.
const BATCH: usize = 500;
/// How long the first row of a batch waits for company.
const GATHER: Duration = Duration::from_millis(200);
/// How long a batch is tried.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// What is to be written.
#[derive(Debug)]
pub(super) enum Entry {
    Prediction(Box<PredictionRow>, AnsweringModel),
    Shadow(ShadowRow),
}

pub(super) struct Write {
    store: Store,
    metrics: Metrics,
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
    pub(super) fn new(store: Store, metrics: Metrics) -> Self {
        Self { store, metrics, known: BTreeSet::new(), away: false }
    }

    /// Runs until the channel ends.
    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(gathered) = gather(&mut entries, BATCH, GATHER).await {
            self.write(Batch::of(gathered.into_iter())).await;
        }
    }

    async fn write(&mut self, batch: Batch) {
        let (began, mut pause) = (Instant::now(), Duration::from_millis(250));
        let count = batch.predictions.len() as u64;
        while let Err(error) = self.try_write(&batch).await {
            if !self.away {
                tracing::error!(%error, "predictions cannot be written; they wait, and are dropped where too many do");
                self.away = true;
            }
            if began.elapsed() > PERSISTENCE {
                self.metrics.lost(Lost::Database, count);
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        if std::mem::take(&mut self.away) {
            tracing::info!("predictions are written again");
        }
        self.metrics.recorded(count);
    }

    async fn try_write(&mut self, batch: &Batch) -> Result<(), StoreError> {
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
