//! Requests that are answered before their bodies are read: ordinary clients see the answer, not a broken connection.

use std::time::Duration;

use tagpoint::serve::parse_keys;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::helpers::{
    App,
    clients::{installed, run},
    models, pictures, problem,
};

/// The most bytes of a body here; no machine's sockets hold ten times as much.
const LIMIT: usize = 2 << 20;

async fn app() -> App {
    App::start_with(&[("colours", &models::colours())], |settings| {
        settings.max_body = LIMIT;
        settings.access.keys = parse_keys("website:predict:the-key-of-the-website").unwrap();
    })
    .await
}

/// The application without keys, and where pictures go.
async fn open_app() -> (App, String) {
    let app = App::start_with(&[("colours", &models::colours())], |settings| settings.max_body = LIMIT).await;
    let url = app.url("/v1/models/colours/predict");
    (app, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_sees_the_413_of_twice_the_limit_and_of_ten_times_every_time() {
    let (app, url) = open_app().await;
    for size in [LIMIT + 1, 2 * LIMIT, 10 * LIMIT].repeat(10) {
        let request = app.client.post(&url).header("content-type", "image/png").body(vec![0; size]);
        problem(request.send().await.unwrap(), 413, "body-too-large").await;
        assert_eq!(app.get("/healthz").await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_without_a_key_or_for_no_model_is_answered_too() {
    let app = app().await;
    for _ in 0..10 {
        let request = app.predict("colours/predict", &vec![0; LIMIT]);
        problem(request.send().await.unwrap(), 401, "unauthorized").await;
        let request = app.predict("nothing/predict", &vec![0; LIMIT]).bearer_auth("the-key-of-the-website");
        problem(request.send().await.unwrap(), 404, "unknown-model").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_sees_the_413_over_http_1_and_2_with_and_without_asking_for_leave_to_send() {
    let (app, url) = open_app().await;
    let path = app.folder.path().join("large");
    for size in [2 * LIMIT, 10 * LIMIT] {
        std::fs::write(&path, vec![0; size]).unwrap();
        for expect in ["expect:", "expect: 100-continue"].repeat(5) {
            for how in [&["--http1.1"][..], &["-H", "transfer-encoding: chunked"], &["--http2-prior-knowledge"]] {
                let body = format!("@{}", path.display());
                let headers = ["-H", "content-type: image/png", "-H", expect];
                let said = ["-sS", "-w", " %{http_code}", "--data-binary", &body, &url];
                let arguments = [&said[..], &headers, how].concat();
                let said = run("curl", &arguments, app.folder.path()).await;
                assert!(said.contains("urn:tagpoint:problem:body-too-large") && said.ends_with(" 413"), "{said}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_python_and_node_see_the_413_on_pools_of_connections() {
    let (_app, url) = open_app().await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for size in [2 * LIMIT, 10 * LIMIT].map(|size| size.to_string()) {
        let script = ["tests/clients/too_large.py", &url, &size];
        assert!(run(installed("python/bin/python"), &script, root).await.ends_with("ok\n"));
        assert!(run("node", &["tests/clients/too_large.mjs", &url, &size], root).await.ends_with("ok\n"));
    }
}

/// Sends bytes on a new connection: what comes back until so many answers have begun and the server hangs up, or says nothing
/// for a while.
async fn said(app: &App, bytes: &[u8], answers: usize) -> String {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let begun = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
        let patience = if begun < answers { Duration::from_secs(30) } else { Duration::from_millis(500) };
        match tokio::time::timeout(patience, stream.read_buf(&mut answer)).await {
            Ok(Ok(more)) if more > 0 => {}
            _ => return String::from_utf8(answer).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_small_body_that_is_not_needed_leaves_the_connection_open_and_a_large_one_does_not() {
    let app = app().await;
    let head = |length: usize| {
        format!("POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n").into_bytes()
    };
    let small = [head(1000), vec![0; 1000]].concat();
    let answers = said(&app, &small.repeat(2), 2).await;
    assert_eq!(answers.matches("HTTP/1.1 401").count(), 2, "{answers}");
    assert!(!answers.contains("connection: close"), "{answers}");
    // A body of which nothing comes: answered at once, and the client told that the connection ends.
    let answer = said(&app, &head(LIMIT), 1).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close\r\n"), "{answer}");
    // One that was read leaves it open, too.
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let key = "x-api-key: the-key-of-the-website\r\ncontent-length";
    let asked = String::from_utf8(head(picture.len())).unwrap().replace("content-length", key);
    let asked = [asked.replace("host: a", "host: a\r\ncontent-type: image/png").into_bytes(), picture].concat();
    let answers = said(&app, &asked.repeat(2), 2).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
}
