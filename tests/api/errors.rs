//! Everything that goes wrong is a problem document.

use crate::helpers::{App, models, pictures, problem};

#[tokio::test]
async fn what_is_not_there_is_a_404() {
    let app = App::start(&[("colours", &models::colours())]).await;
    problem(app.get("/nowhere").await, 404, "no-such-path").await;
    problem(app.get("/docs/nowhere.js").await, 404, "no-such-path").await;
    problem(app.get("/v1/models/%ff").await, 404, "no-such-path").await;
    let body = problem(app.get("/v1/models/scenes").await, 404, "unknown-model").await;
    assert!(body["detail"].as_str().unwrap().contains("\"scenes\""));
    let picture = pictures::plain(4, 4, [0, 0, 0]);
    problem(app.predict("scenes/predict", &picture).send().await.unwrap(), 404, "unknown-model").await;
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_names_the_right_ones() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let response = app.get("/v1/models/colours/predict").await;
    assert_eq!(response.headers()["allow"], "POST");
    problem(response, 405, "method-not-allowed").await;
    let response = app.client.delete(app.url("/v1/models")).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "GET,HEAD");
    problem(response, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_does_not_fit_is_named() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [0, 0, 0]);
    for (query, name) in [
        ("verbose=1", "verbose"),
        ("all=yes", "all"),
        ("threshold=1.5", "threshold"),
        ("threshold=NaN", "threshold"),
        ("threshold=", "threshold"),
        ("top_k=0", "top_k"),
        ("top_k=-1", "top_k"),
        ("top_k=1&top_k=2", "top_k"),
        ("all=true&Top_k=1", "Top_k"),
    ] {
        let response = app.predict(&format!("colours/predict?{query}"), &picture).send().await.unwrap();
        let body = problem(response, 400, "parameter").await;
        assert_eq!(body["parameter"], name, "{query}");
        assert!(body["detail"].as_str().unwrap().contains(name), "{query}");
    }
    for path in ["/v1/models?page=2", "/v1/models/colours?page=2"] {
        assert_eq!(problem(app.get(path).await, 400, "parameter").await["parameter"], "page");
    }
}

#[tokio::test]
async fn a_picture_that_is_empty_or_broken_is_a_422_that_says_why() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let response = app.predict("colours/predict", b"").send().await.unwrap();
    let body = problem(response, 422, "picture-empty").await;
    assert!(body["detail"].as_str().unwrap().contains("0 bytes"));
    let whole = pictures::pattern(32, 1);
    let response = app.predict("colours/predict", &whole[..whole.len() / 2]).send().await.unwrap();
    problem(response, 422, "picture-broken").await;
}

#[tokio::test]
async fn what_is_over_a_limit_is_a_413() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.picture.max_side = 100;
        settings.picture.max_bytes = 5_000;
        settings.max_body = 10_000;
    })
    .await;
    let response = app.predict("colours/predict", &pictures::plain(101, 1, [0, 0, 0])).send().await.unwrap();
    problem(response, 413, "picture-too-large").await;
    let response = app.predict("colours/predict", &[0; 5_001]).send().await.unwrap();
    problem(response, 413, "picture-too-large").await;
    let response = app.predict("colours/predict", &[0; 10_001]).send().await.unwrap();
    let body = problem(response, 413, "body-too-large").await;
    assert!(body["detail"].as_str().unwrap().contains("10000 bytes"));
    let (status, body) = app.form("colours/predict", &[("1", &[0; 6_000]), ("2", &[0; 6_000])]).await;
    assert_eq!((status, &body["type"]), (413, &"urn:tagpoint:problem:body-too-large".into()));
}

#[tokio::test]
async fn a_format_or_body_that_is_not_taken_is_a_415() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let avif = include_bytes!("../fixtures/pictures/unsupported/picture.avif");
    for (name, bytes, how) in [
        ("HEIC", &b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"[..], "`magick photo.heic photo.jpg`"),
        ("AVIF", avif, "`magick photo.avif photo.jpg`"),
    ] {
        let response = app.predict("colours/predict", bytes).send().await.unwrap();
        let body = problem(response, 415, "picture-format").await;
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("{name} is not supported")) && detail.contains(how), "{detail}");
    }
    let url = app.url("/v1/models/colours/predict");
    for content_type in ["application/x-www-form-urlencoded", "text/plain", "video/mp4"] {
        let request = app.client.post(&url).header("content-type", content_type).body("x");
        problem(request.send().await.unwrap(), 415, "media-type").await;
    }
}

#[tokio::test]
async fn a_model_without_an_answer_is_a_500_that_does_not_tell_the_cause() {
    let app = App::start(&[("odd", &models::undefined_for_black())]).await;
    app.answer("odd/predict?all=true", &pictures::plain(4, 4, [1, 2, 3])).await;
    let response = app.predict("odd/predict", &pictures::plain(4, 4, [0, 0, 0])).send().await.unwrap();
    let body = problem(response, 500, "internal").await;
    assert_eq!(body["detail"], "internal error");
}
