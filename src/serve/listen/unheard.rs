//! What a client is told and does not take, over HTTP/2.
//!
//! An HTTP/2 client says how much of each answer it takes (RFC 9113, section 5.2). One that says nothing, and answers pings, would
//! have its answers kept for ever, and its connection with them: the socket is never full, so nothing else sees it.

use std::{
    collections::BTreeMap,
    io::IoSlice,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// The pieces of a connection's answers that wait to be taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// When each piece began to wait, or the last bytes of it went.
    since: BTreeMap<u64, Instant>,
    next: u64,
}

/// An answer's body; what it yields is waited for until it is gone.
pub(super) struct Watched {
    body: Body,
    told: Told,
}

/// A piece of an answer: in hand until it is dropped.
pub(super) struct Piece {
    bytes: Bytes,
    place: u64,
    told: Told,
}

impl Told {
    pub(super) fn watch(&self, body: Body) -> Watched {
        Watched { body, told: self.clone() }
    }

    /// Ends when of some piece nothing was taken for so long.
    pub(super) async fn unheard(&self, limit: Duration) {
        loop {
            let since = self.lock().since.values().min().copied().unwrap_or_else(Instant::now);
            if since.elapsed() >= limit {
                return;
            }
            sleep_until(since + limit).await;
        }
    }

    fn add(&self, bytes: Bytes) -> Piece {
        let mut waiting = self.lock();
        let place = waiting.next;
        waiting.next += 1;
        waiting.since.insert(place, Instant::now());
        Piece { bytes, place, told: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Watched {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| self.told.add(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.told.lock().since.insert(self.place, Instant::now());
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.told.lock().since.remove(&self.place);
    }
}
