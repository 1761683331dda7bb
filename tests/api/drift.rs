//! Drift: live scores beside those that the model file has of its validation pictures.

use reqwest::Method;
use serde_json::{Value, json};
use tagpoint::{model::ModelFile, picture::ResizeMethod};

use crate::helpers::{App, models, pictures, problem, put_version};

fn red(value: u8) -> Vec<u8> {
    pictures::plain(4, 4, [value, 0, 0])
}

/// Reds of 0, 10, … 190: two in each tenth of the scores, and seven that are named, from 130 on.
fn validation() -> Vec<Vec<u8>> {
    (0..20).map(|i| red(10 * i)).collect()
}

fn validated() -> ModelFile {
    models::validated(models::colours(), &validation())
}

/// Answers as many pictures of each of these reds.
async fn answer(app: &App, reds: impl Iterator<Item = u8> + Clone, times: usize) {
    for _ in 0..times {
        for value in reds.clone() {
            app.answer("colours/predict", &red(value)).await;
        }
    }
}

/// A report, which has to be a 200, and its label red.
async fn drift(app: &App, path: &str) -> (Value, Value) {
    let response = app.get(&format!("/v1/models/{path}")).await;
    let status = response.status();
    let report: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{report}");
    let first = report["labels"].get(0).cloned().unwrap_or_default();
    (report, first)
}

fn near(found: &Value, expected: f64) {
    assert!((found.as_f64().unwrap() - expected).abs() < 1e-6, "{found}, not {expected}");
}

