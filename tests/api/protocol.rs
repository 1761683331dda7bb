//! The Open Inference Protocol (V2), asked by its own unmodified clients and byte by byte.

use std::{collections::BTreeSet, io::Write as _, path::Path, process::Command};

use flate2::{Compression, write::GzEncoder};
use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};
use tagpoint::{model::ModelFile, picture::ResizeMethod, serve::Settings};

use crate::{
    documentation::{documented, guarded, status_without_body},
    helpers::{App, database::TestDatabase, models, pictures, put, put_version},
};

const HEADER_LENGTH: &str = "inference-header-content-length";

/// What the clients' scripts ask: two versions of `colours`, and a model that is refused.
async fn protocol_app() -> App {
    let refused = ModelFile { bytes: Vec::new(), ..models::colours() };
    let files = [
        ("best", models::best_colour()),
        ("points", models::points(ResizeMethod::Crop)),
        ("slow", models::slow(1)),
        ("refused", refused),
    ];
    App::start_with(&[], |settings| {
        settings.versions = 2;
        settings.max_pictures = 4;
        settings.max_body = 100_000;
        put_version(&settings.models, "colours", 1, &models::colours());
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-2.0));
        files.iter().for_each(|(name, file)| put(&settings.models, name, file));
    })
    .await
}

/// Runs a script of tests/protocol against the application.
#[allow(clippy::print_stdout, reason = "says what was skipped")]
async fn ask_by(script: &str, app: &App) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".deps/python/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is absent: scripts/test-environment", python.display());
        println!("skipped: {} is absent: scripts/test-environment makes it", python.display());
        return;
    }
    let mut command = Command::new(python);
    command.arg("-B").arg(root.join("tests/protocol").join(script)).arg(app.address.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocols_http_client_is_served() {
    ask_by("over_http.py", &protocol_app().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocols_grpc_client_is_served_on_the_same_port() {
    ask_by("over_grpc.py", &protocol_app().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocols_clients_are_told_what_is_remembered_of_their_pictures() {
    let database = TestDatabase::sqlite().await;
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.database = database.setting();
        settings.record.share = 1.0;
    })
    .await;
    ask_by("remembered.py", &app).await;
}

/// The error text of a response, after checking what holds for every error of the protocol.
async fn failed(response: Response, status: u16) -> String {
    let found = response.status().as_u16();
    let headers = response.headers().clone();
    let body: Value = response.json().await.unwrap();
    assert_eq!(found, status, "{body}");
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers.contains_key("x-request-id"));
    let members = body.as_object().unwrap();
    assert_eq!(members.len(), 1, "{body}");
    members["error"].as_str().unwrap().to_owned()
}

async fn post(app: &App, path: &str, body: impl Into<reqwest::Body>, headers: &[(&'static str, &str)]) -> Response {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    // A refusal before the body is read closes the connection, so each request has its own.
    let request = app.client.post(app.url(path)).header("connection", "close");
    request.headers(headers).body(body).send().await.unwrap()
}

#[tokio::test]
async fn every_error_under_v2_has_the_protocols_form_the_frameworks_own_too() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| settings.max_body = 1000).await;
    failed(app.get("/v2/nowhere").await, 404).await;
    failed(app.get("/v2/models/%ff").await, 404).await;
    let response = app.get("/v2/models/colours/infer").await;
    assert_eq!(response.headers()["allow"], "POST");
    failed(response, 405).await;
    let text = failed(post(&app, "/v2/models/colours/infer", vec![b' '; 1001], &[]).await, 413).await;
    assert!(text.contains("1000 bytes"), "{text}");
    failed(post(&app, "/v2/models/colours/infer", "{", &[]).await, 400).await;
    failed(post(&app, "/v2/models/colours/infer", "{}", &[(HEADER_LENGTH, "two")]).await, 400).await;
    failed(post(&app, "/v2/models/colours/infer", "{}", &[("content-encoding", "br")]).await, 501).await;
    failed(post(&app, "/v2/models/colours/infer", "no gzip", &[("content-encoding", "gzip")]).await, 400).await;
    failed(app.get("/v2/models/colours/versions/latest").await, 404).await;
    let text = failed(post(&app, "/v2/repository/index", "[true]", &[]).await, 400).await;
    assert!(text.contains("expected an object"), "{text}");
}

#[tokio::test]
async fn a_body_that_expands_beyond_the_limit_is_a_413() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| settings.max_body = 100_000).await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..1000 {
        gzip.write_all(&[b' '; 10_000]).unwrap();
    }
    let small = gzip.finish().unwrap();
    assert!(small.len() < 20_000);
    let response = post(&app, "/v2/models/colours/infer", small, &[("content-encoding", "gzip")]).await;
    failed(response, 413).await;
}

