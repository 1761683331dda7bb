//! Stopping: what was accepted is finished, nothing new is taken.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::helpers::{App, models, pictures, program::Program, stores::s3_variables};

/// Sends a request's head and waits until the server asks for the body: then it has accepted the request.
pub async fn begin_request(app: &App, body_len: usize) -> TcpStream {
    app.begin_post("/v1/models/colours/predict", &["content-type: image/png"], body_len).await
}

#[tokio::test]
async fn a_request_that_was_accepted_is_answered_after_the_server_was_told_to_stop() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let mut stream = begin_request(&app, picture.len()).await;
    app.stop.send(()).unwrap();
    // No new connection is taken once the stop has begun.
    while TcpStream::connect(app.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!app.task.is_finished());
    stream.write_all(&picture).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"label\":\"red\""), "{answer}");
    app.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_server_from_stopping() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.stop_timeout = Duration::from_millis(50);
    })
    .await;
    let _stream = begin_request(&app, 100).await;
    app.stop.send(()).unwrap();
    app.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_still_loads_stops() {
    let app = App::start_loading(&[("slow", &models::slow(10)), ("slow_too", &models::slow(10))], |_| {}).await;
    app.stop.send(()).unwrap();
    app.task.await.unwrap().unwrap();
}

/// A store of S3's protocol that lists one version and never sends its file.
async fn store_that_hangs() -> SocketAddr {
    const LIST: &str = "<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated><Contents>\
                        <Key>models/colours/1/model.onnx</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>\
                        <ETag>\"tag\"</ETag><Size>10</Size></Contents></ListBucketResult>";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                if !String::from_utf8(head).unwrap().contains("list-type=2") {
                    std::future::pending::<()>().await;
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{LIST}",
                    LIST.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_hangs_does_not_keep_the_server_from_stopping() {
    let endpoint = format!("http://{}", store_that_hangs().await);
    let cache = tempfile::tempdir().unwrap();
    let arguments = ["--models", "s3://bucket/models", "--model-cache", cache.path().to_str().unwrap()];
    let variables = s3_variables(&endpoint);
    let program = Program::serve(&arguments, &variables);
    let begun = Instant::now();
    while !program.log().contains("downloading") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", program.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = Instant::now();
    assert!(program.stop().success());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}