/// A label's gauge on the page of metrics, if it is there.
async fn gauge(app: &App, name: &str, label: &str) -> Option<f64> {
    let page = app.get("/metrics").await.text().await.unwrap();
    let series = format!("tagpoint_drift_{name}{{model=\"colours\",version=\"1\",label=\"{label}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}

#[tokio::test]
async fn pictures_like_those_of_validation_have_not_drifted() {
    let app = App::start(&[("colours", &validated())]).await;
    // Each red is a little darker than one of validation, and lies in the same bin.
    answer(&app, (0..20_u8).map(|i| (10 * i).saturating_sub(1)), 5).await;
    let (report, red) = drift(&app, "colours/drift").await;
    assert_eq!((&report["model"], &report["version"]), (&json!("colours"), &json!("1")));
    assert_eq!((&report["state"], &report["hours"]), (&json!("compared"), &json!(24)), "{report}");
    assert_eq!((&report["pictures"], &report["validation_pictures"]), (&json!(100), &json!(20)));
    assert!(report.get("reason").is_none());
    assert_eq!(red["label"], "red");
    near(&red["psi"], 0.0);
    // Nine degrees of freedom: 21.666 · (1/20 + 1/100).
    near(&red["psi_by_chance"], 1.299_96);
    near(&red["live_rate"], 0.35);
    near(&red["validation_rate"], 0.35);
    let bins = red["bins"].as_array().unwrap();
    assert_eq!(bins.len(), 10);
    for bin in bins {
        assert_eq!((&bin["live"], &bin["validation"]), (&json!(0.1), &json!(0.1)), "{red}");
    }
    assert_eq!(bins[9]["upper"], 1.0);
    // No picture has any green: one bin says nothing of drift.
    let green = &report["labels"][1];
    assert_eq!(green["bins"], json!([{"upper": 1.0, "live": 1.0, "validation": 1.0}]));
    assert!(green["psi"] == 0.0 && green.get("psi_by_chance").is_none(), "{green}");
}

#[tokio::test]
async fn brighter_pictures_have_drifted_by_what_a_hand_computes_and_prometheus_is_told() {
    let app = App::start(&[("colours", &validated())]).await;
    answer(&app, std::iter::once(250), 99).await;
    let (report, few) = drift(&app, "colours/drift").await;
    assert_eq!(report["state"], "too_few_pictures");
    assert!(report["reason"].as_str().unwrap().starts_with("99 pictures"), "{report}");
    assert!(few.get("psi").is_none() && few["live_rate"] == 1.0, "{few}");
    assert_eq!((gauge(&app, "psi", "red").await, gauge(&app, "live_rate", "red").await), (None, Some(1.0)));

    answer(&app, std::iter::once(250), 1).await;
    let (report, red) = drift(&app, "colours/drift?hours=1&version=1").await;
    assert_eq!((&report["state"], &report["hours"]), (&json!("compared"), &json!(1)));
    // Shares of validation 2.5/25 in each of ten bins; live .5/105 in nine of them and 100.5/105 in the last.
    let (empty, full) = (0.5 / 105.0_f64, 100.5 / 105.0_f64);
    let expected = 9.0 * (empty - 0.1) * (empty / 0.1).ln() + (full - 0.1) * (full / 0.1).ln();
    assert!((expected - 4.545_69).abs() < 1e-5);
    near(&red["psi"], expected);
    near(&red["live_rate"], 1.0);
    near(&red["validation_rate"], 0.35);
    let of_red = |name: &'static str| gauge(&app, name, "red");
    assert!((of_red("psi").await.unwrap() - expected).abs() < 1e-6);
    assert!((of_red("psi_by_chance").await.unwrap() - 1.299_96).abs() < 1e-6);
    assert_eq!((of_red("live_rate").await, of_red("validation_rate").await), (Some(1.0), Some(0.35)));
    let page = app.get("/metrics").await.text().await.unwrap();
    assert!(page.contains("\ntagpoint_drift_pictures{model=\"colours\",version=\"1\"} 100\n"), "{page}");
}

#[tokio::test]
async fn pictures_of_every_interface_are_counted_and_failures_are_not() {
    let app = App::start(&[("colours", &validated())]).await;
    let picture = red(250);
    app.form("colours/predict", &[("a.png", &picture), ("b.txt", b"this is text"), ("c.png", &picture)]).await;
    app.answer("colours/versions/1/predict", &picture).await;
    let whole = app.client.post(app.url("/v2/models/colours/infer")).header("inference-header-content-length", "0");
    assert_eq!(whole.body(picture.clone()).send().await.unwrap().status(), 200);
    assert_eq!(drift(&app, "colours/drift").await.0["pictures"], 4);
}

#[tokio::test]
async fn of_a_single_label_model_the_best_label_counts() {
    let (reds, greens) = ([red(200), red(220)], [[0, 210, 0], [0, 230, 0]].map(|colour| pictures::plain(4, 4, colour)));
    let app = App::start(&[("colours", &models::validated(models::best_colour(), &[reds, greens].concat()))]).await;
    answer(&app, std::iter::once(210), 100).await;
    let (report, red) = drift(&app, "colours/drift").await;
    assert_eq!(report["state"], "compared", "{report}");
    near(&red["live_rate"], 1.0);
    near(&red["validation_rate"], 0.5);
    near(&report["labels"][1]["live_rate"], 0.0);
    assert!(red["psi"].as_f64().unwrap() > 0.25, "{report}");
}

#[tokio::test]
async fn what_cannot_be_compared_says_why() {
    let points = models::points(ResizeMethod::Squish);
    let app = App::start(&[("colours", &models::colours()), ("points", &points)]).await;
    answer(&app, std::iter::once(250), 1).await;
    let (report, red) = drift(&app, "colours/drift").await;
    assert_eq!((&report["state"], &report["pictures"]), (&json!("no_reference"), &json!(1)));
    assert!(report["reason"].as_str().unwrap().contains("tagpoint-train"), "{report}");
    assert!(report.get("validation_pictures").is_none() && red.get("psi").is_none());
    assert_eq!((&red["live_rate"], red["bins"].as_array().unwrap().len()), (&json!(1.0), 10));
    near(&red["bins"][9]["live"], 1.0);
    assert!(red["bins"][9].get("validation").is_none());
    assert_eq!(gauge(&app, "psi", "red").await, None);

    app.answer("points/predict", &pictures::plain(4, 4, [250, 0, 0])).await;
    let (report, _) = drift(&app, "points/drift").await;
    assert_eq!(report["state"], "no_labels");
    assert!(report["reason"].as_str().unwrap().contains("answers points"), "{report}");
    assert!(report.get("labels").is_none());
}

#[tokio::test]
async fn each_version_counts_its_own_answers_and_none_as_a_shadow() {
    let app = App::start_with(&[("colours", &validated())], |settings| {
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-2.0));
        settings.versions = 2;
    })
    .await;
    app.change(Method::POST, "models/colours/versions/1/promote").await;
    let url = app.url("/v1/admin/models/colours/shadow");
    let trial = json!({"version": "2", "share": 1});
    assert_eq!(app.client.put(url).json(&trial).send().await.unwrap().status(), 200);
    answer(&app, std::iter::once(250), 5).await;
    assert_eq!(drift(&app, "colours/drift").await.0["pictures"], 5);
    app.change(Method::DELETE, "models/colours/shadow").await;
    app.answer("colours/versions/2/predict", &red(250)).await;
    let (report, _) = drift(&app, "colours/drift?version=2").await;
    assert_eq!((&report["version"], &report["pictures"]), (&json!("2"), &json!(1)));
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    let app = App::start(&[("colours", &validated())]).await;
    for (query, name) in [("hours=0", "hours"), ("hours=25", "hours"), ("hours=x", "hours"), ("day=1", "day")] {
        let body = problem(app.get(&format!("/v1/models/colours/drift?{query}")).await, 400, "parameter").await;
        assert_eq!(body["parameter"], name);
    }
    problem(app.get("/v1/models/nothing/drift").await, 404, "unknown-model").await;
    problem(app.get("/v1/models/colours/drift?version=x").await, 404, "unknown-version").await;
}

#[test]
fn a_file_is_written_as_the_oldest_version_that_has_what_it_says() {
    assert_eq!((models::colours().manifest.schema_version, validated().manifest.schema_version), (1, 2));
    let mut manifest = validated().manifest;
    if let Some(reference) = &mut manifest.score_reference {
        reference.labels[0].counts[0] += 1;
    }
    let wrong = manifest.validate().unwrap_err();
    assert!(wrong.contains("score_reference: 21 pictures counted"), "{wrong}");
}