#[tokio::test]
async fn a_whole_body_may_be_one_picture() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(20, 10, [255, 0, 128]);
    let response = post(&app, "/v2/models/colours/infer", picture.clone(), &[(HEADER_LENGTH, "0")]).await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["outputs"][0]["shape"], json!([1, 3]));
    let scores = body["outputs"][0]["data"].as_array().unwrap();
    let v1 = app.answer("colours/predict?all=true", &picture).await;
    for label in v1["labels"].as_array().unwrap() {
        let place = ["red", "green", "blue"].iter().position(|name| label["label"] == *name).unwrap();
        assert_eq!(label["score"], scores[place]);
    }
}

#[tokio::test]
async fn a_number_that_json_cannot_say_is_refused_there_and_sent_in_binary() {
    let app = App::start(&[("odd", &models::undefined_for_black())]).await;
    let data = vec![0_u8; 8 * 8 * 3];
    let request = |binary: bool| {
        let outputs = json!([{"name": "scores", "parameters": {"binary_data": binary}}]);
        let input = json!({"name": "image", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": data});
        json!({"inputs": [input], "outputs": outputs}).to_string()
    };
    let text = failed(post(&app, "/v2/models/odd/infer", request(false), &[]).await, 400).await;
    assert!(text.contains("NaN") && text.contains("binary"), "{text}");
    let response = post(&app, "/v2/models/odd/infer", request(true), &[]).await;
    assert_eq!(response.status(), 200);
    let json_length: usize = response.headers()[HEADER_LENGTH].to_str().unwrap().parse().unwrap();
    let body = response.bytes().await.unwrap();
    let numbers = body[json_length..].as_chunks::<4>().0;
    assert!(numbers.len() == 3 && numbers.iter().all(|bytes| f32::from_le_bytes(*bytes).is_nan()));
}

#[tokio::test]
async fn a_picture_that_fails_is_no_client_that_went_away() {
    let app = App::start(&[("slow", &models::slow(1))]).await;
    let files = [b"no picture".to_vec(), pictures::pattern(64, 1)];
    let data = files.map(|file| [&u32::try_from(file.len()).unwrap().to_le_bytes()[..], &file].concat()).concat();
    let json = json!({"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES",
        "parameters": {"binary_data_size": data.len()}}]});
    let (json, length) = (json.to_string(), json.to_string().len().to_string());
    let body = [json.into_bytes(), data].concat();
    let response = post(&app, "/v2/models/slow/infer", body, &[(HEADER_LENGTH, &length)]).await;
    assert!(response.status().is_client_error(), "{}", response.status());
    let page = app.get("/metrics").await.text().await.unwrap();
    assert!(!page.contains("client_gone"), "{page}");
}

