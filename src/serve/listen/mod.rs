//! Connections: taken up to a limit, spoken to with or without TLS, HTTP/1.1 or HTTP/2, and ended in good order.
//!
//! A client that sends nothing, or sends its request's head a letter at a time, is hung up on after the header
//! time-out. So is an HTTP/1.1 connection that stays idle for as long, and one whose client reads nothing of its answers
//! for a minute.

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
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
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
use tokio_util::sync::CancellationToken;
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
    /// Cancelled when the stop begins, for connections that have not yet sent a request.
    stopping: CancellationToken,
}

/// Serves until `shutdown` is done; then takes no further connection, finishes the requests that were begun, and ends.
pub(super) async fn serve(listener: TcpListener, router: Router, rules: Rules, shutdown: impl Future<Output = ()>) {
    // One permit for each open connection; it goes back when the connection's task ends.
    let free = Arc::new(Semaphore::new(rules.max_connections));
    let graceful = GracefulShutdown::new();
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
        let (connections, watcher) = (connections.clone(), graceful.watcher());
        tokio::spawn(async move {
            connections.talk(stream, peer, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    connections.stopping.cancel();
    graceful.shutdown().await;
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
    async fn talk(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let peer = Peer(peer.ip());
        // Answers are written whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let limit = self.rules.header_timeout;
        let Some(config) = &self.rules.tls else { return self.speak_http(stream, peer, watcher).await };
        let handshake = timeout(limit, TlsAcceptor::from(Arc::clone(config)).accept(stream));
        let shaken = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return,
            shaken = handshake => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak_http(stream, peer, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn speak_http<S>(&self, stream: S, peer: Peer, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limit = self.rules.header_timeout;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limit);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_EVERY);
        let (router, unread) = (self.router.clone(), Unread::default());
        let stream = Lingering::new(Hurried::new(Stalled::new(stream, UNHEARD), limit), unread.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            unread.clone().answer(router.clone(), request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}
