//! Decoding, off the async threads: at most so many pictures at a time.

use std::{sync::Arc, time::Duration, time::Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    error::Error,
    picture::{Detail, Limits, Picture, PictureSize, ResizeRule},
};

/// Decodes pictures on blocking threads.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// One permit for each picture being decoded; a permit goes back when its decoding ends, even where the client has
    /// gone before that. Requests wait for permits in order.
    permits: Arc<Semaphore>,
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
        Self { permits: Arc::new(Semaphore::new(threads)), limits }
    }

    /// Decodes and resizes one picture.
    ///
    /// # Errors
    /// `Picture`; `Internal` where the decoder panicked.
    pub(super) async fn decode(&self, bytes: Bytes, rule: ResizeRule) -> Result<Decoded, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(Error::internal)?;
        let limits = self.limits;
        let span = tracing::info_span!("decode", bytes = bytes.len());
        let work = move || {
            let _permit = permit;
            span.in_scope(|| decode(&bytes, &limits, &rule))
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

fn decode(bytes: &[u8], limits: &Limits, rule: &ResizeRule) -> Result<Decoded, Error> {
    let started = Instant::now();
    let picture = Picture::decode(bytes, limits, Detail::For(rule))?;
    let mut pixels = vec![0; 3 * rule.size.width as usize * rule.size.height as usize];
    picture.resize_into(rule, &mut pixels)?;
    Ok(Decoded { pixels, original: picture.original, took: started.elapsed() })
}
