//! Fetches from real servers on this machine, which the rules of most tests allow by its network.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A server on 127.0.0.1 that reads each request's head and hands it to `answer` with the connection.
struct Origin {
    address: SocketAddr,
    /// Connections taken so far.
    connections: Arc<AtomicUsize>,
}

impl Origin {
    async fn start<F>(answer: impl Fn(String, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self { address: listener.local_addr().unwrap(), connections: Arc::default() };
        let connections = Arc::clone(&origin.connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                tokio::spawn(answer(String::from_utf8_lossy(&head).into_owned(), stream));
            }
        });
        origin
    }

    /// A server that always says the same.
    async fn saying(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::start(move |_, mut stream| {
            let text = text.clone();
            async move {
                let _ = stream.write_all(text.as_bytes()).await;
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/picture.jpg", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Rules that allow these origins, as far as address, scheme and port go.
fn rules(origins: &[&Origin]) -> FetchRules {
    FetchRules {
        schemes: vec![Scheme::Http, Scheme::Https],
        ports: origins.iter().map(|origin| origin.address.port()).collect(),
        networks: vec!["127.0.0.1/32".parse().unwrap()],
        max_bytes: 1000,
        ..FetchRules::default()
    }
}

async fn fetch(rules: FetchRules, url: &str) -> Result<Bytes, FetchError> {
    Fetcher::new(rules).unwrap().fetch(url, &Allowance::new(100_000)).await
}

fn redirect_to(target: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n")
}

const PICTURE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npicture";

fn assert_refused(result: Result<Bytes, FetchError>, why: &str) {
    let error = result.unwrap_err();
    assert!(matches!(&error, FetchError::Refused(reason) if reason.contains(why)), "{error:?}, expected {why:?}");
}

#[tokio::test]
async fn a_picture_is_fetched_and_the_origin_learns_nothing_about_us() {
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::start(move |head, mut stream| {
        seen.send(head).unwrap();
        async move {
            let said = "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 7\r\n\r\npicture";
            stream.write_all(said.as_bytes()).await.unwrap();
        }
    })
    .await;
    let fetcher = Fetcher::new(rules(&[&origin])).unwrap();
    for _ in 0..2 {
        assert_eq!(fetcher.fetch(&origin.url(), &Allowance::new(7)).await.unwrap(), "picture");
        let head = heads.recv().await.unwrap().to_lowercase();
        let mut names: Vec<&str> = head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "{head}");
        assert!(head.contains("user-agent: tagpoint/"), "{head}");
    }
}

#[tokio::test]
async fn an_address_of_this_machine_is_refused_without_a_connection() {
    let origin = Origin::saying(PICTURE).await;
    let public_only = FetchRules { networks: Vec::new(), ..rules(&[&origin]) };
    assert_refused(fetch(public_only.clone(), &origin.url()).await, "loopback");
    // A name is as good as its addresses.
    let by_name = format!("http://localhost:{}/", origin.address.port());
    assert_refused(fetch(public_only, &by_name).await, "loopback");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_name_is_refused_where_one_of_its_addresses_is() {
    let rules = Arc::new(rules(&[]));
    let resolver = resolve::Checked::new(Arc::clone(&rules));
    let found = reqwest::dns::Resolve::resolve(&resolver, "localhost".parse().unwrap()).await;
    // localhost is 127.0.0.1, which is allowed here, and on many machines ::1, which is not.
    let all: Vec<_> = tokio::net::lookup_host(("localhost", 0)).await.unwrap().map(|address| address.ip()).collect();
    assert_eq!(found.is_ok(), all.iter().all(|address| rules.check_address(*address).is_ok()), "{all:?}");
}

#[tokio::test]
async fn every_redirect_passes_the_rules_again() {
    for (target, why) in [
        ("http://127.0.0.2:PORT/", "loopback"),
        ("http://169.254.169.254:PORT/latest/meta-data/", "cloud metadata"),
        ("http://[::1]:PORT/", "loopback"),
        ("http://10.0.0.1:PORT/", "private"),
        ("http://user:secret@127.0.0.1:PORT/", "user name"),
        ("ftp://127.0.0.1:PORT/", "scheme is ftp"),
        ("file:///etc/passwd", "scheme is file"),
        ("http://127.0.0.1:1/", "port 1"),
        ("//127.0.0.1:2/", "port 2"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let origin = Origin::saying(redirect_to(&target.replace("PORT", &port))).await;
        let mut rules = rules(&[&origin]);
        rules.ports.push(port.parse().unwrap());
        assert_refused(fetch(rules, &origin.url()).await, why);
        assert_eq!(origin.connections(), 1);
    }
}

#[tokio::test]
async fn a_listed_host_cannot_redirect_to_one_that_is_not_listed() {
    let origin = Origin::saying(PICTURE).await;
    let elsewhere = Origin::saying(redirect_to(&format!("http://localhost:{}/", origin.address.port()))).await;
    let hosts = vec!["127.0.0.1".parse().unwrap()];
    let rules = FetchRules { hosts, ..rules(&[&origin, &elsewhere]) };
    assert_refused(fetch(rules, &elsewhere.url()).await, "\"localhost\"");
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_loop_is_not() {
    let mut origins = vec![Origin::saying(PICTURE).await];
    for _ in 0..4 {
        origins.push(Origin::saying(redirect_to(&origins.last().unwrap().url())).await);
    }
    let rules_for_all = rules(&origins.iter().collect::<Vec<_>>());
    assert_eq!(fetch(rules_for_all.clone(), &origins[3].url()).await.unwrap(), "picture");
    let error = fetch(rules_for_all, &origins[4].url()).await.unwrap_err();
    assert_eq!(error, FetchError::TooManyRedirects { limit: 3 });

    let round = Origin::saying(redirect_to("/picture.jpg")).await;
    let error = fetch(rules(&[&round]), &round.url()).await.unwrap_err();
    assert_eq!((error, round.connections()), (FetchError::TooManyRedirects { limit: 3 }, 4));
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_by_its_header_and_by_its_bytes() {
    let too_large = FetchError::TooLarge { limit: 1000 };
    let announced = Origin::saying("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n").await;
    assert_eq!(fetch(rules(&[&announced]), &announced.url()).await.unwrap_err(), too_large);
    let endless = Origin::start(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        // Ends when the fetcher hangs up.
        while stream.write_all(b"4\r\nmore\r\n").await.is_ok() {}
    })
    .await;
    assert_eq!(fetch(rules(&[&endless]), &endless.url()).await.unwrap_err(), too_large);
    let exact = Origin::saying(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1000))).await;
    assert_eq!(fetch(rules(&[&exact]), &exact.url()).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn the_pictures_of_one_request_share_an_allowance() {
    let origin = Origin::saying(PICTURE).await;
    let (fetcher, allowance) = (Fetcher::new(rules(&[&origin])).unwrap(), Allowance::new(20));
    let url = origin.url();
    let (first, second) = tokio::join!(fetcher.fetch(&url, &allowance), fetcher.fetch(&url, &allowance));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(fetcher.fetch(&url, &allowance).await.unwrap_err(), FetchError::TooMuch { limit: 20 });
}

#[tokio::test]
async fn an_origin_that_is_slow_is_given_up() {
    let limit = Duration::from_millis(200);
    let drips = |head: &'static str| {
        Origin::start(move |_, mut stream| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    for origin in [drips("HTTP/1.1 200 OK\r\n\r\n").await, drips("HTTP/1.1 200 OK\r\nslow: ").await] {
        let rules = FetchRules { timeout: limit, ..rules(&[&origin]) };
        assert_eq!(fetch(rules, &origin.url()).await.unwrap_err(), FetchError::TimedOut { limit });
    }
}

#[tokio::test]
async fn what_is_no_answer_with_a_picture_is_an_error_of_the_host() {
    let missing = Origin::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(fetch(rules(&[&missing]), &missing.url()).await.unwrap_err(), FetchError::Status(404));
    let nowhere = Origin::saying("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(fetch(rules(&[&nowhere]), &nowhere.url()).await.unwrap_err(), FetchError::Status(302));
    for said in ["this is no HTTP", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npic", ""] {
        let origin = Origin::saying(said).await;
        let error = fetch(rules(&[&origin]), &origin.url()).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable(_)), "{said:?}: {error:?}");
    }
    // A name that cannot exist (RFC 6761).
    let error = fetch(FetchRules::default(), "https://pictures.invalid/").await.unwrap_err();
    assert_eq!(error, FetchError::Unreachable("has no address"));
    assert!(matches!(fetch(FetchRules::default(), "no url").await, Err(FetchError::NotAUrl(_))));
}

#[tokio::test]
async fn a_host_without_a_trusted_certificate_is_not_believed() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    crate::tls::use_ring();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await.map(|_| ())
    });
    let rules = FetchRules { ports: vec![port], ..rules(&[]) };
    let error = fetch(rules, &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
    assert!(served.await.unwrap().is_err());
}
