//! Batches on their way from the worker threads to the training loop.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Batch, LoaderError, Split, Work};

/// The batches of one pass, in order; worker threads make them ahead. Dropping it stops the threads.
pub struct Batches {
    /// One for each worker, whose thread holds the other end. Dropping them makes the threads end.
    queues: Vec<Receiver<Result<Batch, LoaderError>>>,
    threads: Vec<JoinHandle<()>>,
    taken: usize,
    total: usize,
    waited: Duration,
}

impl Batches {
    pub(super) fn start(work: Arc<Work>, split: Split, order: Vec<u64>) -> Self {
        let total = order.len().div_ceil(work.batch_size(split));
        let workers = work.options.resources.workers.min(total.max(1));
        let order = Arc::new(order);
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for worker in 0..workers {
            let (sender, queue) = sync_channel(work.options.prefetch);
            let (work, order) = (Arc::clone(&work), Arc::clone(&order));
            threads.push(std::thread::spawn(move || make(&work, split, &order, (worker, workers), &sender)));
            queues.push(queue);
        }
        Self { queues, threads, taken: 0, total, waited: Duration::ZERO }
    }

    /// How long the loop has waited for batches so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

/// A worker's share of the batches. Ends early where nobody takes them any more.
fn make(
    work: &Work,
    split: Split,
    order: &[u64],
    (worker, workers): (usize, usize),
    sender: &SyncSender<Result<Batch, LoaderError>>,
) {
    for (step, items) in order.chunks(work.batch_size(split)).enumerate().skip(worker).step_by(workers) {
        if sender.send(work.batch(split, step as u64, items)).is_err() {
            return;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, LoaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken == self.total {
            return None;
        }
        let queue = &self.queues[self.taken % self.queues.len()];
        self.taken += 1;
        let before = Instant::now();
        let batch = queue.recv().unwrap_or(Err(LoaderError::Worker));
        self.waited += before.elapsed();
        Some(batch)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A worker that panicked has already been reported as a missing batch.
            let _ = thread.join();
        }
    }
}
