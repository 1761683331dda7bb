//! One model's queue and the thread that runs its batches.
//!
//! Every picture for a model, whichever request it comes from, goes through one bounded channel. The thread takes what
//! is there, up to the largest batch, and runs it. So a lone picture never waits for company unless a delay is set,
//! and under load batches form by themselves while the one before runs.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout_at,
};
use tracing::Span;

use crate::infer::{InferError, Session};

/// How batches form.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchRule {
    /// The most pictures in a batch.
    pub(super) max_batch: usize,
    /// How long the first picture waits for company.
    pub(super) max_delay: Duration,
    /// The most pictures that wait.
    pub(super) queue_limit: usize,
}

/// One picture on its way to the model.
pub(super) struct Job {
    /// The model's pixels: uint8 [H, W, 3].
    pixels: Vec<u8>,
    /// When it was put into the queue.
    queued: Instant,
    /// Where the result goes. The request holds the other end; when the client has gone it is dropped, and the
    /// picture is skipped.
    reply: oneshot::Sender<Result<Output, Arc<InferError>>>,
    /// The request's span, which the batch's span follows from.
    span: Span,
}

/// What the model gave for one picture.
#[derive(Debug)]
pub(super) struct Output {
    /// The model's output elements for this picture.
    pub(super) values: Vec<f32>,
    /// How many pictures ran together.
    pub(super) batch_size: usize,
    /// How long it waited in the queue.
    pub(super) waited: Duration,
    /// How long the batch ran.
    pub(super) inference: Duration,
}

/// A model's queue, from the requests' side. Dropping the last clone ends the model's thread, once what is queued has
/// run.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    /// The model's thread holds the other end.
    sender: mpsc::Sender<Job>,
}

/// A place in the queue, taken before a picture is decoded, so that the queue's limit bounds decoding too. Dropping it
/// gives the place back.
pub(super) struct Place(mpsc::OwnedPermit<Job>);

/// A queue that takes no picture now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Its limit is reached.
    Full,
    /// The model's thread has ended.
    Closed,
}

impl Queue {
    /// A queue whose jobs the receiver takes.
    pub(super) fn new(limit: usize) -> (Self, mpsc::Receiver<Job>) {
        let (sender, receiver) = mpsc::channel(limit);
        (Self { sender }, receiver)
    }

    /// Takes a place, at once or not at all.
    pub(super) fn reserve(&self) -> Result<Place, NoPlace> {
        self.sender.clone().try_reserve_owned().map(Place).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoPlace::Full,
            mpsc::error::TrySendError::Closed(_) => NoPlace::Closed,
        })
    }

    /// Whether the model's thread has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Place {
    /// Puts a picture into the queue and waits for its output.
    ///
    /// None where the model's thread ended before it answered.
    pub(super) async fn run(self, pixels: Vec<u8>) -> Option<Result<Output, Arc<InferError>>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job { pixels, queued: Instant::now(), reply, span: Span::current() });
        answer.await.ok()
    }
}

/// Starts the thread that owns the session and runs its batches, and gives the queue that leads to it.
pub(super) fn start(
    model: &str,
    session: Session,
    rule: BatchRule,
    runtime: Handle,
) -> std::io::Result<(Queue, JoinHandle<()>)> {
    let (queue, jobs) = Queue::new(rule.queue_limit);
    let name = model.to_owned();
    let thread = std::thread::Builder::new()
        .name(format!("model-{model}"))
        .spawn(move || run_batches(&name, session, rule, &runtime, jobs))?;
    Ok((queue, thread))
}

/// Runs batches until the queue is closed and empty.
fn run_batches(model: &str, mut session: Session, rule: BatchRule, runtime: &Handle, mut jobs: mpsc::Receiver<Job>) {
    let mut pixels = Vec::new();
    while let Some(batch) = runtime.block_on(next_batch(&mut jobs, rule)) {
        let span = tracing::info_span!("inference", model, batch_size = batch.len());
        batch.iter().for_each(|job| {
            span.follows_from(&job.span);
        });
        span.in_scope(|| run_batch(&mut session, batch, &mut pixels));
    }
}

