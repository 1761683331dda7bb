//! Haste for a connection's first bytes.
//!
//! hyper's header time-out begins once it knows which HTTP is spoken, which it reads from the first bytes: HTTP/2 begins
//! with 24 that no HTTP/1.1 request has. Until they are there, or others, this is the clock.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails to read where its first bytes do not come in time.
pub(super) struct Hurried<S> {
    stream: S,
    /// Bytes of the preface that have come.
    fitting: usize,
    /// None once it is known which HTTP is spoken.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Hurried<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, fitting: 0, deadline: Some(Box::pin(sleep(limit))) }
    }

    fn see(&mut self, bytes: &[u8]) {
        let wanted = &PREFACE[self.fitting..];
        let fits = bytes.iter().zip(wanted).take_while(|(byte, wanted)| byte == wanted).count();
        self.fitting += fits;
        if self.fitting == PREFACE.len() || fits < bytes.len().min(wanted.len()) {
            self.deadline = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hurried<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(deadline) = &mut self.deadline else { return read };
        match read {
            Poll::Pending if deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Ready(Ok(())) => {
                self.see(&buf.filled()[filled..]);
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hurried<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Whether a read fails, within so many seconds, when the client says these and then nothing.
    async fn times_out(seconds: f32, said: &[&[u8]]) -> bool {
        let (mut client, server) = duplex(64);
        let mut hurried = Hurried::new(server, Duration::from_millis(50));
        for part in said {
            client.write_all(part).await.unwrap();
            hurried.read_exact(&mut vec![0; part.len()]).await.unwrap();
        }
        let read = tokio::time::timeout(Duration::from_secs_f32(seconds), hurried.read_u8()).await;
        matches!(read, Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn who_does_not_say_which_http_is_hung_up_on() {
        assert!(times_out(60.0, &[]).await);
        assert!(times_out(60.0, &[b"P"]).await);
        assert!(times_out(60.0, &[b"PRI * HTTP/2.0", b"\r\n\r\nSM"]).await);
    }

    #[tokio::test]
    async fn whoever_has_said_it_is_left_to_hyper() {
        assert!(!times_out(0.3, &[b"G"]).await);
        assert!(!times_out(0.3, &[b"P", b"O"]).await);
        assert!(!times_out(0.3, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]).await);
        assert!(!times_out(0.3, &[b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\nmore"]).await);
    }
}
