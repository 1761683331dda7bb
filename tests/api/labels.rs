//! Answers with labels and values.

use serde_json::json;

use crate::helpers::{App, label_names, models, pictures};

/// Much red, enough green, and blue below its threshold of .9.
const RED_AND_GREEN: [u8; 3] = [250, 150, 170];

#[tokio::test]
async fn a_picture_is_answered_with_the_labels_that_reach_their_own_thresholds() {
    let file = models::colours();
    let app = App::start(&[("colours", &file)]).await;
    let answer = app.answer("colours/predict", &pictures::plain(20, 10, RED_AND_GREEN)).await;
    assert_eq!(label_names(&answer), ["red", "green"]);
    assert_eq!(answer["model"], "colours");
    assert_eq!(answer["version"], "1");
    assert_eq!(answer["digest"], format!("sha256:{}", file.digest));
    assert_eq!(answer["task"], "multi_label");
    assert_eq!(answer["picture"], json!({"width": 20, "height": 10}));
    assert_eq!(answer["batch_size"], 1);
    // sigmoid(8 · 250 / 255 − 4), and red's own threshold.
    let red = &answer["labels"][0];
    assert!((red["score"].as_f64().unwrap() - 0.979_03).abs() < 1e-4, "{red}");
    assert_eq!(red["threshold"], 0.5);
    for stage in ["decode", "queue", "inference", "total"] {
        assert!(answer["timings_ms"][stage].as_f64().unwrap() >= 0.0, "{stage}");
    }
}

#[tokio::test]
async fn no_label_is_a_normal_answer() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let answer = app.answer("colours/predict", &pictures::plain(4, 4, [0, 0, 0])).await;
    assert_eq!(answer["labels"], json!([]));
}

#[tokio::test]
async fn parameters_choose_among_the_labels() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(20, 10, RED_AND_GREEN);
    for (query, expected) in [
        ("all=true", vec!["red", "blue", "green"]),
        ("all=false", vec!["red", "green"]),
        ("threshold=0.75", vec!["red", "blue"]),
        ("threshold=1", vec![]),
        ("top_k=1", vec!["red"]),
        ("all=true&top_k=2", vec!["red", "blue"]),
    ] {
        let answer = app.answer(&format!("colours/predict?{query}"), &picture).await;
        assert_eq!(label_names(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn a_single_label_model_always_answers_its_best_label() {
    let app = App::start(&[("best", &models::best_colour())]).await;
    let dark = pictures::plain(4, 4, [0, 0, 1]);
    assert_eq!(label_names(&app.answer("best/predict", &dark).await), ["blue"]);
    assert_eq!(label_names(&app.answer("best/predict?threshold=0.99", &dark).await), ["blue"]);
    assert_eq!(label_names(&app.answer("best/predict?top_k=2", &dark).await), ["blue", "red"]);
    let answer = app.answer("best/predict", &dark).await;
    assert_eq!(answer["task"], "single_label");
    assert!(answer["labels"][0].get("threshold").is_none());
}

#[tokio::test]
async fn a_values_model_answers_named_numbers() {
    let app = App::start(&[("redness", &models::redness())]).await;
    let answer = app.answer("redness/predict", &pictures::plain(4, 4, [42, 0, 0])).await;
    assert_eq!(answer["values"], json!([{"name": "redness", "value": 42.0}]));
    assert_eq!(answer["task"], "values");
}

#[tokio::test]
async fn an_answer_carries_its_timing_and_the_clients_request_id() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [0, 0, 0]);
    let request = app.predict("colours/predict", &picture).header("x-request-id", "order-17");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "order-17");
    let timing = response.headers()["server-timing"].to_str().unwrap().to_owned();
    let stages: Vec<&str> = timing.split(", ").map(|stage| stage.split_once(";dur=").unwrap().0).collect();
    assert_eq!(stages, ["decode", "queue", "inference", "total"]);
    assert_eq!(response.json::<serde_json::Value>().await.unwrap()["request_id"], "order-17");

    let response = app.predict("colours/predict", &picture).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn the_type_of_a_raw_body_may_be_any_picture_type_or_missing() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let url = app.url("/v1/models/colours/predict");
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    for content_type in ["image/png", "image/jpeg", "IMAGE/PNG; x=y", "application/octet-stream"] {
        let request = app.client.post(&url).header("content-type", content_type).body(picture.clone());
        assert_eq!(request.send().await.unwrap().status(), 200, "{content_type}");
    }
    assert_eq!(app.client.post(&url).body(picture).send().await.unwrap().status(), 200);
}
