//! JSON bodies: base64, and URLs of a real server on this machine.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::Response;
use serde_json::{Value, json};
use tagpoint::serve::{FetchRules, Scheme, Settings};

use crate::helpers::{App, label_names, models, origin::Origin, pictures, problem};

async fn post(app: &App, body: &Value) -> Response {
    app.client.post(app.url("/v1/models/colours/predict")).json(body).send().await.unwrap()
}

/// Settings that allow pictures from these origins.
fn allow(origins: &[&Origin]) -> impl FnOnce(&mut Settings) {
    let ports = origins.iter().map(|origin| origin.address.port()).collect();
    move |settings| {
        settings.fetch = Some(FetchRules {
            schemes: vec![Scheme::Http],
            ports,
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            max_bytes: 10_000,
            timeout: Duration::from_secs(30),
            ..FetchRules::default()
        });
    }
}

#[tokio::test]
async fn one_picture_as_base64_is_answered_as_its_bytes_are() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let red = BASE64.encode(pictures::plain(6, 4, [255, 0, 0]));
    for image in [red.clone(), format!("data:image/png;base64,{red}")] {
        let response = post(&app, &json!({ "image": image })).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!((label_names(&answer), &answer["picture"]["width"]), (vec!["red"], &json!(6)));
    }
}

#[tokio::test]
async fn several_pictures_are_answered_in_their_order_with_each_failure_in_its_place() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let green = BASE64.encode(pictures::plain(4, 4, [0, 255, 0]));
    let pictures = json!({"images": [
        {"image": green, "name": "green.png"}, {"image": "bm8gcGljdHVyZQ=="}, {"image": "%"}, {"url": "https://example.com/"},
    ]});
    let response = post(&app, &pictures).await;
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    let results = body["results"].as_array().unwrap();
    assert_eq!((label_names(&results[0]), &results[0]["file"]), (vec!["green"], &json!("green.png")));
    let problems: Vec<_> = results[1..].iter().map(|result| (&result["file"], &result["error"]["type"])).collect();
    let kind = |kind: &str| json!(format!("urn:tagpoint:problem:{kind}"));
    assert_eq!(problems[0], (&json!("images[1]"), &kind("picture-format")));
    assert_eq!(problems[1], (&json!("images[2]"), &kind("body")));
    assert_eq!(problems[2], (&json!("images[3]"), &kind("url-off")));
}

#[tokio::test]
async fn a_json_body_that_does_not_fit_is_a_400_that_says_why() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| settings.max_pictures = 1).await;
    let body = problem(post(&app, &json!({"picture": "YQ=="})).await, 400, "body").await;
    assert!(body["detail"].as_str().unwrap().contains("unknown field `picture`"), "{body}");
    problem(post(&app, &json!({"image": "?"})).await, 400, "body").await;
    problem(post(&app, &json!({"url": "https://example.com/a.jpg"})).await, 400, "url-off").await;
    problem(post(&app, &json!({"images": []})).await, 422, "no-picture").await;
    problem(post(&app, &json!({"images": [{"image": ""}, {"image": ""}]})).await, 413, "too-many-pictures").await;
    problem(post(&app, &json!({"image": ""})).await, 422, "picture-empty").await;
}

#[tokio::test]
async fn a_picture_by_its_url_is_answered_through_a_redirect() {
    let picture = Origin::picture(pictures::plain(4, 4, [255, 0, 0])).await;
    let moved =
        Origin::saying(format!("HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", picture.url())).await;
    let app = App::start_with(&[("colours", &models::colours())], allow(&[&picture, &moved])).await;
    let answer: Value = post(&app, &json!({"url": moved.url()})).await.json().await.unwrap();
    assert_eq!(label_names(&answer), ["red"]);
    let list = json!({"images": [{"url": picture.url(), "name": "a"}, {"url": "http://10.0.0.1/"}]});
    let body: Value = post(&app, &list).await.json().await.unwrap();
    assert_eq!(label_names(&body["results"][0]), ["red"]);
    assert_eq!(body["results"][1]["error"]["type"], "urn:tagpoint:problem:url-refused");
}

#[tokio::test]
async fn a_url_that_gives_no_picture_says_whose_fault_it_is() {
    let missing = Origin::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let large = Origin::picture(vec![0; 10_001]).await;
    let silent = Origin::saying("").await;
    let slow = Origin::silent().await;
    let app = App::start_with(&[("colours", &models::colours())], allow(&[&missing, &large, &silent])).await;
    let by_url = async |url: String| post(&app, &json!({ "url": url })).await;
    let body = problem(by_url(missing.url()).await, 502, "url-host").await;
    assert!(body["detail"].as_str().unwrap().contains("404"), "{body}");
    problem(by_url(silent.url()).await, 502, "url-host").await;
    problem(by_url(large.url()).await, 413, "picture-too-large").await;
    problem(by_url("http://127.0.0.1:1/".to_owned()).await, 400, "url-refused").await;
    problem(by_url("file:///etc/passwd".to_owned()).await, 400, "url-refused").await;
    problem(by_url("what".to_owned()).await, 400, "url-refused").await;
    let hurried = App::start_with(&[("colours", &models::colours())], |settings| {
        allow(&[&slow])(settings);
        if let Some(rules) = &mut settings.fetch {
            rules.timeout = Duration::from_millis(500);
        }
    })
    .await;
    problem(post(&hurried, &json!({"url": slow.url()})).await, 504, "url-timeout").await;
}

#[tokio::test]
async fn what_is_fetched_has_the_time_of_its_request() {
    let slow = Origin::silent().await;
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        allow(&[&slow])(settings);
        settings.fetch.as_mut().unwrap().timeout = Duration::from_secs(30);
    })
    .await;
    let url = app.url("/v1/models/colours/predict?timeout=0.3");
    let images = [json!({"url": slow.url()}), json!({"url": slow.url()})];
    let begun = std::time::Instant::now();
    let response = app.client.post(url).json(&json!({ "images": images })).send().await.unwrap();
    let body = problem(response, 504, "deadline-exceeded").await;
    assert_eq!(body["results"].as_array().unwrap().len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(10));
}
