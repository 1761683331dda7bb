//! An answer becomes a row: the picture's digest is computed, and the picture is kept where that is wanted.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Answered, Entry, WAITING, gather, row};
use crate::{
    model::Digest,
    picture,
    serve::{
        metrics::{Lost, Metrics},
        pipeline::Input,
    },
    store::{Pictures, timestamp},
};

/// Answers that are worked on at a time: uploads wait for the network.
const TOGETHER: usize = 16;
/// How long the first of a batch waits for company.
const GATHER: Duration = Duration::from_millis(50);

pub(super) struct Prepare {
    /// None where pictures are not kept.
    pub(super) pictures: Option<Pictures>,
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
        let picture = self.keep(answered).await;
        let row = row::prediction(answered, digest, picture);
        if self.rows.try_send(Entry::Prediction(Box::new(row), answered.model.clone())).is_err() {
            self.metrics.lost(Lost::TooMany, 1);
        }
    }

    /// Keeps the picture, where that is wanted, and gives its name. The prediction is remembered without it, too.
    async fn keep(&self, answered: &Answered) -> Option<String> {
        let (Some(pictures), Input::Encoded(bytes)) = (&self.pictures, &answered.input) else { return None };
        let name = name(answered.id, answered.created_ms, bytes);
        match pictures.put(&name, bytes.clone()).await {
            Ok(()) => Some(name),
            Err(error) => {
                tracing::warn!(%error, "a picture is not kept");
                self.metrics.lost(Lost::Picture, 1);
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

/// The day, the prediction's id, and the format's usual ending.
fn name(id: Uuid, created_ms: i64, bytes: &[u8]) -> String {
    let time = timestamp(created_ms);
    let day = time.get(..10).unwrap_or_default();
    format!("{day}/{id}.{}", picture::usual_ending(bytes))
}
