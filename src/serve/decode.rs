//! Decoding, off the async threads: at most so many pictures at a time, and in so much memory together.

use std::{sync::Arc, time::Duration, time::Instant};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::queue::Hold;
use crate::{
    answer::{self, AnnotateError, Answer, annotate},
    error::Error,
    picture::{Detail, Limits, Picture, PictureError, PictureSize, ResizeRule},
};

/// Between two looks for memory, for pictures that nobody waits for.
const PAUSE: Duration = Duration::from_millis(20);

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
    memory: Memory,
    limits: Limits,
}

/// Memory for all pictures that are being decoded: a small file may become half a gigabyte of pixels.
#[derive(Clone, Debug)]
struct Memory {
    /// One permit for each MiB, held while a picture is decoded. Pictures of requests wait for them in order, small ones behind
    /// large ones; those that nobody waits for take them only where they are free.
    free: Arc<Semaphore>,
    mib: u32,
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
    /// One with so many threads, whose pictures take so many bytes together.
    pub(super) fn new(threads: usize, memory: usize, limits: Limits) -> Self {
        let (permits, spare) = (Semaphore::new(threads), Semaphore::new(threads.div_ceil(2)));
        Self {
            permits: Arc::new(permits),
            spare: Arc::new(spare),
            in_background: false,
            memory: Memory::new(memory),
            limits,
        }
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
        let measured = bytes.clone();
        let measure = move || Picture::memory(&measured, &limits, Detail::For(&rule));
        self.run(measure, move || span.in_scope(|| decode(&bytes, &limits, &rule)).map(next)).await
    }

    /// Draws an answer into its picture, whose place in the queue is held until then: PNG.
    ///
    /// # Errors
    /// `Picture`; `Internal` where the drawing failed.
    pub(super) async fn annotate(&self, bytes: Bytes, answer: Answer, hold: Hold) -> Result<Vec<u8>, Error> {
        let (limits, span) = (self.limits, tracing::info_span!("annotate", bytes = bytes.len()));
        let measured = bytes.clone();
        let measure = move || answer::annotate_memory(&measured, &limits);
        let draw = move || {
            let _hold = hold;
            span.in_scope(|| annotate(&bytes, &limits, &answer)).map_err(|error| match error {
                AnnotateError::Picture(error) => Error::Picture(error),
                other => Error::internal(other),
            })
        };
        self.run(measure, draw).await
    }

    /// Works with one of the permits and with the memory that is said to be needed. What has to wait for memory has no permit
    /// meanwhile.
    async fn run<T: Send + 'static>(
        &self,
        measure: impl FnOnce() -> Result<u64, PictureError> + Send + 'static,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let spare = if self.in_background { Some(take(&self.spare, 1).await?) } else { None };
        let work = move || {
            let _spare = spare;
            work()
        };
        let memory = self.memory.clone();
        let measure_and_work = move || {
            let mib = memory.mib_of(measure()?);
            match Arc::clone(&memory.free).try_acquire_many_owned(mib) {
                Ok(held) => {
                    let done = work();
                    drop(held);
                    done.map(Ok)
                }
                Err(_) => Ok(Err((mib, work))),
            }
        };
        match self.on_a_thread(measure_and_work).await? {
            Ok(done) => Ok(done),
            Err((mib, work)) => {
                let held = self.wait_for_memory(mib).await?;
                let work = move || {
                    let _held = held;
                    work()
                };
                self.on_a_thread(work).await
            }
        }
    }

    async fn wait_for_memory(&self, mib: u32) -> Result<OwnedSemaphorePermit, Error> {
        if !self.in_background {
            return take(&self.memory.free, mib).await;
        }
        loop {
            // In the order, it would hold what is free meanwhile, and requests would wait behind it.
            match Arc::clone(&self.memory.free).try_acquire_many_owned(mib) {
                Ok(held) => return Ok(held),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Works with one of the permits.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = take(&self.permits, 1).await?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
    }
}

impl Memory {
    fn new(bytes: usize) -> Self {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(mib as usize)), mib }
    }

    /// The permits for so many bytes: all there are for what needs more, which then is decoded alone.
    fn mib_of(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX).min(self.mib)
    }
}

