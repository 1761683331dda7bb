//! Keys: who is let in, how often, and that no key or picture is written anywhere.

use std::path::Path;

use reqwest::{RequestBuilder, StatusCode};
use tagpoint::serve::{Settings, parse_keys};

use crate::helpers::{App, models, pictures, problem, program::Program, put};

const PREDICT: &str = "the-key-of-the-website";
const ADMIN: &str = "the-key-of-an-operator";

/// Keys of the environment: one for each scope.
fn two_keys(settings: &mut Settings) {
    settings.access.keys = parse_keys(&format!("website:predict:{PREDICT} operator:admin:{ADMIN}")).unwrap();
}

/// Writes a file of keys whole.
fn write(path: &Path, text: &str) {
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

fn file_entry(name: &str, scopes: &str, key: &str) -> String {
    format!("[[key]]\nname = \"{name}\"\nscopes = [{scopes}]\nkey = \"{key}\"\n")
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn with_keys_a_request_needs_one_in_either_header() {
    let app = App::start_with(&[("colours", &models::colours())], two_keys).await;
    let red = pictures::plain(4, 4, [255, 0, 0]);
    let request = || app.predict("colours/predict", &red);
    assert_eq!(status(request().bearer_auth(PREDICT)).await, 200);
    assert_eq!(status(request().header("x-api-key", PREDICT)).await, 200);
    for refused in [request(), request().bearer_auth("another key"), request().basic_auth("website", Some(PREDICT))] {
        let response = refused.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"tagpoint\"");
        let body = problem(response, 401, "unauthorized").await;
        assert!(body["detail"].as_str().unwrap().contains("x-api-key"), "{body}");
    }
    assert_eq!(status(app.client.get(app.url("/v1/models"))).await, 401);
    assert_eq!(status(app.client.get(app.url("/nothing/here"))).await, 401);
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_one_is_missing() {
    let app = App::start_with(&[("colours", &models::colours())], two_keys).await;
    let response = app.client.get(app.url("/v1/models")).bearer_auth(ADMIN).send().await.unwrap();
    let body = problem(response, 403, "forbidden").await;
    assert!(body["detail"].as_str().unwrap().contains("\"predict\""), "{body}");
    let response = app.client.get(app.url("/v1/admin/models")).bearer_auth(PREDICT).send().await.unwrap();
    let body = problem(response, 403, "forbidden").await;
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("\"admin\"") && detail.contains("\"website\""), "{body}");
}

#[tokio::test]
async fn what_watches_the_process_and_documents_it_needs_no_key() {
    let app = App::start_with(&[("colours", &models::colours())], two_keys).await;
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs/"] {
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_key_used_too_often_is_told_when_it_may_come_again() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        two_keys(settings);
        settings.access.rate = Some("0.01/2".parse().unwrap());
    })
    .await;
    let request = || app.client.get(app.url("/v1/models")).bearer_auth(PREDICT);
    assert_eq!((status(request()).await, status(request()).await), (StatusCode::OK, StatusCode::OK));
    let response = request().send().await.unwrap();
    let wait: u32 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    let body = problem(response, 429, "rate-limit").await;
    assert!(body["detail"].as_str().unwrap().contains("\"website\""), "{body}");
    // The other key has an account of its own.
    assert_eq!(status(app.client.get(app.url("/v1/admin/models")).bearer_auth(ADMIN)).await, 404);
}

