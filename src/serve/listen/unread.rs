//! Answers to requests whose body was not read: too large, without a key, without a place in the queue.
//!
//! A connection that is closed while bytes lie unread in it is reset, and the reset overtakes the answer: the client
//! sees a broken pipe where a 413 should stand. So what is on its way is read first, for a moment, and the connection
//! stays. Where that is not all, the answer says `connection: close`, and the rest is read and thrown away after it,
//! until the client has hung up, for a bounded number of bytes and of seconds.
//!
//! In HTTP/2 the connection stays in any case. But a client whose stream is reset while it sends may miss the answer
//! as well, so the rest is read there, too.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Version, header};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep, sleep, timeout},
};
use tower::ServiceExt as _;

/// Read before the answer, so that the connection stays: what has come, or is about to.
const SOON: (usize, Duration) = (1 << 20, Duration::from_millis(10));
/// Read after the answer, bytes and time in all.
const LATER: (usize, Duration) = (256 << 20, Duration::from_secs(30));
/// A client that sends nothing for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether a connection's last request was answered before its body was read. The answering side sets it, the stream's
/// end looks at it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Answers a request.
    pub(super) async fn answer(self, router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
        if request.body().is_end_stream() {
            return router.oneshot(request.map(Body::new)).await;
        }
        let is_http_2 = request.version() > Version::HTTP_11;
        // A client that waits for leave to send would be given it by reading.
        let waits = request.headers().contains_key(header::EXPECT);
        let (back, mut left) = oneshot::channel();
        let request = request.map(|body| Body::new(Lent { body: Some(body), back: Some(back) }));
        let mut response = router.oneshot(request).await?;
        // None where it was read, or is still being read.
        let Ok(rest) = left.try_recv() else { return Ok(response) };
        if is_http_2 {
            tokio::spawn(read(rest, LATER));
        } else if waits || !read(rest, SOON).await {
            self.0.store(true, Relaxed);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Reads the rest of a body and throws it away; false where there are more bytes, or it takes longer.
async fn read(mut rest: Incoming, (most, time): (usize, Duration)) -> bool {
    if rest.size_hint().lower() > most as u64 {
        return false;
    }
    let all = async {
        let mut bytes = 0;
        loop {
            match timeout(SILENCE, poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx))).await {
                Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Ok(None) => return true,
                Ok(Some(Err(_))) | Err(_) => return false,
            }
            if bytes > most {
                return false;
            }
        }
    };
    timeout(time, all).await.unwrap_or(false)
}

/// A request's body, which comes back when it is dropped before its end.
struct Lent {
    /// None once it has ended.
    body: Option<Incoming>,
    /// To whoever made this; none once it was used.
    back: Option<oneshot::Sender<Incoming>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody is there where the request was given up: then nothing is answered either.
            let _ = back.send(body);
        }
    }
}

/// A stream that, where a body was left unread, goes on reading after it has said its last.
pub(super) struct Lingering<S> {
    stream: S,
    unread: Unread,
    /// None until all is said.
    rest: Option<Rest>,
}

/// What may still be read.
struct Rest {
    bytes: usize,
    until: Instant,
    /// Ends with the next silence, or at `until`.
    clock: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, rest: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.rest.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.unread.0.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let rest = this.rest.get_or_insert_with(|| Rest {
            bytes: LATER.0,
            until: Instant::now() + LATER.1,
            clock: Box::pin(sleep(SILENCE)),
        });
        rest.poll_discard(&mut this.stream, cx).map(Ok)
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Rest {
    /// Reads and throws away until the client hangs up, or one of the limits.
    fn poll_discard<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 16 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Pending => return self.clock.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && buf.filled().len() < self.bytes => {
                    self.bytes -= buf.filled().len();
                    let silent = Instant::now() + SILENCE;
                    self.clock.as_mut().reset(silent.min(self.until));
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// How long a client is listened to that sends `piece` every 20 ms, where so much is allowed.
    async fn listened(piece: usize, bytes: usize, time: Duration) -> Duration {
        let (mut client, mut server) = duplex(64);
        let sending = tokio::spawn(async move {
            while client.write_all(&vec![0; piece]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let begun = Instant::now();
        let until = begun + time;
        let mut rest = Rest { bytes, until, clock: Box::pin(sleep(SILENCE.min(time))) };
        poll_fn(|cx| rest.poll_discard(&mut server, cx)).await;
        drop(server);
        sending.await.unwrap();
        begun.elapsed()
    }

    #[tokio::test]
    async fn a_client_that_never_stops_is_cut_off_after_so_many_bytes_and_after_so_long() {
        let long = Duration::from_secs(600);
        assert!(listened(100, 1000, long).await < long / 2);
        let took = listened(1, usize::MAX, Duration::from_millis(300)).await;
        assert!((Duration::from_millis(290)..Duration::from_secs(10)).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_or_says_nothing_is_not_waited_for() {
        let mut rest = Rest { bytes: 1000, until: Instant::now() + LATER.1, clock: Box::pin(sleep(SILENCE)) };
        let (client, mut server) = duplex(64);
        let begun = Instant::now();
        drop(client);
        poll_fn(|cx| rest.poll_discard(&mut server, cx)).await;
        assert!(begun.elapsed() < SILENCE / 2);
        let (_client, mut server) = duplex(64);
        poll_fn(|cx| rest.poll_discard(&mut server, cx)).await;
        assert!((SILENCE / 2..2 * SILENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}