/// The next batch: pictures whose clients still wait. None once the queue is closed and empty.
async fn next_batch(jobs: &mut mpsc::Receiver<Job>, rule: BatchRule) -> Option<Vec<Job>> {
    let mut batch = Vec::with_capacity(rule.max_batch);
    while batch.is_empty() {
        batch.push(jobs.recv().await?);
        let deadline = tokio::time::Instant::now() + rule.max_delay;
        loop {
            while batch.len() < rule.max_batch
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            batch.retain(|job| !job.reply.is_closed());
            if batch.len() >= rule.max_batch || rule.max_delay.is_zero() {
                break;
            }
            match timeout_at(deadline, jobs.recv()).await {
                Ok(Some(job)) => batch.push(job),
                _ => break,
            }
        }
    }
    Some(batch)
}

/// Runs one batch and answers every picture of it. `pixels` is kept between batches for its memory alone.
fn run_batch(session: &mut Session, batch: Vec<Job>, pixels: &mut Vec<u8>) {
    let started = Instant::now();
    pixels.clear();
    batch.iter().for_each(|job| pixels.extend_from_slice(&job.pixels));
    let result = session.run(pixels).map_err(Arc::new);
    let inference = started.elapsed();
    let batch_size = batch.len();
    tracing::debug!(inference_ms = inference.as_secs_f64() * 1e3, "batch done");
    for (index, job) in batch.into_iter().enumerate() {
        let len = session.output_len();
        let answer = result.as_ref().map_err(Arc::clone).map(|values| Output {
            values: values[index * len..(index + 1) * len].to_vec(),
            batch_size,
            waited: started - job.queued,
            inference,
        });
        // A client that went while the batch ran wants no answer.
        let _ = job.reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BatchRule = BatchRule { max_batch: 3, max_delay: Duration::ZERO, queue_limit: 8 };

    /// A queued picture of one pixel value, and the client's end.
    fn put(queue: &Queue, value: u8) -> oneshot::Receiver<Result<Output, Arc<InferError>>> {
        let (reply, answer) = oneshot::channel();
        let Ok(place) = queue.reserve() else { panic!("the queue is full") };
        place.0.send(Job { pixels: vec![value], queued: Instant::now(), reply, span: Span::none() });
        answer
    }

    fn values(batch: &[Job]) -> Vec<u8> {
        batch.iter().map(|job| job.pixels[0]).collect()
    }

    #[tokio::test]
    async fn a_batch_takes_what_is_there_up_to_its_limit_in_order() {
        let (queue, mut jobs) = Queue::new(8);
        let _clients: Vec<_> = (0..4).map(|value| put(&queue, value)).collect();
        assert_eq!(values(&next_batch(&mut jobs, RULE).await.unwrap()), [0, 1, 2]);
        assert_eq!(values(&next_batch(&mut jobs, RULE).await.unwrap()), [3]);
    }

    #[tokio::test]
    async fn a_client_that_has_gone_is_skipped() {
        let (queue, mut jobs) = Queue::new(8);
        drop(put(&queue, 0));
        let _client = put(&queue, 1);
        drop(put(&queue, 2));
        assert_eq!(values(&next_batch(&mut jobs, RULE).await.unwrap()), [1]);
    }

    #[tokio::test]
    async fn with_a_delay_the_first_picture_waits_for_company() {
        let (queue, mut jobs) = Queue::new(8);
        // Ends once the batch is full, long before the delay.
        let rule = BatchRule { max_batch: 2, max_delay: Duration::from_secs(60), ..RULE };
        let _first = put(&queue, 0);
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            (put(&queue, 1), queue)
        });
        assert_eq!(values(&next_batch(&mut jobs, rule).await.unwrap()), [0, 1]);
        late.await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_queue_is_emptied_before_it_ends() {
        let (queue, mut jobs) = Queue::new(8);
        let _client = put(&queue, 7);
        drop(queue);
        assert_eq!(values(&next_batch(&mut jobs, RULE).await.unwrap()), [7]);
        assert!(next_batch(&mut jobs, RULE).await.is_none());
    }

    #[tokio::test]
    async fn a_place_is_counted_until_it_is_used_up_or_dropped() {
        let (queue, jobs) = Queue::new(1);
        let place = queue.reserve().ok();
        assert_eq!(queue.reserve().err(), Some(NoPlace::Full));
        drop(place);
        assert!(queue.reserve().is_ok());
        drop(jobs);
        assert_eq!(queue.reserve().err(), Some(NoPlace::Closed));
        assert!(queue.is_closed());
    }
}
