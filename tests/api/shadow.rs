//! A version on trial.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tagpoint::serve::Settings;

use crate::helpers::{App, models, pictures, problem, put_version};

async fn report_of(app: &App, model: &str) -> Value {
    app.get(&format!("/v1/models/{model}/versions/2/shadow")).await.json().await.unwrap()
}

async fn report_after(app: &App, pictures: u64) -> Value {
    loop {
        let report = report_of(app, "colours").await;
        let seen: u64 = ["pictures", "dropped", "failed"].iter().map(|key| report[key].as_u64().unwrap()).sum();
        if seen >= pictures {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_shadow_sees_its_share_and_its_differences_are_reported_by_label_and_never_sent() {
    let app = App::start_with(&[], |settings| {
        put_version(&settings.models, "colours", 1, &models::shifted_colours(-4.0));
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-3.0));
    })
    .await;
    app.change(Method::POST, "models/colours/versions/1/promote").await;
    let url = app.url("/v1/admin/models/colours/shadow");
    let on_trial = app.client.put(&url).json(&json!({"version": "2", "share": 0.5})).send().await.unwrap();
    assert_eq!(on_trial.status(), 200);
    let body: Value = on_trial.json().await.unwrap();
    assert_eq!(body["model"]["shadow"], json!({"version": "2", "share": 0.5}));

    // Red is 8 · 120 / 255 − 4 = −.235 by version 1 and .765 by version 2: below and above its threshold.
    let picture = pictures::plain(4, 4, [120, 255, 0]);
    for _ in 0..20 {
        assert_eq!(app.answer("colours/predict", &picture).await["version"], "1");
    }
    let report = report_after(&app, 10).await;
    assert_eq!((&report["against"], &report["pictures"]), (&json!("1"), &json!(10)));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let logit = 8.0 * 120.0 / 255.0 - 4.0;
    let red = &report["outputs"]["red"];
    let expected = sigmoid(logit + 1.0) - sigmoid(logit);
    assert!((red["mean"].as_f64().unwrap() - expected).abs() < 1e-5, "{report}");
    assert!((red["max"].as_f64().unwrap() - expected).abs() < 1e-5, "{report}");
    assert_eq!((&red["disagreements"], &report["outputs"]["green"]["disagreements"]), (&json!(10), &json!(0)));

    // A version that a request names has no shadow, and a trial that has ended sees nothing.
    app.answer("colours/versions/2/predict", &picture).await;
    let after = app.change(Method::DELETE, "models/colours/shadow").await;
    assert!(after.get("shadow").is_none());
    app.answer("colours/predict", &picture).await;
    app.answer("colours/predict", &picture).await;
    assert_eq!(report_after(&app, 10).await["pictures"], 10);
}

/// A server whose version 1 answers, and whose version 2 is shown every picture.
async fn on_trial(adjust: impl FnOnce(&mut Settings)) -> App {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-3.0));
        adjust(settings);
    })
    .await;
    app.change(Method::POST, "models/colours/versions/1/promote").await;
    let url = app.url("/v1/admin/models/colours/shadow");
    assert_eq!(app.client.put(url).json(&json!({"version": "2", "share": 1})).send().await.unwrap().status(), 200);
    app
}

#[tokio::test]
async fn a_picture_that_there_is_no_memory_for_is_not_shown() {
    let app = on_trial(|settings| (settings.picture.max_bytes, settings.max_body) = (128 << 20, 128 << 20)).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    // 64 MiB is what the pictures of all trials may take; nothing is read behind a PNG's end.
    let mut large = picture.clone();
    large.resize(65 << 20, 0);
    app.answer("colours/predict", &large).await;
    app.answer("colours/predict", &picture).await;
    let report = report_after(&app, 2).await;
    assert_eq!((&report["pictures"], &report["dropped"]), (&json!(1), &json!(1)), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_leave_half_of_the_decoding_threads_to_clients() {
    let app = on_trial(|settings| settings.decode_threads = 2).await;
    let large = pictures::plain(6000, 6000, [255, 0, 0]);
    let of = |answer: &Value, stage: &str| answer["timings_ms"][stage].as_f64().unwrap();
    // Where all threads were taken, the small one would wait for as long every time.
    for round in 1.. {
        let (one, two) = tokio::join!(app.answer("colours/predict", &large), app.answer("colours/predict", &large));
        // Both are to be decoded for version 2 now, which takes as long again.
        let small = app.answer("colours/predict", &pictures::plain(4, 4, [255, 0, 0])).await;
        let decoding = of(&one, "decode").min(of(&two, "decode"));
        assert_eq!(report_after(&app, 3 * round).await["pictures"], 3 * round);
        if of(&small, "queue") < decoding / 4.0 {
            break;
        }
        assert!(round < 5, "{} of {decoding} ms", of(&small, "queue"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_leave_half_of_their_versions_queue_to_clients_also_as_it_is_promoted() {
    let app = App::start_with(&[("slow", &models::quick())], |settings| {
        put_version(&settings.models, "slow", 2, &models::slow(1));
        (settings.max_batch, settings.queue_limit) = (1, 4);
    })
    .await;
    app.change(Method::POST, "models/slow/versions/1/promote").await;
    let url = app.url("/v1/admin/models/slow/shadow");
    assert_eq!(app.client.put(url).json(&json!({"version": "2", "share": 1})).send().await.unwrap().status(), 200);
    let picture = pictures::pattern(64, 1);
    // Once one more is dropped, version 2 has as many of its pictures as it may.
    let until_one_is_dropped = async |before: u64| loop {
        assert_eq!(app.answer("slow/predict", &picture).await["version"], "1");
        let dropped = report_of(&app, "slow").await["dropped"].as_u64().unwrap();
        if dropped > before {
            return dropped;
        }
    };
    let asked_meanwhile = async {
        let mut dropped = 0;
        for _ in 0..5 {
            dropped = until_one_is_dropped(dropped).await;
            app.answer("slow/versions/2/predict", &picture).await;
        }
        until_one_is_dropped(dropped).await
    };
    tokio::time::timeout(Duration::from_secs(120), asked_meanwhile).await.expect("version 2 follows");
    app.change(Method::POST, "models/slow/versions/2/promote").await;
    let (one, two) = tokio::join!(app.answer("slow/predict", &picture), app.answer("slow/predict", &picture));
    assert_eq!((&one["version"], &two["version"]), (&json!("2"), &json!("2")));
}

#[tokio::test]
async fn a_trial_needs_a_version_that_is_there_and_a_share_that_is_one() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let url = app.url("/v1/admin/models/colours/shadow");
    let put = async |body: Value| app.client.put(&url).json(&body).send().await.unwrap();
    problem(put(json!({"version": "2", "share": 0.5})).await, 404, "unknown-version").await;
    for body in [json!({"version": "1", "share": 0}), json!({"version": "1"}), json!({"version": "1", "share": 2})] {
        problem(put(body).await, 400, "body").await;
    }
    problem(put(json!(["1", 0.5])).await, 400, "body").await;
}
