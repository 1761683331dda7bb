//! A request's body as it arrives: at a pace, and where there is memory for it.
//!
//! Memory is held for a body of known length from before its first byte, so a client that sends it a byte at a time would
//! keep others waiting. Such a body has to arrive at the pace that brings it whole within the time that a request may take;
//! a sixth of that time is free, as networks have their moods. A body of unknown length takes memory as it comes. The first of
//! it waits a short while for that, as other requests do. What follows does not: it would keep what it has from those who
//! wait, of whom another may be what it waits for.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
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

use super::{
    Budget,
    budget::{PATIENCE, PAUSE},
};

/// How fast a body has to arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: Instant,
    /// The most time for all of it.
    limit: Duration,
    /// All of it, as far as is known.
    bytes: Option<u64>,
}

/// Why a body was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// So many bytes had come.
    Late {
        received: u64,
        after: Duration,
    },
    NoMemory,
}

/// What a body is held to while it arrives.
pub(super) trait Watch {
    /// So many bytes more have come.
    fn add(&mut self, bytes: usize);
    /// Takes memory for all that has come, if it is there.
    fn hold(&mut self) -> bool;
    /// Whether it may wait for memory: it has none yet.
    fn may_wait(&self) -> bool;
    /// When more has to be there; none where nothing is waited for. It only ever becomes later.
    fn due(&self) -> Option<Instant>;
    /// What is said of it then.
    fn late(&self) -> GivenUp;
    /// Notes why the body was given up.
    fn give_up(&self, why: GivenUp);
}

/// The body; it ends with an error where it is given up.
pub(super) struct Arriving<W> {
    body: Body,
    watch: W,
    /// What has come and waits for memory, and until when.
    waiting: Option<(Frame<Bytes>, Instant)>,
    /// The next time to look at what is due, or for memory.
    clock: Pin<Box<Sleep>>,
}

/// What the body of one request is held to.
pub(super) struct Whole {
    received: u64,
    /// How fast it has to come.
    pace: Pace,
    /// Where memory comes from; none where it is held for all of it.
    budget: Option<Budget>,
    fate: Arc<Fate>,
}

/// What became of a body: kept, by whoever sent it on, until the request is answered.
#[derive(Debug, Default)]
pub(super) struct Fate {
    given_up: OnceLock<GivenUp>,
    /// Memory that was taken as it came.
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Pace {
    pub(super) fn new(limit: Duration, bytes: Option<u64>) -> Self {
        Self { began: Instant::now(), limit, bytes }
    }

    /// When more than so many bytes have to be there.
    fn next_due(&self, received: u64) -> Instant {
        let share = self.bytes.map_or(1.0, |bytes| received as f64 / bytes.max(1) as f64);
        self.began + self.limit.mul_f64((1.0 + 5.0 * share.min(1.0)) / 6.0)
    }
}

impl Fate {
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.given_up.get().copied()
    }

    /// Holds memory for so many bytes in all, if it is there.
    fn hold(&self, budget: &Budget, bytes: u64) -> bool {
        budget.grow(&mut self.held(), bytes)
    }

