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
}

/// A picture that waits. Dropping it takes the picture out of the queue, if no worker has it yet.
struct Ticket {
    queue: Arc<Shared>,
    turn: Turn,
    /// Whether the output, or a failure, has come.
    answered: bool,
}

impl Place {
    pub(super) fn new(queue: Arc<Shared>) -> Self {
        Self { queue, running: false }
    }

    /// A worker has taken the picture.
    pub(super) fn runs(&mut self) {
        self.running = true;
        self.queue.running.fetch_add(1, Relaxed);
    }

    /// Puts a picture into the queue and waits for its output. Dropping the future takes the picture out again.
    pub(in crate::serve) async fn run(self, pixels: Vec<u8>, terms: Terms) -> Result<Output, Failure> {
        let queue = Arc::clone(&self.queue);
        let (reply, answer) = oneshot::channel();
        let (queued, span) = (Instant::now(), Span::current());
        let job = Job { pixels, queued, deadline: terms.deadline, reply, span, place: self };
        let turn = {
            let mut state = queue.lock();
            if state.workers == 0 {
                return Err(Failure::Ended);
            }
            state.waiting.put(terms.priority, job)
        };
        queue.changed.notify_one();
        let mut ticket = Ticket { queue, turn, answered: false };
        let answer = answer.await.unwrap_or(Err(Failure::Ended));
        ticket.answered = true;
        answer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // In this order, so that whoever has the place next is not counted as running.
        if self.running {
            self.queue.running.fetch_sub(1, Relaxed);
        }
        self.queue.places.fetch_sub(1, Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.queue.lock().waiting.remove(self.turn);
        }
    }
}
