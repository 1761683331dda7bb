//! One version's queue: places, order, deadlines, and batches.
//!
//! Every picture for a version, whichever request it comes from, goes through one queue. A worker thread takes what is
//! there, up to the largest batch, and runs it ([`worker`]). So a lone picture never waits for company unless a delay is
//! set, and under load batches form by themselves while the one before runs.
//!
//! Places bound it: a request takes one before its picture is decoded, and it is free again when the picture has its
//! answer, or the request goes away. So the limit times the time of a picture bounds how long anybody waits. More urgent
//! pictures go first; within a priority the order is that of arrival.

mod job;
mod load;
mod place;
mod waiting;
mod worker;

use std::{
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

pub(super) use job::{Failure, Output, Priority, Terms};
pub(super) use place::{Hold, NoPlace, Place, Ticket};
pub(super) use worker::{Health, Worker};

use super::sync::{AtomicUsize, Condvar, Instant, Mutex, MutexGuard};
use job::Job;
use load::Load;
use waiting::Waiting;

/// How batches form.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchRule {
    /// The most pictures in a batch.
    pub(super) max_batch: usize,
    /// How long the first picture waits for company.
    pub(super) max_delay: Duration,
    /// The most pictures that are in hand: being decoded, waiting or running.
    pub(super) queue_limit: usize,
}

/// A version's queue, from the requests' side. Dropping it ends the workers, once what is queued has run.
#[derive(Debug)]
pub(super) struct Queue(Arc<Shared>);

/// What requests and workers share.
#[derive(Debug)]
struct Shared {
    rule: BatchRule,
    /// Requests put pictures in, workers take them out; held for moments only.
    state: Mutex<State>,
    /// Tells sleeping workers that a picture came or that the queue was closed. Only they wait for it.
    changed: Condvar,
    /// Places taken: pictures being decoded, waiting or running.
    places: AtomicUsize,
    /// Those of them that run.
    running: AtomicUsize,
    load: Load,
}

#[derive(Debug, Default)]
struct State {
    waiting: Waiting,
    /// Set when the requests' side is dropped: no picture comes any more.
    closed: bool,
    /// Workers that have not ended.
    workers: usize,
}

/// What a worker is to do next.
enum Next {
    /// Run these; none of them is past its deadline.
    Batch(Vec<Job>),
    /// Nothing came in the given time.
    Idle,
    /// The queue is closed and empty.
    End,
}

impl Queue {
    pub(super) fn new(rule: BatchRule) -> Self {
        Self(Arc::new(Shared {
            rule,
            state: Mutex::default(),
            changed: Condvar::new(),
            places: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            load: Load::default(),
        }))
    }

    /// Takes a place, at once or not at all.
    pub(super) fn reserve(&self) -> Result<Place, NoPlace> {
        self.take(1, self.0.rule.queue_limit)?;
        Ok(self.taken())
    }

    /// Takes a place for each of `count` pictures, all at once or none: requests that took theirs one by one could hold each
    /// other up until all of them fail.
    pub(super) fn reserve_all(&self, count: usize) -> Result<Vec<Place>, NoPlace> {
        self.take(count, self.0.rule.queue_limit)?;
        Ok((0..count).map(|_| self.taken()).collect())
    }

    /// Takes a place for a picture that nobody waits for: only where half of the places, or all of one, are free.
    pub(super) fn reserve_spare(&self) -> Result<Place, NoPlace> {
        self.take(1, self.spare_limit())?;
        Ok(self.taken())
    }

    /// Whether there is such a place now.
    pub(super) fn has_spare(&self) -> bool {
        self.0.places.load(Relaxed) < self.spare_limit()
    }

    fn spare_limit(&self) -> usize {
        self.0.rule.queue_limit.div_ceil(2)
    }

    /// Counts `count` places more as taken, where they are no more than `limit` then.
    fn take(&self, count: usize, limit: usize) -> Result<(), NoPlace> {
        self.open()?;
        let with_them = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= limit);
        self.0.places.fetch_update(Relaxed, Relaxed, with_them).map(|_| ()).map_err(|taken| self.full(taken))
    }

    /// A place that is counted already.
    fn taken(&self) -> Place {
        Place::new(Arc::clone(&self.0))
    }

    /// Whether there is a place now: lets a request be refused before its body is read.
    pub(super) fn check(&self) -> Result<(), NoPlace> {
        self.open()?;
        let taken = self.0.places.load(Relaxed);
        if taken < self.0.rule.queue_limit { Ok(()) } else { Err(self.full(taken)) }
    }

    fn open(&self) -> Result<(), NoPlace> {
        if self.is_closed() { Err(NoPlace::Closed) } else { Ok(()) }
    }

    fn full(&self, taken: usize) -> NoPlace {
        NoPlace::Full { limit: self.0.rule.queue_limit, taken, retry_after: self.0.load.time_for(taken) }
    }

    /// Whether every worker has ended, which only a reload mends.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().workers == 0
    }

    /// Pictures that wait or are being decoded.
    pub(super) fn len(&self) -> usize {
        self.0.places.load(Relaxed).saturating_sub(self.0.running.load(Relaxed))
    }

    /// The way in for one more worker; the queue is open from the first one on.
    pub(super) fn worker_end(&self) -> WorkerEnd {
        self.0.lock().workers += 1;
        WorkerEnd(Arc::clone(&self.0))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// What a thread that panicked left locked is still whole: no code under the lock can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue from a worker's side. When the last one is dropped, pictures that still wait are dropped with it, and their
/// requests learn that the workers have ended.
#[derive(Debug)]
pub(super) struct WorkerEnd(Arc<Shared>);

impl WorkerEnd {
    /// Waits for the next batch, at most `patience` where one is given. Blocking.
    fn next(&self, patience: Option<Duration>) -> Next {
        let shared = &self.0;
        let give_up = patience.map(|patience| Instant::now() + patience);
        let mut state = shared.lock();
        loop {
            let now = Instant::now();
            if let Some(batch) = self.ready_batch(&mut state, now) {
                return Next::Batch(batch);
            }
            if state.closed && state.waiting.is_empty() {
                return Next::End;
            }
            let full_at = state.waiting.oldest().map(|oldest| oldest + shared.rule.max_delay);
            let wake = [give_up, full_at].into_iter().flatten().min();
            state = match wake {
                None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wake) if wake <= now => return Next::Idle,
                Some(wake) => {
                    let waited = shared.changed.wait_timeout(state, wake - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// A batch, if one is due: full, or as long waited for as the rule says, or the last.
    fn ready_batch(&self, state: &mut State, now: Instant) -> Option<Vec<Job>> {
        let rule = &self.0.rule;
        let oldest = state.waiting.oldest()?;
        let due = state.waiting.len() >= rule.max_batch || now >= oldest + rule.max_delay || state.closed;
        if !due {
            return None;
        }
        let mut batch = Vec::with_capacity(rule.max_batch.min(state.waiting.len()));
        while batch.len() < rule.max_batch
            && let Some(mut job) = state.waiting.take_first()
        {
            if job.is_expired(now) {
                job.answer(Err(Failure::Expired));
            } else {
                job.place.runs();
                batch.push(job);
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Tells how long a batch took, for the time that a full queue asks its clients to wait.
    fn record(&self, pictures: usize, took: Duration) {
        self.0.load.record(pictures, took);
    }
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.workers -= 1;
        if state.workers == 0 {
            state.waiting = Waiting::default();
        }
    }
}

#[cfg(test)]
mod tests;
