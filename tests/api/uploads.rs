//! What jobs put into an object store is deleted where nothing comes of it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use reqwest::Client;
use serde_json::{Value, json};

use crate::helpers::{client, models, pictures, program::Program, put, stores::s3_variables};

/// A server that speaks S3 as far as is needed here, keeps nothing, and notes what it is asked for. It refuses objects, and never
/// answers for a part.
struct Refusing {
    url: String,
    /// Method, address and, but for objects and parts, the body.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::default());
        let notes = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| answer(request, Arc::clone(&notes)));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, asked }
    }

    /// The first request that is as it should be, once it is there.
    async fn until(&self, is_it: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let asked = self.asked.lock().unwrap().clone();
            if let Some(found) = asked.iter().find(|request| is_it(request)) {
                return found.clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{asked:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn answer(request: Request, notes: Arc<Mutex<Vec<String>>>) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    if asked.starts_with("PUT") {
        notes.lock().unwrap().push(asked.clone());
        if asked.contains("partNumber=") {
            std::future::pending::<()>().await;
        }
        return http::StatusCode::BAD_REQUEST.into_response();
    }
    let begins = asked.starts_with("POST") && asked.contains("?uploads");
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    notes.lock().unwrap().push(format!("{asked} {}", String::from_utf8_lossy(&body)));
    let upload = "<InitiateMultipartUploadResult><UploadId>the-upload</UploadId></InitiateMultipartUploadResult>";
    if begins { upload.into_response() } else { http::StatusCode::NO_CONTENT.into_response() }
}

/// The program over that store, with these arguments.
async fn serve(store: &Refusing, folder: &std::path::Path, arguments: &[&str]) -> (Program, Client) {
    put(&folder.join("models"), "colours", &models::colours());
    let variables = s3_variables(&store.url);
    let (models, database) = (folder.join("models"), folder.join("test.db"));
    let own = ["--models", models.to_str().unwrap(), "--database", database.to_str().unwrap(), "--job-lease-s", "1"];
    let (program, client) = (Program::serve(&[&own, arguments].concat(), &variables), client());
    program.until_ready(&client).await;
    (program, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_which_the_store_does_not_say_that_it_has_it_is_deleted() {
    let (store, folder) = (Refusing::start().await, tempfile::tempdir().unwrap());
    let (program, client) = serve(&store, folder.path(), &["--job-files", "s3://bucket/jobs"]).await;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("red.png", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut archive, &pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let request = client.post(program.url("/v1/jobs?model=colours")).header("content-type", "application/zip");
    let response = request.body(archive.finish().unwrap().into_inner()).send().await.unwrap();
    assert_eq!(response.status(), 503, "{}", response.text().await.unwrap());
    let put = store.until(|asked| asked.starts_with("PUT")).await;
    let key = put.split("/bucket/").nth(1).unwrap().split('?').next().unwrap();
    store.until(|asked| asked.contains("delete") && asked.contains(key)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_results_that_are_no_longer_written_are_thrown_away() {
    let (store, folder) = (Refusing::start().await, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("red.png"), pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let photos = format!("file://{}", folder.path().display());
    let settings = ["--job-sources", &photos, "--job-outputs", "s3://bucket/results"];
    let (program, client) = serve(&store, folder.path(), &settings).await;
    // Names make the results larger than what is written as a whole.
    let line =
        |index: u32| json!({"url": format!("{photos}/red.png"), "name": format!("{index}{}", "x".repeat(1 << 20))});
    let list: String = (0..12).map(|index| format!("{}\n", line(index))).collect();
    let job = async |output: &str| -> String {
        let url = program.url(&format!("/v1/jobs?model=colours&output=s3://bucket/results/{output}"));
        let request = client.post(url).header("content-type", "application/x-ndjson").body(list.clone());
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        made["id"].as_str().unwrap().to_owned()
    };
    let begun = |output: &'static str| move |asked: &str| asked.starts_with("PUT") && asked.contains(output);
    let ended = |output: &'static str| {
        move |asked: &str| {
            asked.starts_with("DELETE") && asked.contains(output) && asked.contains("uploadId=the-upload")
        }
    };
    let cancelled = job("cancelled.jsonl").await;
    store.until(begun("cancelled.jsonl")).await;
    let cancel = client.post(program.url(&format!("/v1/jobs/{cancelled}/cancel"))).send().await.unwrap();
    assert_eq!(cancel.status(), 200);
    store.until(ended("cancelled.jsonl")).await;

    // So it is where the server stops.
    job("stopped.jsonl").await;
    store.until(begun("stopped.jsonl")).await;
    assert!(tokio::task::block_in_place(|| program.stop()).success());
    store.until(ended("stopped.jsonl")).await;
}