async fn take(permits: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Error> {
    Arc::clone(permits).acquire_many_owned(count).await.map_err(Error::internal)
}

fn decode(bytes: &[u8], limits: &Limits, rule: &ResizeRule) -> Result<Decoded, Error> {
    let started = Instant::now();
    let (pixels, original) = Picture::frame(bytes, limits, rule)?;
    Ok(Decoded { pixels, original, took: started.elapsed() })
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::mpsc};

    use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

    use super::*;
    use crate::picture::ResizeMethod;

    const PICTURE: &[u8] = include_bytes!("../../tests/fixtures/pictures/pictures/rgb.png");

    /// A picture that is being decoded until it is told to end.
    struct Busy {
        end: mpsc::Sender<()>,
        task: JoinHandle<Result<(), Error>>,
    }

    impl Busy {
        async fn end(self) {
            self.end.send(()).unwrap();
            self.task.await.unwrap().unwrap();
        }
    }

    fn rule() -> ResizeRule {
        ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 4, height: 4 } }
    }

    async fn busy(decoder: &Decoder) -> Busy {
        let ((begin, begun), (end, ended)) = (oneshot::channel(), mpsc::channel());
        let decoder = decoder.clone();
        let task = tokio::spawn(async move {
            let next = move |_| {
                begin.send(()).unwrap();
                ended.recv().unwrap();
            };
            decoder.decode(Bytes::from_static(PICTURE), rule(), next).await
        });
        begun.await.unwrap();
        Busy { end, task }
    }

    async fn is_decoded_within(decoder: &Decoder, time: Duration) -> bool {
        let decoding = decoder.decode(Bytes::from_static(PICTURE), rule(), drop);
        tokio::time::timeout(time, decoding).await.is_ok_and(|decoded| decoded.is_ok())
    }

    async fn is_decoded(decoder: &Decoder) -> bool {
        is_decoded_within(decoder, Duration::from_secs(30)).await
    }

    async fn waits(decoder: &Decoder) -> bool {
        !is_decoded_within(decoder, Duration::from_millis(300)).await
    }

    #[tokio::test]
    async fn pictures_that_nobody_waits_for_leave_half_of_the_threads() {
        let decoder = Decoder::new(2, 1 << 30, Limits::default());
        let background = decoder.in_background();
        let one = busy(&background).await;
        assert!(waits(&background).await);
        assert!(is_decoded(&decoder).await);
        one.end().await;
        assert!(is_decoded(&background).await);
    }

    #[tokio::test]
    async fn pictures_wait_for_memory_without_a_thread() {
        // Each takes a MiB at least.
        let decoder = Decoder::new(3, 2 << 20, Limits::default());
        let (one, two) = (busy(&decoder).await, busy(&decoder).await);
        assert!(waits(&decoder).await);
        assert_eq!(decoder.permits.available_permits(), 1);
        one.end().await;
        assert!(is_decoded(&decoder).await, "the memory of the one that gave up is free");
        let three = tokio::spawn({
            let decoder = decoder.clone();
            async move { decoder.decode(Bytes::from_static(PICTURE), rule(), drop).await }
        });
        two.end().await;
        three.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn pictures_that_nobody_waits_for_take_no_memory_that_others_wait_for() {
        let decoder = Decoder::new(4, 4 << 20, Limits::default());
        let background = decoder.in_background();
        let ((begin, begun), (end, ended)) = (oneshot::channel(), mpsc::channel());
        let first = tokio::spawn({
            let background = background.clone();
            let work = move || {
                begin.send(()).unwrap();
                ended.recv().unwrap();
                Ok(())
            };
            async move { background.run(|| Ok(3 << 20), work).await }
        });
        begun.await.unwrap();
        let mut second = pin!(background.run(|| Ok(3 << 20), || Ok(())));
        assert!(timeout(Duration::from_millis(300), &mut second).await.is_err(), "there is one MiB left");
        let of_a_request = decoder.run(|| Ok(1 << 20), || Ok(()));
        timeout(Duration::from_secs(60), of_a_request).await.expect("it waits behind the second").unwrap();
        end.send(()).unwrap();
        first.await.unwrap().unwrap();
        second.await.unwrap();
    }

    #[tokio::test]
    async fn a_picture_that_needs_more_memory_than_there_is_is_decoded_alone() {
        let decoder = Decoder::new(2, 1, Limits::default());
        assert_eq!(decoder.memory.mib_of(u64::MAX), 1);
        let one = busy(&decoder).await;
        assert!(waits(&decoder).await);
        one.end().await;
        assert!(is_decoded(&decoder).await);
    }
}