#[tokio::test]
async fn wrong_keys_are_told_to_wait_and_a_right_one_never_is() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        two_keys(settings);
        settings.access.wrong_rate = Some("0.01/3".parse().unwrap());
    })
    .await;
    let asked = |key: &str| app.client.get(app.url("/v1/models")).bearer_auth(key);
    for i in 0..3 {
        problem(asked(&format!("a-wrong-key-number-{i}")).send().await.unwrap(), 401, "unauthorized").await;
    }
    for i in 3..6 {
        let response = asked(&format!("a-wrong-key-number-{i}")).send().await.unwrap();
        let wait: u32 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=100).contains(&wait), "{wait}");
        problem(response, 429, "wrong-keys").await;
        assert_eq!(status(asked(PREDICT)).await, 200);
    }
    // Neither scope, nor the other interfaces, nor a request without a key is anything else.
    let metadata = app.client.get(app.url("/v2")).header("x-api-key", "a-wrong-key-for-v2").send().await.unwrap();
    assert_eq!(
        (metadata.status(), metadata.headers().contains_key("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, true)
    );
    assert!(metadata.json::<serde_json::Value>().await.unwrap()["error"].as_str().unwrap().contains("wrong"));
    assert_eq!(status(app.client.get(app.url("/v1/models"))).await, 401);
    assert_eq!(status(app.client.get(app.url("/v1/admin/models")).bearer_auth(PREDICT)).await, 403);
}

#[tokio::test]
async fn a_changed_file_of_keys_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    write(&path, &file_entry("first", "\"predict\"", PREDICT));
    let keys_file = path.clone();
    let app = App::start_with(&[], |settings| {
        settings.access.keys_file = Some(keys_file);
        // It is asked again and again with a key that is not known yet.
        settings.access.wrong_rate = None;
    })
    .await;
    let asked = async |key: &str| status(app.client.get(app.url("/v1/models")).bearer_auth(key)).await;
    assert_eq!((asked(PREDICT).await, asked(ADMIN).await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    write(&path, "[[key]]\nname = ");
    write(&path, &file_entry("second", "\"predict\", \"admin\"", ADMIN));
    while asked(ADMIN).await != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(asked(PREDICT).await, 401);
    write(&path, "this is no file of keys");
    tokio::time::sleep(std::time::Duration::from_millis(2200)).await;
    assert_eq!(asked(ADMIN).await, 200);
}

#[tokio::test]
async fn a_file_of_keys_that_is_not_usable_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [("", "no key"), ("[[key]]\nname = \"a\"", "missing field"), ("\u{0}", "keys.toml")] {
        let path = folder.path().join("keys.toml");
        write(&path, text);
        let app = App::start_loading(&[], |settings| settings.access.keys_file = Some(path)).await;
        let error = app.task.await.unwrap().unwrap_err().to_string();
        assert!(error.starts_with("keys_file: ") && error.contains(expected), "{error}");
    }
}

/// The real program at its most talkative: what it writes has neither a key nor a picture in it.
#[tokio::test]
async fn no_key_and_no_picture_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let path = folder.path().join("keys.toml");
    write(&path, &file_entry("website", "\"predict\"", PREDICT));
    let keys = format!("operator:admin:{ADMIN}");
    let variables = [("RUST_LOG", "trace"), ("TAGPOINT_KEYS", keys.as_str())];
    let arguments = ["--models", folder.path().to_str().unwrap(), "--keys-file", path.to_str().unwrap()];
    let program = Program::serve(&arguments, &variables);
    let client = crate::helpers::client();
    let url = |path: &str| program.url(path);
    let picture = "cGljdHVyZSBjb250ZW50";
    for request in [
        client.get(url("/v1/models")).bearer_auth(PREDICT),
        client.get(url("/v1/models")).header("x-api-key", "a-wrong-key-of-some-length"),
        client.get(url("/v1/admin/models")).header("x-api-key", ADMIN),
        client
            .post(url("/v1/models/colours/predict"))
            .bearer_auth(PREDICT)
            .json(&serde_json::json!({"image": picture})),
        client
            .post(url("/v1/models/colours/predict"))
            .bearer_auth(PREDICT)
            .json(&serde_json::json!({"images": picture})),
        client.post(url("/v1/models/colours/predict")).bearer_auth(PREDICT).body("picture content"),
    ] {
        request.send().await.unwrap();
    }
    write(&path, &format!("[[key]]\nkey = \"{PREDICT}\"\nname = {ADMIN}"));
    while !program.log().contains("those read before stay") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let written = program.log();
    assert!(written.contains("\"key\":\"website\""), "the key's name is in the request's span: {written}");
    for secret in [PREDICT, ADMIN, "a-wrong-key", picture, "picture content"] {
        let line = written.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}
