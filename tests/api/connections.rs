//! Connections: TLS, time-outs, limits, and headers for browsers.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tagpoint::serve::TlsFiles;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::helpers::{App, grpc, models, pictures, problem};

/// Writes a new certificate for localhost, with its key, and gives its PEM.
fn certify(files: &TlsFiles) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    made.cert.pem()
}

fn files_in(folder: &tempfile::TempDir) -> TlsFiles {
    TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") }
}

/// A client that trusts this certificate alone.
fn client(pem: &str) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap()
}

#[tokio::test]
async fn with_a_certificate_the_server_speaks_tls_and_takes_a_new_one_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(&folder);
    let first = certify(&files);
    let given = files.clone();
    let app = App::start_with(&[("colours", &models::colours())], |s| s.connections.tls = Some(given)).await;
    let url = format!("https://localhost:{}/readyz", app.address.port());
    assert_eq!(client(&first).get(&url).send().await.unwrap().status(), 200);
    assert!(app.client.get(app.url("/readyz")).send().await.is_err(), "no answer without TLS");

    std::fs::write(&files.certificate, "no certificate").unwrap();
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(client(&first).get(&url).send().await.unwrap().status(), 200);
    let second = certify(&files);
    while client(&second).get(&url).send().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(client(&first).get(&url).send().await.is_err());
}

/// The protocol agreed on by a client that offers these, or why there is none.
async fn agreed(
    app: &App,
    pem: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    offered: &[&str],
) -> Result<Option<Vec<u8>>, std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(app.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
}

#[tokio::test]
async fn http_2_and_http_1_1_are_agreed_on_over_tls_1_2_and_1_3() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(&folder);
    let pem = certify(&files);
    let app = App::start_with(&[], |settings| settings.connections.tls = Some(files)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, expected) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
            assert_eq!(agreed(&app, &pem, &[version], offered).await.unwrap(), Some(expected.as_bytes().to_vec()));
        }
    }
    assert!(agreed(&app, &pem, rustls::ALL_VERSIONS, &["smtp"]).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_is_not_usable_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(&folder);
    certify(&files);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
    for tls in [files, TlsFiles { certificate: "no/such.pem".into(), key: "no/such.key".into() }] {
        let app = App::start_loading(&[], |settings| settings.connections.tls = Some(tls)).await;
        let error = app.task.await.unwrap().unwrap_err().to_string();
        assert!(error.starts_with("the TLS certificate is not usable: "), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_hung_up_on() {
    let app = App::start_with(&[], |settings| settings.connections.header_timeout = Duration::from_millis(100)).await;
    for said in ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Ends because the server hangs up; a server that waits would keep this waiting for ever.
        let _ = stream.read_to_string(&mut answer).await;
        assert!(!answer.contains("200"), "{said:?}: {answer}");
    }
    // A body may take longer than a head.
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream
        .write_all(
            b"POST /v1/models/none/predict HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\n",
        )
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stream.write_all(b"x").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_until_another_ends() {
    let app = App::start_with(&[], |settings| settings.connections.max = 1).await;
    let first = TcpStream::connect(app.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut second = TcpStream::connect(app.address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(300), second.read(&mut byte)).await;
    assert!(early.is_err(), "it was served beside the first");
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_too() {
    let app = App::start(&[]).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    // The preface, then an empty SETTINGS frame: length, type 4, no flags, stream 0.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!((head[3], &head[5..]), (4, &[0; 4][..]), "the server's own SETTINGS: {head:?}");
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let app = App::start(&[]).await;
    for path in ["/v1/models", "/nothing", "/docs/", "/healthz"] {
        let response = app.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(policy.contains("script-src 'self'"), path == "/docs/", "{path}: {policy}");
    }
}

#[tokio::test]
async fn a_page_elsewhere_may_ask_only_where_the_settings_name_its_origin() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.access.origins = "https://shop.example".parse().unwrap();
        settings.access.keys = tagpoint::serve::parse_keys("shop:predict:the-key-of-the-shop").unwrap();
    })
    .await;
    let url = app.url("/v1/models/colours/predict");
    let preflight = |origin: &'static str| {
        let request = app.client.request(reqwest::Method::OPTIONS, &url).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let response = preflight("https://shop.example").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization,content-type");
    // Every method that some address takes.
    assert_eq!(response.headers()["access-control-allow-methods"], "GET,POST,PUT,DELETE");
    let response = preflight("https://elsewhere.example").send().await.unwrap();
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // An error can be read by the page too.
    let response = app.client.post(&url).header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    problem(response, 401, "unauthorized").await;

    let closed = App::start(&[]).await;
    let request = closed.client.get(closed.url("/healthz")).header("origin", "https://shop.example");
    assert!(!request.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_body_is_admitted_before_it_is_read() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.body_budget = 4096;
        settings.max_body = 4096;
    })
    .await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let head = format!(
        "POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\nconnection: close\r\n\r\n",
        4000
    );
    let mut first = TcpStream::connect(app.address).await.unwrap();
    first.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    first.read_exact(&mut interim).await.unwrap();
    // The first has all there is; the second is refused without being asked for its body.
    let mut second = TcpStream::connect(app.address).await.unwrap();
    second.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("urn:tagpoint:problem:body-budget"), "{answer}");
    // What takes no body is not held up, and what one request had is there for the next.
    assert_eq!(app.get("/v1/models").await.status(), 200);
    first.write_all(&vec![0; 4000]).await.unwrap();
    first.read_to_string(&mut answer).await.unwrap();
    app.answer("colours/predict", &picture).await;
    let response = app.predict("colours/predict", &[0; 5000]).send().await.unwrap();
    problem(response, 413, "body-too-large").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_much_memory_holds_up_none_that_need_little() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        (settings.body_budget, settings.max_body) = (2 << 20, 2 << 20);
    })
    .await;
    let begin = async |length: usize| {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let head = format!(
            "POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\
             expect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    };
    // Once it is asked for its body it has its memory, and leaves 512 KiB.
    let mut first = begin(3 << 19).await;
    first.read_exact(&mut [0; 25]).await.unwrap();
    let mut second = begin(1 << 20).await;
    // A moment, in which it comes to wait; it does so for a second.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let picture = pictures::noise(180, 180, 1);
    assert!((90_000..110_000).contains(&picture.len()));
    let chunks: Vec<_> = picture.chunks(10_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let chunked = app.client.post(app.url("/v1/models/colours/predict")).body(body).send();
    let mut sender = grpc::connect(app.address).await;
    let call = grpc::call(app.address, "ModelInfer", grpc::whole(grpc::infer("colours", &picture)));
    let (chunked, call) = tokio::join!(chunked, sender.send_request(call));
    assert_eq!(grpc::status(call.unwrap()).await, "0");
    assert_eq!(chunked.unwrap().status(), 200);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("urn:tagpoint:problem:body-budget"), "{answer}");
}
