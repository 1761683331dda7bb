//! Connections: taken up to a limit, spoken to with or without TLS, HTTP/1.1 or HTTP/2, and ended in good order.
//!
//! A client that sends nothing, or sends its request's head a letter at a time, is hung up on after the header
//! time-out. So is an HTTP/1.1 connection that stays idle for as long, and one whose client reads nothing of its answers
//! for a minute. An HTTP/2 connection on which nothing is asked for five minutes is told to end.

mod idle;
mod preface;
mod stalled;
mod unread;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use idle::Requests;
use preface::Hurried;
use rustls::ServerConfig;
use stalled::Stalled;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use unread::{Lingering, Unread};

/// An HTTP/2 connection without traffic is asked whether it is still there, and has as long again to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a client may read nothing of what it is told.
const UNHEARD: Duration = Duration::from_secs(60);
/// After a failure to accept that is ours, such as too many open files.
const REST: Duration = Duration::from_millis(500);

/// Who is at the other end of a request's connection: an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) IpAddr);

/// How connections are treated.
#[derive(Clone)]
pub(super) struct Rules {
    /// For the TLS handshake, and for each request's head.
    pub(super) header_timeout: Duration,
    /// How long nothing may be asked on a connection; one of HTTP/1.1 has no more than `header_timeout`.
    pub(super) idle_timeout: Duration,
    /// Connections at a time; further ones wait to be accepted.
    pub(super) max_connections: usize,
    /// With TLS.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Everything that a connection's task needs.
#[derive(Clone)]
struct Connections {
    rules: Rules,
    router: Router,
    /// Cancelled when the stop begins: connections finish what is under way and end.
    stopping: CancellationToken,
}

/// Serves until `shutdown` is done; then takes no further connection, finishes the requests that were begun, and ends.
pub(super) async fn serve(listener: TcpListener, router: Router, rules: Rules, shutdown: impl Future<Output = ()>) {
    // One permit for each open connection; it goes back when the connection's task ends.
    let free = Arc::new(Semaphore::new(rules.max_connections));
    let tasks = TaskTracker::new();
    let connections = Connections { rules, router, stopping: CancellationToken::new() };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (permit, accept(&listener).await)
        };
        let (permit, (stream, peer)) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            next = next => next,
        };
        let connections = connections.clone();
        tasks.spawn(async move {
            connections.talk(stream, peer).await;
            drop(permit);
        });
    }
    drop(listener);
    connections.stopping.cancel();
    tasks.close();
    tasks.wait().await;
}

/// The next connection. A client that went before it was accepted is no reason to stop, nor is a full table of files.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted now");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

impl Connections {
    async fn talk(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = Peer(peer.ip());
        // Answers are written whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let limit = self.rules.header_timeout;
        let Some(config) = &self.rules.tls else { return self.speak_http(stream, peer).await };
        let handshake = timeout(limit, TlsAcceptor::from(Arc::clone(config)).accept(stream));
        let shaken = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return,
            shaken = handshake => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak_http(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn speak_http<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limit = self.rules.header_timeout;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limit);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_EVERY);
        let (router, unread, requests) = (self.router.clone(), Unread::default(), Requests::new());
        let stream = Lingering::new(Hurried::new(Stalled::new(stream, UNHEARD), limit), unread.clone());
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let (answer, under_way) = (unread.clone().answer(router.clone(), request), requests.begin());
            async move {
                let answer = answer.await;
                drop(under_way);
                answer
            }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let told_to_end = async {
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = requests.cease(self.rules.idle_timeout) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told_to_end => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use http_body_util::Empty;
    use hyper::client::conn::http2;
    use tokio::{
        io::duplex,
        time::{Instant, sleep},
    };

    use super::*;

    const IDLE: Duration = Duration::from_millis(400);

    /// When a connection ended whose client asks for `/` once, and then keeps it open.
    async fn ended_after(answering: Duration) -> Duration {
        let answer = move || async move { sleep(answering).await };
        let second = Duration::from_secs(10);
        let connections = Connections {
            rules: Rules { header_timeout: second, idle_timeout: IDLE, max_connections: 1, tls: None },
            router: Router::new().route("/", get(answer)),
            stopping: CancellationToken::new(),
        };
        let (client, server) = duplex(1 << 16);
        let peer = Peer(Ipv4Addr::LOCALHOST.into());
        let serving = tokio::spawn(async move { connections.speak_http(server, peer).await });
        let begun = Instant::now();
        let (mut sender, talking) = http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
        tokio::spawn(talking);
        let request = hyper::Request::get("http://a/").body(Empty::<bytes::Bytes>::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        timeout(second, serving).await.expect("it is kept open").unwrap();
        begun.elapsed()
    }

    #[tokio::test]
    async fn an_http_2_connection_on_which_nothing_is_asked_ends() {
        assert!(ended_after(Duration::ZERO).await >= IDLE);
    }

    #[tokio::test]
    async fn what_is_asked_keeps_it_open_however_long_the_answer_takes() {
        assert!(ended_after(2 * IDLE).await >= 3 * IDLE);
    }
}
