//! A place in the queue, and the wait for a picture's output.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::Span;

use super::{
    Shared,
    job::{Failure, Job, Output, Terms},
    waiting::Turn,
};

/// Why a queue takes no picture now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum NoPlace {
    /// Its limit is reached.
    Full {
        limit: usize,
        /// Pictures that wait.
        waiting: usize,
        /// About how long those that wait will take.
        retry_after: Duration,
    },
    /// Its workers have ended.
    Closed,
}

/// A place in the queue. Dropping it gives the place back.
#[derive(Debug)]
pub(in crate::serve) struct Place {
    /// None once the place has become a picture's that waits.
    queue: Option<Arc<Shared>>,
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
        Self { queue: Some(queue) }
    }

    /// Puts a picture into the queue and waits for its output. Dropping the future takes the picture out again.
    pub(in crate::serve) async fn run(mut self, pixels: Vec<u8>, terms: Terms) -> Result<Output, Failure> {
        let Some(queue) = self.queue.take() else { return Err(Failure::Ended) };
        let (reply, answer) = oneshot::channel();
        let job = Job { pixels, queued: Instant::now(), deadline: terms.deadline, reply, span: Span::current() };
        let turn = {
            let mut state = queue.lock();
            if state.workers == 0 {
                state.places -= 1;
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
        if let Some(queue) = &self.queue {
            queue.lock().places -= 1;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut state = self.queue.lock();
        if state.waiting.remove(self.turn) {
            state.places -= 1;
        }
    }
}
