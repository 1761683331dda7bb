//! Remembering answers, off the requests' way.
//!
//! A request hands its answer over and goes on: [`Recorder::record`] never waits. [`prepare`] computes digests and keeps
//! pictures, [`write`] writes rows in batches, [`forget`] deletes what is too old. Whatever is slow or gone, the channels
//! between them fill up to their limits, and what does not fit is dropped and counted. No picture outlives its row for good: it
//! is kept only where the row has a place, deleted where the row is dropped, and looked for where a server was killed in between.

mod forget;
mod prepare;
mod row;
mod write;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{
    copies::Copies,
    metrics::{Lost, Metrics},
    models::ServedModel,
    pipeline::{Input, Outcome},
    settings::RecordSettings,
};
use crate::{
    model::{Digest, Manifest, ModelVersion},
    store::{Pictures, Store, now_ms, timestamp},
};
use prepare::Prepare;
use write::{Entry, Write};

/// Answers that wait for their digest.
const WAITING: usize = 1024;
/// Rows that wait for the database.
const ROWS: usize = 10_000;
/// Pictures that are kept or deleted at a time: that waits for the network.
const TOGETHER: usize = 16;

/// Where requests hand their answers over. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    share: f64,
    /// None once the server stops: the channels then end.
    channels: Arc<RwLock<Option<Channels>>>,
    /// Memory for pictures that wait.
    copies: Copies,
    metrics: Metrics,
}

#[derive(Debug)]
struct Channels {
    /// To [`prepare`].
    answers: mpsc::Sender<Answered>,
    /// To [`write`], past `prepare`.
    rows: mpsc::Sender<Entry>,
}

/// The tasks behind a [`Recorder`].
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    prepare: JoinHandle<()>,
    write: JoinHandle<()>,
    forget: JoinHandle<()>,
}

/// A picture and its answer.
#[derive(Debug)]
struct Answered {
    id: Uuid,
    created_ms: i64,
    model: AnsweringModel,
    input: Input,
    outcome: Outcome,
    /// For the picture's bytes.
    _held: OwnedSemaphorePermit,
}

/// What is needed of a version once it has answered. The version itself may be unloaded meanwhile.
#[derive(Clone, Debug)]
struct AnsweringModel {
    name: String,
    version: ModelVersion,
    digest: Digest,
    manifest: Arc<Manifest>,
}

impl Recording {
    /// Starts to remember; `pictures` is where pictures are kept, if they are.
    pub(super) fn start(settings: &RecordSettings, store: Store, pictures: Option<Pictures>, metrics: Metrics) -> Self {
        let (answers, answered) = mpsc::channel(WAITING);
        let (rows, entries) = mpsc::channel(ROWS);
        let prepare = Prepare {
            pictures: pictures.clone(),
            database: store.id().to_owned(),
            rows: rows.clone(),
            metrics: metrics.clone(),
        };
        let write = Write::new(store.clone(), pictures.clone(), metrics.clone());
        let recorder = Recorder {
            share: settings.share,
            channels: Arc::new(RwLock::new(Some(Channels { answers, rows }))),
            copies: Copies::default(),
            metrics,
        };
        Self {
            recorder,
            prepare: tokio::spawn(prepare.run(answered)),
            write: tokio::spawn(write.run(entries)),
            forget: tokio::spawn(forget::run(store, pictures, settings.keep)),
        }
    }

    pub(super) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Takes no further answer, and gives those that it has this long to be written.
    pub(super) async fn finish(self, patience: Duration) {
        self.forget.abort();
        drop(self.recorder.channels.write().unwrap_or_else(PoisonError::into_inner).take());
        let (prepare, write) = (self.prepare.abort_handle(), self.write.abort_handle());
        let written = async {
            // Tasks that panicked have nothing left to write.
            let _ = self.prepare.await;
            let _ = self.write.await;
        };
        if tokio::time::timeout(patience, written).await.is_err() {
            tracing::warn!("stopped with predictions that the database did not take");
            prepare.abort();
            write.abort();
        }
    }
}

impl Recorder {
    /// The id of the next answer, if it is one of those that are remembered.
    pub(super) fn sample(&self) -> Option<Uuid> {
        let id = Uuid::now_v7();
        // Its last 32 bits are random.
        let draw = f64::from(id.as_u128() as u32) / (f64::from(u32::MAX) + 1.0);
        (draw < self.share).then_some(id)
    }

    /// Remembers an answer. Never waits: what does not fit is dropped and counted.
    pub(super) fn record(&self, id: Uuid, model: &ServedModel, input: Input, outcome: Outcome) {
        let Some((input, held)) = self.copies.take(input) else { return self.metrics.lost(Lost::TooMany, 1) };
        let model = AnsweringModel {
            name: model.name.clone(),
            version: model.version,
            digest: model.digest,
            manifest: Arc::clone(&model.manifest),
        };
        let answered = Answered { id, created_ms: now_ms(), model, input, outcome, _held: held };
        let sent = self.with(|channels| channels.answers.try_send(answered).is_ok());
        if !sent {
            self.metrics.lost(Lost::TooMany, 1);
        }
    }

