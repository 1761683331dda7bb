//! Connections: taken up to a limit, spoken to with or without TLS, HTTP/1.1 or HTTP/2, and ended in good order.
//!
//! A client that sends nothing, or sends its request's head a letter at a time, is hung up on after the header
//! time-out. So is an HTTP/1.1 connection that stays idle for as long, and one whose client takes nothing of an answer
//! for a minute. An HTTP/2 connection on which nothing is asked for five minutes is told to end.

mod idle;
mod preface;
mod stalled;
mod unheard;
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
use unheard::Told;
use unread::{Lingering, Unread};

/// An HTTP/2 connection without traffic is asked whether it is still there, and has as long again to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
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
    /// How long a client may take nothing of an answer.
    pub(super) unheard: Duration,
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
        let (router, unread, requests, told) =
            (self.router.clone(), Unread::default(), Requests::new(), Told::default());
        let stream = Lingering::new(Hurried::new(Stalled::new(stream, self.rules.unheard), limit), unread.clone());
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let (answer, under_way) = (unread.clone().answer(router.clone(), request), requests.begin());
            let told = told.clone();
            async move {
                let answer = answer.await;
                drop(under_way);
                answer.map(|answer| answer.map(|body| told.watch(body)))
            }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let told_to_end = async {
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = requests.cease(self.rules.idle_timeout) => {}
            }
        };
        let ended = async {
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = told_to_end => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        tokio::select! {
            // First, so that a client that has read meanwhile is not hung up on where both are looked at late.
            biased;
            ended = ended => if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            },
            () = told.unheard(self.rules.unheard) => tracing::debug!("a client does not take what it is told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::{body::Body, routing::get};
    use bytes::Bytes;
    use futures_util::stream::iter;
    use http_body_util::{BodyExt as _, Empty};
    use hyper::client::conn::http2;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::{Instant, sleep},
    };

    use super::*;

    const IDLE: Duration = Duration::from_millis(400);
    const SECOND: Duration = Duration::from_secs(1);

    /// A connection, and the server's end of it.
    fn open(
        router: Router,
        (idle_timeout, unheard): (Duration, Duration),
    ) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let connections = Connections {
            rules: Rules { header_timeout: 10 * SECOND, idle_timeout, unheard, max_connections: 1, tls: None },
            router,
            stopping: CancellationToken::new(),
        };
        let (client, server) = duplex(1 << 16);
        let peer = Peer(Ipv4Addr::LOCALHOST.into());
        (client, tokio::spawn(async move { connections.speak_http(server, peer).await }))
    }

    /// A client of HTTP/2 on a connection of its own, which takes so many bytes of an answer at a time, and the server's end of it.
    async fn connect(
        router: Router,
        limits: (Duration, Duration),
        window: u32,
    ) -> (http2::SendRequest<Empty<Bytes>>, tokio::task::JoinHandle<()>) {
        let (client, serving) = open(router, limits);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (sender, talking) = builder.handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(talking);
        (sender, serving)
    }

    async fn ask(sender: &mut http2::SendRequest<Empty<Bytes>>) -> hyper::Response<Incoming> {
        let request = hyper::Request::get("http://a/").body(Empty::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    }

    /// When a connection ended whose client asks for `/` once, and then keeps it open.
    async fn ended_after(answering: Duration) -> Duration {
        let router = Router::new().route("/", get(move || sleep(answering)));
        let begun = Instant::now();
        let (mut sender, serving) = connect(router, (IDLE, 10 * SECOND), 1 << 16).await;
        ask(&mut sender).await;
        timeout(10 * SECOND, serving).await.expect("it is kept open").unwrap();
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

    #[tokio::test]
    async fn an_http_2_client_that_takes_nothing_of_an_answer_is_hung_up_on() {
        // Both of what the connection could keep: a piece that waits for leave to be sent, and one of which a byte may go.
        for window in [0, 1] {
            let router = Router::new().route("/", get(async || vec![0; 1000]));
            let begun = Instant::now();
            let (mut sender, serving) = connect(router, (10 * SECOND, IDLE), window).await;
            let _unread = ask(&mut sender).await;
            timeout(10 * SECOND, serving).await.expect("it is kept open").unwrap();
            assert!((IDLE..10 * SECOND).contains(&begun.elapsed()));
        }
    }

    #[tokio::test]
    async fn one_that_has_taken_it_may_ask_again_later() {
        let router = Router::new().route("/", get(async || vec![0; 1000]));
        let (mut sender, _serving) = connect(router, (10 * SECOND, IDLE), 1 << 16).await;
        for _ in 0..2 {
            assert_eq!(ask(&mut sender).await.collect().await.unwrap().to_bytes().len(), 1000);
            sleep(3 * IDLE).await;
        }
    }

    #[tokio::test]
    async fn a_slow_client_of_http_1_1_gets_all_of_it_though_pieces_wait_behind_others() {
        // More than the connection holds, so that pieces wait.
        let pieces = async || Body::from_stream(iter([0; 3].map(|_| Ok::<_, io::Error>(vec![0; 1 << 16]))));
        let router = Router::new().route("/", get(pieces));
        let (mut client, _serving) = open(router, (10 * SECOND, IDLE));
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let (mut taken, mut buffer) = (0, vec![0; 1 << 12]);
        loop {
            match client.read(&mut buffer).await.unwrap() {
                0 => break,
                bytes => taken += bytes,
            }
            sleep(IDLE / 10).await;
        }
        assert!(taken > 3 << 16, "it was cut off after {taken} bytes");
    }

    #[tokio::test]
    async fn one_that_takes_it_slowly_gets_all_of_it() {
        let router = Router::new().route("/", get(async || vec![0; 1000]));
        let (mut sender, _serving) = connect(router, (10 * SECOND, 3 * IDLE), 100).await;
        let mut body = ask(&mut sender).await.into_body();
        let mut bytes = 0;
        while bytes < 1000 {
            bytes += body.frame().await.expect("it was cut off").unwrap().into_data().unwrap().len();
            sleep(IDLE / 2).await;
        }
        assert_eq!(bytes, 1000);
    }
}
