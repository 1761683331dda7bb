//! One picture on its way to the model, and what comes back.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tracing::Span;

use super::Place;
use crate::{infer::InferError, serve::sync::Instant};

/// Which pictures go first: all of a higher priority before any of a lower one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
pub(in crate::serve) enum Priority {
    /// Somebody waits at a screen.
    High,
    #[default]
    Normal,
    /// Bulk work and shadows.
    Low,
}

impl std::str::FromStr for Priority {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "high" => Ok(Self::High),
            "normal" => Ok(Self::Normal),
            "low" => Ok(Self::Low),
            _ => Err(()),
        }
    }
}

/// How a request wants its pictures treated.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::serve) struct Terms {
    pub(in crate::serve) priority: Priority,
    /// When the client no longer wants the answer; work that has not begun by then is not done.
    pub(in crate::serve) deadline: Option<Instant>,
    /// Whether the client asked for less time than requests have.
    pub(in crate::serve) is_hurried: bool,
}

/// One picture in the queue.
#[derive(Debug)]
pub(super) struct Job {
    /// The model's pixels: uint8 [H, W, 3].
    pub(super) pixels: Vec<u8>,
    /// When it was put into the queue.
    pub(super) queued: Instant,
    pub(super) deadline: Option<Instant>,
    /// Where the result goes. The request holds the other end and takes the picture out of the queue when it goes away.
    pub(super) reply: oneshot::Sender<Result<Output, Failure>>,
    /// The request's span, which the batch's span follows from.
    pub(super) span: Span,
    /// Free again when the picture is answered.
    pub(super) place: Place,
}

/// What the model gave for one picture.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Output {
    /// The model's output elements for this picture.
    pub(in crate::serve) values: Vec<f32>,
    /// How many pictures ran together.
    pub(in crate::serve) batch_size: usize,
    /// How long it waited in the queue.
    pub(in crate::serve) waited: Duration,
    /// How long the batch ran.
    pub(in crate::serve) inference: Duration,
}

/// Why there is no output.
#[derive(Clone, Debug)]
pub(in crate::serve) enum Failure {
    /// The model did not run.
    Infer(Arc<InferError>),
    /// The deadline passed while the picture waited.
    Expired,
    /// The workers ended before they answered.
    Ended,
}

impl Job {
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Answers it. Its place is free before anybody hears of that: who has an answer may send the next picture at once.
    pub(super) fn answer(self, answer: Result<Output, Failure>) {
        let Self { reply, place, .. } = self;
        drop(place);
        // A client that has gone by now wants no answer.
        let _ = reply.send(answer);
    }
}