    fn held(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Whole {
    /// `budget` is where memory comes from as it arrives; none where it is held already.
    pub(super) fn new(pace: Pace, budget: Option<Budget>, fate: Arc<Fate>) -> Self {
        Self { received: 0, pace, budget, fate }
    }
}

impl Watch for Whole {
    fn add(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    fn hold(&mut self) -> bool {
        self.budget.as_ref().is_none_or(|budget| self.fate.hold(budget, self.received))
    }

    fn may_wait(&self) -> bool {
        self.fate.held().is_none()
    }

    fn due(&self) -> Option<Instant> {
        Some(self.pace.next_due(self.received))
    }

    fn late(&self) -> GivenUp {
        GivenUp::Late { received: self.received, after: self.pace.began.elapsed() }
    }

    fn give_up(&self, why: GivenUp) {
        let _ = self.fate.given_up.set(why);
    }
}

impl<W: Watch> Arriving<W> {
    pub(super) fn new(body: Body, watch: W) -> Self {
        let clock = Box::pin(sleep_until(watch.due().unwrap_or_else(Instant::now)));
        Self { body, watch, waiting: None, clock }
    }

    fn give_up(&self, why: GivenUp) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.watch.give_up(why);
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
    }

    /// Ready once more had to be there.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<GivenUp> {
        loop {
            let Some(due) = self.watch.due() else { return Poll::Pending };
            ready!(self.clock.as_mut().poll(cx));
            if due <= Instant::now() {
                return Poll::Ready(self.watch.late());
            }
            self.clock.as_mut().reset(due);
        }
    }
}

impl<W: Watch + Unpin> HttpBody for Arriving<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let (frame, until) = match self.waiting.take() {
            Some(waiting) => waiting,
            None => {
                let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
                    let late = ready!(self.poll_late(cx));
                    return self.give_up(late);
                };
                let frame = match next {
                    Some(Ok(frame)) if frame.data_ref().is_some_and(|data| !data.is_empty()) => frame,
                    nothing => return Poll::Ready(nothing),
                };
                self.watch.add(frame.data_ref().map_or(0, Bytes::len));
                (frame, Instant::now() + PATIENCE)
            }
        };
        if self.watch.hold() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if !self.watch.may_wait() || until <= Instant::now() {
            return self.give_up(GivenUp::NoMemory);
        }
        self.waiting = Some((frame, until));
        self.clock.as_mut().reset(Instant::now() + PAUSE);
        ready!(self.clock.as_mut().poll(cx));
        // It is to look again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.waiting {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(3000);

    /// What becomes of a body that comes in pieces of so many bytes, each after a pause, and how long it is waited for.
    async fn outcome(pieces: usize, pause: Duration, bytes: Option<u64>) -> (Option<GivenUp>, Duration) {
        let (send, mut receive) = mpsc::channel::<Bytes>(1);
        tokio::spawn(async move {
            for _ in 0..pieces {
                tokio::time::sleep(pause).await;
                let _ = send.send(Bytes::from_static(&[0; 100])).await;
            }
        });
        let stream = futures_util::stream::poll_fn(move |cx| {
            receive.poll_recv(cx).map(|piece| piece.map(|piece| Ok::<_, axum::Error>(Frame::data(piece))))
        });
        let began = Instant::now();
        let (body, fate) = (Body::new(StreamBody::new(stream)), Arc::new(Fate::default()));
        let whole = Arriving::new(body, Whole::new(Pace::new(LIMIT, bytes), None, Arc::clone(&fate))).collect().await;
        assert_eq!(whole.is_err(), fate.given_up().is_some());
        (fate.given_up(), began.elapsed())
    }

    #[tokio::test]
    async fn a_body_that_keeps_its_pace_comes_whole_and_one_that_does_not_is_given_up_early() {
        // 1,000 bytes in two seconds.
        assert_eq!(outcome(10, LIMIT / 15, Some(1000)).await.0, None);
        let (late, took) = outcome(1000, LIMIT / 15, Some(100_000)).await;
        assert!(matches!(late, Some(GivenUp::Late { received: 100..300, .. })), "{late:?}");
        assert!(took < LIMIT / 2, "{took:?}");
    }

    #[tokio::test]
    async fn one_of_unknown_length_has_all_the_time_and_no_more() {
        assert_eq!(outcome(3, LIMIT / 4, None).await.0, None);
        let (late, took) = outcome(1000, LIMIT / 4, None).await;
        assert!(matches!(late, Some(GivenUp::Late { .. })), "{late:?}");
        assert!((LIMIT..2 * LIMIT).contains(&took), "{took:?}");
    }

    /// A body of unknown length that has come as a whole, in pieces of so many bytes.
    fn come(pieces: &[usize], budget: &Budget) -> (Arriving<Whole>, Arc<Fate>) {
        let frames: Vec<_> =
            pieces.iter().map(|&bytes| Ok::<_, axum::Error>(Frame::data(Bytes::from(vec![0; bytes])))).collect();
        let (body, fate) = (Body::new(StreamBody::new(futures_util::stream::iter(frames))), Arc::new(Fate::default()));
        let whole = Whole::new(Pace::new(60 * PATIENCE, None), Some(budget.clone()), Arc::clone(&fate));
        (Arriving::new(body, whole), fate)
    }

    #[tokio::test]
    async fn memory_is_taken_as_it_comes_and_kept_until_the_fate_is_looked_at() {
        let budget = Budget::new(2048);
        let (first, kept) = come(&[1500], &budget);
        first.collect().await.unwrap();
        let (second, fate) = come(&[1500], &budget);
        assert!(second.collect().await.is_err());
        assert_eq!(fate.given_up(), Some(GivenUp::NoMemory));
        drop(kept);
        assert_eq!(come(&[1500], &budget).0.collect().await.unwrap().to_bytes().len(), 1500);
    }

    #[tokio::test]
    async fn the_first_of_a_body_waits_for_memory_and_nothing_of_it_is_lost() {
        let budget = Budget::new(2048);
        let (first, kept) = come(&[1500], &budget);
        first.collect().await.unwrap();
        let (second, fate) = come(&[1000, 500], &budget);
        let mut second = std::pin::pin!(second.collect());
        assert!(timeout(Duration::ZERO, &mut second).await.is_err(), "there is no memory");
        drop(kept);
        assert_eq!(second.await.unwrap().to_bytes().len(), 1500);
        assert_eq!(fate.given_up(), None);
    }

    #[tokio::test]
    async fn a_body_that_has_memory_does_not_wait_for_more() {
        let budget = Budget::new(2048);
        let (first, _kept) = come(&[1000], &budget);
        first.collect().await.unwrap();
        let (second, fate) = come(&[1000, 500], &budget);
        // At the first look: two bodies that wait for each other's memory would wait in vain.
        let outcome = timeout(Duration::ZERO, second.collect()).await;
        assert!(outcome.is_ok_and(|outcome| outcome.is_err()));
        assert_eq!(fate.given_up(), Some(GivenUp::NoMemory));
    }
}
