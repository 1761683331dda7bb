//! The body of a stream of calls, which may go on for hours. Its messages take memory as they arrive, until they are answered, and
//! each has to arrive within the time that a request may take.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};

use super::{Budget, arriving::GivenUp};
use crate::error::Error;

/// What has come of a stream and is not answered yet.
#[derive(Debug)]
pub(in crate::serve) struct Unanswered {
    budget: Budget,
    /// What a message counts as from its first byte on: the most that it may be once unpacked.
    packed: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    received: u64,
    /// When the first of those bytes came.
    since: Option<Instant>,
    held: Option<OwnedSemaphorePermit>,
    given_up: Option<GivenUp>,
}

impl Unanswered {
    /// `packed` is the most that a message of a compressed stream may be; none where the stream is not compressed.
    pub(super) fn new(budget: Budget, packed: Option<u64>) -> Self {
        Self { budget, packed, state: Mutex::default() }
    }

    /// Everything that has come is answered. (What has already come of the next message is one frame at most.)
    pub(in crate::serve) fn clear(&self) {
        let State { received, since, held, .. } = &mut *self.lock();
        (*received, *since, *held) = (0, None, None);
    }

    /// Why the stream was given up, if it was.
    pub(in crate::serve) fn given_up(&self) -> Option<Error> {
        self.lock().given_up.map(|why| self.budget.error(why))
    }

    /// Whether there is memory for so many bytes more.
    fn add(&self, bytes: usize) -> bool {
        let State { received, since, held, .. } = &mut *self.lock();
        *received += bytes as u64;
        since.get_or_insert_with(Instant::now);
        self.budget.grow(held, self.packed.unwrap_or(*received))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body; it ends with an error where it is given up.
pub(super) struct Streamed {
    body: Body,
    /// The most time for a message.
    limit: Duration,
    clock: Pin<Box<Sleep>>,
    unanswered: Arc<Unanswered>,
}

impl Streamed {
    pub(super) fn new(body: Body, limit: Duration, unanswered: Arc<Unanswered>) -> Self {
        Self { body, limit, clock: Box::pin(sleep_until(Instant::now())), unanswered }
    }

    fn give_up(&self, why: GivenUp) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.unanswered.lock().given_up = Some(why);
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            let fits = bytes == 0 || self.unanswered.add(bytes);
            return if fits { Poll::Ready(frame) } else { self.give_up(GivenUp::NoMemory) };
        }
        let (received, since) = {
            let state = self.unanswered.lock();
            (state.received, state.since)
        };
        // Between two messages a stream may be silent for as long as it likes.
        let Some(since) = since else { return Poll::Pending };
        let due = since + self.limit;
        self.clock.as_mut().reset(due);
        ready!(self.clock.as_mut().poll(cx));
        self.give_up(GivenUp::Late { received, after: since.elapsed() })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// A stream with 3 KiB for its messages, and where to put its bytes.
    fn stream(packed: Option<u64>) -> (Streamed, mpsc::Sender<usize>, Arc<Unanswered>) {
        let (send, mut receive) = mpsc::channel(8);
        let frames = futures_util::stream::poll_fn(move |cx| {
            receive
                .poll_recv(cx)
                .map(|bytes| bytes.map(|bytes| Ok::<_, axum::Error>(Frame::data(Bytes::from(vec![0; bytes])))))
        });
        let unanswered = Arc::new(Unanswered::new(Budget::new(3072), packed));
        (Streamed::new(Body::new(StreamBody::new(frames)), LIMIT, Arc::clone(&unanswered)), send, unanswered)
    }

    #[tokio::test]
    async fn what_is_answered_makes_room_for_what_comes() {
        let (mut body, send, unanswered) = stream(None);
        for _ in 0..3 {
            send.send(2000).await.unwrap();
            assert!(body.frame().await.unwrap().is_ok());
            unanswered.clear();
        }
        let other = Unanswered::new(unanswered.budget.clone(), None);
        assert!(other.add(1024));
        send.send(2000).await.unwrap();
        send.send(2000).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok() && body.frame().await.unwrap().is_err());
        assert!(matches!(unanswered.given_up(), Some(Error::BodyBudget { budget: 3072 })));
    }

    #[tokio::test]
    async fn a_packed_message_counts_as_the_largest_from_its_first_byte() {
        let (mut body, send, first) = stream(Some(2048));
        send.send(1).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let second = Unanswered::new(first.budget.clone(), Some(2048));
        assert!(!second.add(1));
        first.clear();
        assert!(second.add(1));
    }

    #[tokio::test]
    async fn silence_is_fine_between_messages_and_not_within_one() {
        let (mut body, send, unanswered) = stream(None);
        let silence = tokio::time::timeout(2 * LIMIT, body.frame());
        assert!(silence.await.is_err() && unanswered.given_up().is_none());
        send.send(10).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        let late = tokio::time::timeout(3 * LIMIT, body.frame()).await.unwrap();
        assert!(late.unwrap().is_err());
        assert!(matches!(unanswered.given_up(), Some(Error::BodyLate { received: 10, .. })));
    }
}
