//! An answer becomes a row: the picture's digest is computed, and the picture is kept where that is wanted and the row has a
//! place among those that wait.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Answered, Entry, TOGETHER, WAITING, day, gather, row};
use crate::{
    model::Digest,
    picture,
    serve::{
        metrics::{Lost, Metrics},
        pipeline::Input,
    },
    store::Pictures,
};

/// How long the first of a batch waits for company.
const GATHER: Duration = Duration::from_millis(50);

pub(super) struct Prepare {
    /// None where pictures are not kept.
    pub(super) pictures: Option<Pictures>,
    /// The database's id.
    pub(super) database: String,
    /// To [`super::write`].
    pub(super) rows: mpsc::Sender<Entry>,
    pub(super) metrics: Metrics,
}

impl Prepare {
    /// Runs until the channel ends.
    pub(super) async fn run(self, answered: mpsc::Receiver<Answered>) {
        let batches = stream::unfold(answered, async |mut answered| {
            let batch = gather(&mut answered, WAITING, GATHER).await?;
            Some((batch, answered))
        });
        let metrics = self.metrics.clone();
        let with_digests = batches.then(move |batch| digests(batch, metrics.clone())).map(stream::iter).flatten();
        with_digests
            .for_each_concurrent(TOGETHER, async |(digest, answered)| self.prepare(&answered, digest).await)
            .await;
    }

    async fn prepare(&self, answered: &Answered, digest: Digest) {
        // The place first: a picture whose row has none would be nobody's.
        let Ok(place) = self.rows.try_reserve() else { return self.metrics.lost(Lost::TooMany, 1) };
        let picture = self.keep(answered).await;
        let row = row::prediction(answered, digest, picture);
        place.send(Entry::Prediction(Box::new(row), answered.model.clone()));
    }

    /// Keeps the picture, where that is wanted, and gives its name. The prediction is remembered without it, too.
    async fn keep(&self, answered: &Answered) -> Option<String> {
        let (Some(pictures), Input::Encoded(bytes)) = (&self.pictures, &answered.input) else { return None };
        let name = name(&self.database, answered.id, answered.created_ms, bytes);
        match pictures.put(&name, bytes.clone()).await {
            Ok(()) => Some(name),
            Err(error) => {
                tracing::warn!(%error, "a picture is not kept");
                self.metrics.lost(Lost::Picture, 1);
                // The store may have it nevertheless. Where this fails too, `forget` finds it.
                let _ = pictures.delete(&name).await;
                None
            }
        }
    }
}

/// On one blocking thread for all: to wake one for each picture takes a processor from the model each time.
async fn digests(batch: Vec<Answered>, metrics: Metrics) -> Vec<(Digest, Answered)> {
    let count = batch.len() as u64;
    let digests = tokio::task::spawn_blocking(move || {
        let digest = |answered: &Answered| match &answered.input {
            Input::Encoded(bytes) => Digest::of(bytes),
            Input::Pixels(pixels) => Digest::of(pixels),
        };
        batch.into_iter().map(|answered| (digest(&answered), answered)).collect()
    });
    // Only a server that is ended abruptly runs no such work.
    digests.await.unwrap_or_else(|_| {
        metrics.lost(Lost::TooMany, count);
        Vec::new()
    })
}

/// The database's id, the day, the prediction's id, and the format's usual ending.
fn name(database: &str, id: Uuid, created_ms: i64, bytes: &[u8]) -> String {
    format!("{database}/{}/{id}.{}", day(created_ms), picture::usual_ending(bytes))
}
