//! The body of a stream of calls, which may go on for hours. Its messages take memory as they arrive, until they are answered, and
//! each has to arrive within the time that a request may take.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    Budget,
    arriving::{GivenUp, Watch},
};
use crate::error::Error;

/// What has come of a stream and is not answered yet.
#[derive(Debug)]
pub(in crate::serve) struct Unanswered {
    budget: Budget,
    /// The most time for a message.
    limit: Duration,
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
    pub(super) fn new(budget: Budget, limit: Duration, packed: Option<u64>) -> Self {
        Self { budget, limit, packed, state: Mutex::default() }
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

    fn add(&self, bytes: usize) {
        let State { received, since, .. } = &mut *self.lock();
        *received += bytes as u64;
        since.get_or_insert_with(Instant::now);
    }

    fn hold(&self) -> bool {
        let State { received, held, .. } = &mut *self.lock();
        self.budget.grow(held, self.packed.unwrap_or(*received))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Arc<Unanswered> {
    fn add(&mut self, bytes: usize) {
        Unanswered::add(self, bytes);
    }

    fn hold(&mut self) -> bool {
        Unanswered::hold(self)
    }

    fn may_wait(&self) -> bool {
        self.lock().held.is_none()
    }

    /// Between two messages a stream may be silent for as long as it likes.
    fn due(&self) -> Option<Instant> {
        self.lock().since.map(|since| since + self.limit)
    }

    fn late(&self) -> GivenUp {
        let State { received, since, .. } = &*self.lock();
        GivenUp::Late { received: *received, after: since.map_or(self.limit, |since| since.elapsed()) }
    }

    fn give_up(&self, why: GivenUp) {
        self.lock().given_up = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Frame;
    use tokio::sync::mpsc;

    use super::{super::arriving::Arriving, *};

    const LIMIT: Duration = Duration::from_millis(300);

    /// A stream with 3 KiB for its messages, and where to put its bytes.
    fn stream(packed: Option<u64>) -> (Arriving<Arc<Unanswered>>, mpsc::Sender<usize>, Arc<Unanswered>) {
        let (send, mut receive) = mpsc::channel(8);
        let frames = futures_util::stream::poll_fn(move |cx| {
            receive
                .poll_recv(cx)
                .map(|bytes| bytes.map(|bytes| Ok::<_, axum::Error>(Frame::data(Bytes::from(vec![0; bytes])))))
        });
        let unanswered = Arc::new(Unanswered::new(Budget::new(3072), LIMIT, packed));
        (Arriving::new(Body::new(StreamBody::new(frames)), Arc::clone(&unanswered)), send, unanswered)
    }

    #[tokio::test]
    async fn what_is_answered_makes_room_for_what_comes() {
        let (mut body, send, unanswered) = stream(None);
        for _ in 0..3 {
            send.send(2000).await.unwrap();
            assert!(body.frame().await.unwrap().is_ok());
            unanswered.clear();
        }
        let other = Unanswered::new(unanswered.budget.clone(), LIMIT, None);
        other.add(1024);
        assert!(other.hold());
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
        let second = Unanswered::new(first.budget.clone(), LIMIT, Some(2048));
        second.add(1);
        assert!(!second.hold());
        first.clear();
        assert!(second.hold());
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