/// A request for `slow` with so many pictures of its own size.
fn slow_request(pictures: usize) -> (Vec<u8>, String) {
    let pixels = pictures * 64 * 64 * 3;
    let json = json!({"inputs": [{"name": "image", "shape": [pictures, 64, 64, 3], "datatype": "UINT8",
        "parameters": {"binary_data_size": pixels}}]});
    let json = json.to_string();
    let length = json.len().to_string();
    ([json.into_bytes(), vec![7; pixels]].concat(), length)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_a_503_that_says_when_to_come_again() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        settings.queue_limit = 4;
        settings.max_batch = 1;
    })
    .await;
    let (body, length) = slow_request(4);
    let headers = [(HEADER_LENGTH, length.as_str())];
    let ask = |_| post(&app, "/v2/models/slow/infer", body.clone(), &headers);
    let responses = futures_util::future::join_all((0..12).map(ask)).await;
    let (answered, refused): (Vec<_>, Vec<_>) = responses.into_iter().partition(|response| response.status() == 200);
    assert!(!answered.is_empty() && !refused.is_empty());
    for response in refused {
        assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
        let text = failed(response, 503).await;
        assert!(text.contains("already wait for model \"slow\""), "{text}");
    }
    // These would find no place for all of them, however often they came.
    let (body, length) = slow_request(5);
    let too_many = post(&app, "/v2/models/slow/infer", body, &[(HEADER_LENGTH, &length)]).await;
    let text = failed(too_many, 400).await;
    assert!(text.contains("has 5 pictures; a request may have 4"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_status_under_v2_occurs() {
    let refused = ModelFile { bytes: Vec::new(), ..models::colours() };
    let models = [("colours", models::colours()), ("refused", refused), ("slow", models::slow(1))];
    let models: Vec<_> = models.iter().map(|(name, file)| (*name, file)).collect();
    let small = |settings: &mut Settings| settings.max_body = 60_000;
    let app = App::start_with(&models, small).await;
    let mut seen = BTreeSet::new();
    let mut see = |operation: &str, response: Response| {
        seen.insert((operation.to_owned(), response.status().as_str().to_owned()));
    };
    see("v2_live", app.get("/v2/health/live").await);
    see("v2_ready", app.get("/v2/health/ready").await);
    see("v2_server", app.get("/v2/").await);
    see("v2_all_statistics", app.get("/v2/models/stats").await);
    for (operation, page) in
        [("v2_model", ""), ("v2_model_ready", "/ready"), ("v2_config", "/config"), ("v2_statistics", "/stats")]
    {
        for model in ["colours", "nothing", "refused"] {
            see(operation, app.get(&format!("/v2/models/{model}{page}")).await);
            let by_version = app.get(&format!("/v2/models/{model}/versions/1{page}")).await;
            see(&format!("{operation}_version"), by_version);
        }
    }
    let large = vec![b' '; 60_001];
    let br = [("content-encoding", "br")];
    for (operation, path) in [("v2_index", "/v2/repository/index"), ("v2_load", "/v2/repository/models/colours/load")] {
        see(operation, post(&app, path, "", &[]).await);
        see(operation, post(&app, path, "{", &[]).await);
        see(operation, post(&app, path, large.clone(), &[]).await);
        see(operation, post(&app, path, "{}", &br).await);
    }
    see("v2_load", post(&app, "/v2/repository/models/nothing/load", "", &[]).await);
    let hasty = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.request_timeout = std::time::Duration::from_millis(300);
    })
    .await;
    let mut late = BTreeSet::new();
    for (operation, path) in [
        ("v2_index", "/v2/repository/index"),
        ("v2_load", "/v2/repository/models/colours/load"),
        ("v2_infer", "/v2/models/colours/infer"),
        ("v2_infer_version", "/v2/models/colours/versions/1/infer"),
    ] {
        late.insert((operation.to_owned(), status_without_body(&hasty, "POST", path, 1000).await));
    }
    let (body, length) = slow_request(4);
    let hurried =
        String::from_utf8_lossy(&body[..length.parse().unwrap()]).replacen('{', r#"{"parameters":{"timeout":1},"#, 1);
    let hurried_length = hurried.len().to_string();
    let hurried = [hurried.as_bytes(), &body[length.parse().unwrap()..]].concat();
    for (operation, of_version) in [("v2_infer", ""), ("v2_infer_version", "/versions/1")] {
        let infer = |model: &str| format!("/v2/models/{model}{of_version}/infer");
        let picture = pictures::plain(4, 4, [1, 1, 1]);
        see(operation, post(&app, &infer("colours"), picture, &[(HEADER_LENGTH, "0")]).await);
        see(operation, post(&app, &infer("colours"), "{", &[]).await);
        see(operation, post(&app, &infer("colours"), large.clone(), &[]).await);
        see(operation, post(&app, &infer("colours"), "{}", &br).await);
        see(operation, post(&app, &infer("nothing"), "{}", &[]).await);
        see(operation, post(&app, &infer("refused"), "{}", &[]).await);
        see(operation, post(&app, &infer("slow"), hurried.clone(), &[(HEADER_LENGTH, &hurried_length)]).await);
    }
    for model in ["colours", "nothing"] {
        see("v2_unload", post(&app, &format!("/v2/repository/models/{model}/unload"), "", &[]).await);
    }
    let whole = App::start(&[]).await;
    see("v2_ready", whole.get("/v2/health/ready").await);
    let ready = App::start(&[("best", models[0].1)]).await;
    see("v2_ready", ready.get("/v2/health/ready").await);
    // Threads that end, and faults of ours, are asserted beside the code.
    let beside_the_code = [("v2_live", "503"), ("v2_infer", "500"), ("v2_infer_version", "500")];
    seen.extend(beside_the_code.map(|(operation, status)| (operation.to_owned(), status.to_owned())));
    seen.extend(guarded(true).await);
    seen.extend(late);
    assert_eq!(seen, documented(true));
}
