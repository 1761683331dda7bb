//! An answer becomes a row: the picture's digest is computed, and the picture is kept where that is wanted.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::{Answered, Entry, row};
use crate::{
    model::Digest,
    picture,
    serve::{
        metrics::{Lost, Metrics},
        pipeline::Input,
    },
    store::Pictures,
};

/// Answers that are worked on at a time: uploads wait for the network.
const TOGETHER: usize = 16;

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
        let this = &self;
        ReceiverStream::new(answered).for_each_concurrent(TOGETHER, async |answer| this.prepare(answer).await).await;
    }

    async fn prepare(&self, answered: Answered) {
        let bytes = match &answered.input {
            Input::Encoded(bytes) => bytes.clone(),
            Input::Pixels(pixels) => Bytes::copy_from_slice(pixels),
        };
        let digest = tokio::task::spawn_blocking(move || Digest::of(&bytes)).await;
        // Only a server that is ended abruptly runs no such work.
        let Ok(digest) = digest else { return self.metrics.lost(Lost::TooMany, 1) };
        let picture = self.keep(&answered).await;
        let row = row::prediction(&answered, digest, picture);
        if self.rows.try_send(Entry::Prediction(Box::new(row), answered.model)).is_err() {
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

/// The day, the prediction's id, and the format's usual ending.
fn name(id: Uuid, created_ms: i64, bytes: &[u8]) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(created_ms).unwrap_or_default());
    let time = humantime::format_rfc3339_seconds(std::time::SystemTime::UNIX_EPOCH + since).to_string();
    let day = time.get(..10).unwrap_or_default();
    format!("{day}/{id}.{}", picture::usual_ending(bytes))
}
