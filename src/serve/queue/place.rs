//! A place in the queue, and the wait for a picture's output.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::oneshot;
use tracing::Span;

use super::{
    Shared,
    job::{Failure, Job, Output, Terms},
    waiting::Turn,
};
use crate::serve::sync::Instant;

/// Why a queue takes no picture now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum NoPlace {
    /// Its limit is reached.
    Full {
        limit: usize,
        /// Pictures in hand: being decoded, waiting or running.
        taken: usize,
        /// About how long they will take.
        retry_after: Duration,
    },
    /// Its workers have ended.
    Closed,
}

/// A place in the queue: a request's at first, then its picture's until that is answered. Dropping it gives it back.
#[derive(Debug)]
pub(in crate::serve) struct Place {
    queue: Arc<Shared>,
    /// Whether a worker has its picture.
    running: bool,
    hold: Hold,
}

/// Keeps a place taken, for what is still to be done for its picture once that is answered. The place is free again when it and
/// all of its holds are dropped.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Hold {
    _taken: Arc<Taken>,
}

/// One that is counted among the places taken.
#[derive(Debug)]
struct Taken(Arc<Shared>);

/// A picture in the queue. Dropping it takes the picture out, if no worker has it yet.
#[derive(Debug)]
pub(in crate::serve) struct Ticket {
    queue: Arc<Shared>,
    /// None once the output, or a failure, has come.
    turn: Option<Turn>,
    answer: oneshot::Receiver<Result<Output, Failure>>,
}

impl Place {
    pub(super) fn new(queue: Arc<Shared>) -> Self {
        let hold = Hold { _taken: Arc::new(Taken(Arc::clone(&queue))) };
        Self { queue, running: false, hold }
    }

    /// Keeps it taken beyond its picture's answer.
    pub(in crate::serve) fn hold(&self) -> Hold {
        self.hold.clone()
    }

    /// A worker has taken the picture.
    pub(super) fn runs(&mut self) {
        self.running = true;
        self.queue.running.fetch_add(1, Relaxed);
    }

    /// Puts a picture into the queue; the current span is its own.
    pub(in crate::serve) fn put(self, pixels: Vec<u8>, terms: Terms) -> Ticket {
        let queue = Arc::clone(&self.queue);
        let (reply, answer) = oneshot::channel();
        let (queued, span) = (Instant::now(), Span::current());
        let job = Job { pixels, queued, deadline: terms.deadline, reply, span, place: self };
        let turn = {
            let mut state = queue.lock();
            (state.workers > 0).then(|| state.waiting.put(terms.priority, job))
        };
        queue.changed.notify_one();
        Ticket { queue, turn, answer }
    }
}

impl Ticket {
    /// Waits for the picture's output.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(in crate::serve) async fn output(mut self) -> Result<Output, Failure> {
        let answer = (&mut self.answer).await.unwrap_or(Err(Failure::Ended));
        self.turn = None;
        answer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Before the place itself, so that whoever has it next is not counted as running.
        if self.running {
            self.queue.running.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.places.fetch_sub(1, Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.queue.lock().waiting.remove(turn);
        }
    }
}