    /// Remembers what a version on trial said of a picture whose answer is remembered.
    pub(super) fn record_shadow(&self, id: Uuid, version: ModelVersion, outputs: &[f32], disagreement: f64) {
        let row = row::shadow(id, version, outputs, disagreement);
        if !self.with(|channels| channels.rows.try_send(Entry::Shadow(row)).is_ok()) {
            self.metrics.lost(Lost::TooMany, 1);
        }
    }

    fn with(&self, send: impl FnOnce(&Channels) -> bool) -> bool {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(send)
    }
}

/// What waits in a channel, up to so many, once the first has waited so long; none once the channel has ended.
async fn gather<T>(channel: &mut mpsc::Receiver<T>, most: usize, pause: Duration) -> Option<Vec<T>> {
    let mut gathered = Vec::new();
    if channel.recv_many(&mut gathered, most).await == 0 {
        return None;
    }
    tokio::time::sleep(pause).await;
    while gathered.len() < most
        && let Ok(next) = channel.try_recv()
    {
        gathered.push(next);
    }
    Some(gathered)
}

/// The day of a time, as it is in pictures' names: `2026-05-04`.
fn day(ms: i64) -> String {
    timestamp(ms).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::{picture::PictureSize, serve::queue::Output, store::Database};

    /// An answer to a picture of so many bytes.
    fn hand_over(recorder: &Recorder, bytes: usize) {
        let model = ServedModel::without_threads("age");
        let output = Output { values: vec![0.5], batch_size: 1, waited: Duration::ZERO, inference: Duration::ZERO };
        let outcome = Outcome {
            original: PictureSize { width: 1, height: 1 },
            decode: Duration::ZERO,
            waited: Duration::ZERO,
            output,
            in_force: model.thresholds.in_force(),
            recorded: None,
        };
        recorder.record(Uuid::now_v7(), &model, Input::Encoded(Bytes::from(vec![0; bytes])), outcome);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
        let metrics = Metrics::default();
        let (answers, mut answered) = mpsc::channel(2);
        let (rows, _entries) = mpsc::channel(1);
        let recorder = Recorder {
            share: 1.0,
            channels: Arc::new(RwLock::new(Some(Channels { answers, rows }))),
            copies: Copies::of_kib(3),
            metrics: metrics.clone(),
        };
        let lost = || metrics.lost_so_far(Lost::TooMany);
        // Four KiB do not fit into three, two answers into two places, and a third answer not.
        hand_over(&recorder, 4096);
        assert_eq!(lost(), 1);
        hand_over(&recorder, 1024);
        hand_over(&recorder, 10);
        assert_eq!(lost(), 1);
        hand_over(&recorder, 10);
        assert_eq!(lost(), 2);
        // What was taken makes room, in places and in bytes.
        drop(answered.try_recv().unwrap());
        drop(answered.try_recv().unwrap());
        hand_over(&recorder, 2048);
        assert_eq!(lost(), 2);
        for expected in [2, 3] {
            recorder.record_shadow(Uuid::now_v7(), ModelVersion(1), &[0.5], 0.0);
            assert_eq!(lost(), expected);
        }
    }

    /// The rows of three pictures, where so many may wait.
    async fn prepared(places: usize, pictures: &Pictures, metrics: &Metrics) -> mpsc::Receiver<Entry> {
        let (answers, answered) = mpsc::channel(3);
        let (rows, entries) = mpsc::channel(places);
        let prepare = Prepare {
            pictures: Some(pictures.clone()),
            database: "database".to_owned(),
            rows: rows.clone(),
            metrics: metrics.clone(),
        };
        let recorder = Recorder {
            share: 1.0,
            channels: Arc::new(RwLock::new(Some(Channels { answers, rows }))),
            copies: Copies::of_kib(3),
            metrics: metrics.clone(),
        };
        for _ in 0..3 {
            hand_over(&recorder, 10);
        }
        // The channels end.
        drop(recorder);
        prepare.run(answered).await;
        entries
    }

    async fn kept(pictures: &Pictures) -> Vec<String> {
        pictures.names("database").try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn a_picture_is_kept_only_where_its_row_has_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(folder.path().to_str().unwrap()).unwrap();
        let metrics = Metrics::default();
        let mut entries = prepared(1, &pictures, &metrics).await;
        let Some(Entry::Prediction(row, _)) = entries.recv().await else { panic!("no row") };
        assert!(entries.recv().await.is_none());
        assert_eq!(kept(&pictures).await, [row.picture.unwrap()]);
        assert_eq!(metrics.lost_so_far(Lost::TooMany), 2);
    }

    #[tokio::test]
    async fn the_pictures_of_rows_that_the_database_does_not_take_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::open(folder.path().join("pictures").to_str().unwrap()).unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().join("test.db"))).await.unwrap().unwrap();
        store.close().await;
        let metrics = Metrics::default();
        let entries = prepared(3, &pictures, &metrics).await;
        assert_eq!(kept(&pictures).await.len(), 3);
        let mut write = Write::new(store, Some(pictures.clone()), metrics.clone());
        write.persistence = Duration::ZERO;
        write.run(entries).await;
        assert_eq!(kept(&pictures).await, Vec::<String>::new());
        assert_eq!(metrics.lost_so_far(Lost::Database), 3);
    }
}
