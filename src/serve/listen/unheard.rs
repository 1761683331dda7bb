//! What a client is told and does not take, over HTTP/2.
//!
//! An HTTP/2 client says how much of each answer it takes (RFC 9113, section 5.2). One that says nothing, and answers pings, would
//! have its answers kept for ever, and its connection with them: the socket is never full, so nothing else sees it.

use std::{
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
    pieces: usize,
    /// When the first of them began to wait, or the last bytes of any went. Of any: a client that takes one answer slowly takes
    /// nothing of those behind it meanwhile, nor of the pieces that follow.
    since: Option<Instant>,
}

/// An answer's body; what it yields is waited for until it is gone.
pub(super) struct Watched {
    body: Body,
    told: Told,
}

/// A piece of an answer: in hand until it is dropped.
pub(super) struct Piece {
    bytes: Bytes,
    told: Told,
}

impl Told {
    pub(super) fn watch(&self, body: Body) -> Watched {
        Watched { body, told: self.clone() }
    }

    /// Ends when pieces waited and nothing was taken of any for so long.
    pub(super) async fn unheard(&self, limit: Duration) {
        loop {
            let since = self.lock().since.unwrap_or_else(Instant::now);
            if since.elapsed() >= limit {
                return;
            }
            sleep_until(since + limit).await;
        }
    }

    fn add(&self, bytes: Bytes) -> Piece {
        let mut waiting = self.lock();
        waiting.pieces += 1;
        waiting.since.get_or_insert_with(Instant::now);
        drop(waiting);
        Piece { bytes, told: self.clone() }
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
        self.told.lock().since = Some(Instant::now());
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut waiting = self.told.lock();
        waiting.pieces -= 1;
        if waiting.pieces == 0 {
            waiting.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_piece_behind_another_may_wait_for_as_long_as_that_one_goes() {
        let told = Told::default();
        let (mut first, _second) = (told.add(Bytes::from(vec![0; 1000])), told.add(Bytes::from(vec![0; 1000])));
        let taking = async {
            for _ in 0..8 {
                sleep(LIMIT / 4).await;
                first.advance(1);
            }
        };
        tokio::select! {
            biased;
            () = taking => {}
            () = told.unheard(LIMIT) => panic!("it was hung up on while it read"),
        }
        timeout(2 * LIMIT, told.unheard(LIMIT)).await.expect("nothing is taken any more");
    }

    #[tokio::test]
    async fn nothing_waits_once_all_is_taken() {
        let told = Told::default();
        drop((told.add(Bytes::from_static(b"a")), told.add(Bytes::from_static(b"b"))));
        assert!(timeout(2 * LIMIT, told.unheard(LIMIT)).await.is_err());
    }
}
