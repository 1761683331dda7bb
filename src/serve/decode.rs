//! Decoding, off the async threads: at most so many pictures at a time.

use std::{sync::Arc, time::Duration, time::Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::queue::Hold;
use crate::{
    answer::{AnnotateError, Answer, annotate},
    error::Error,
    picture::{Limits, Picture, PictureSize, ResizeRule},
};

/// Decodes pictures on blocking threads.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// One permit for each picture being decoded; a permit goes back when its decoding ends, even where the client has
    /// gone before that. Requests wait for permits in order.
    permits: Arc<Semaphore>,
    /// Taken first by pictures that nobody waits for, which so have no more than half of the others.
    spare: Arc<Semaphore>,
    /// Whether this is the decoder of such pictures.
    in_background: bool,
    limits: Limits,
}

/// A picture as the model takes it.
#[derive(Debug)]
pub(super) struct Decoded {
    /// uint8 [H, W, 3].
    pub(super) pixels: Vec<u8>,
    /// The picture's own size, as EXIF orients it.
    pub(super) original: PictureSize,
    /// How long decoding and resizing took.
    pub(super) took: Duration,
}

impl Decoder {
    pub(super) fn new(threads: usize, limits: Limits) -> Self {
        let (permits, spare) = (Semaphore::new(threads), Semaphore::new(threads.div_ceil(2)));
        Self { permits: Arc::new(permits), spare: Arc::new(spare), in_background: false, limits }
    }

    /// The same for pictures that nobody waits for.
    pub(super) fn in_background(&self) -> Self {
        Self { in_background: true, ..self.clone() }
    }

    /// Decodes and resizes one picture, and goes on with it on the same thread.
    ///
    /// # Errors
    /// `Picture`; `Internal` where the decoder panicked.
    pub(super) async fn decode<T: Send + 'static>(
        &self,
        bytes: Bytes,
        rule: ResizeRule,
        next: impl FnOnce(Decoded) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (limits, span) = (self.limits, tracing::info_span!("decode", bytes = bytes.len()));
        self.run(move || span.in_scope(|| decode(&bytes, &limits, &rule)).map(next)).await
    }

    /// Draws an answer into its picture, whose place in the queue is held until then: PNG.
    ///
    /// # Errors
    /// `Picture`; `Internal` where the drawing failed.
    pub(super) async fn annotate(&self, bytes: Bytes, answer: Answer, hold: Option<Hold>) -> Result<Vec<u8>, Error> {
        let (limits, span) = (self.limits, tracing::info_span!("annotate", bytes = bytes.len()));
        let draw = move || {
            let _hold = hold;
            Ok(span.in_scope(|| annotate(&bytes, &limits, &answer)))
        };
        let drawn = self.run(draw).await?;
        drawn.map_err(|error| match error {
            AnnotateError::Picture(error) => Error::Picture(error),
            other => Error::internal(other),
        })
    }

    /// Works with one of the permits.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let take = async |permits: &Arc<Semaphore>| Arc::clone(permits).acquire_owned().await.map_err(Error::internal);
        let spare = if self.in_background { Some(take(&self.spare).await?) } else { None };
        let permit = take(&self.permits).await?;
        let work = move || {
            let _permits = (permit, spare);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

fn decode(bytes: &[u8], limits: &Limits, rule: &ResizeRule) -> Result<Decoded, Error> {
    let started = Instant::now();
    let (pixels, original) = Picture::frame(bytes, limits, rule)?;
    Ok(Decoded { pixels, original, took: started.elapsed() })
}
