//! The list of models, and readiness.

use serde_json::{Value, json};
use tagpoint::model::ModelFile;

use crate::helpers::{App, label_names, models, pictures, problem, put};

#[tokio::test]
async fn the_list_names_every_model_by_name() {
    let (colours, redness) = (models::colours(), models::redness());
    let app = App::start(&[("redness", &redness), ("colours", &colours)]).await;
    let list: Value = app.get("/v1/models").await.json().await.unwrap();
    let version = |file: &ModelFile, task: &str| {
        json!({"version": "1", "state": "ready", "digest": format!("sha256:{}", file.digest), "task": task, "checked": true,
        "precision": "fp32", "precision_reason": "it has no INT8 file"})
    };
    let model = |name: &str, version: Value| {
        let mut model = json!({"name": name, "versions": [version.clone()]});
        model.as_object_mut().unwrap().extend(version.as_object().unwrap().clone());
        model
    };
    let expected = [model("colours", version(&colours, "multi_label")), model("redness", version(&redness, "values"))];
    assert_eq!(list, json!({"models": expected}));
}

#[tokio::test]
async fn a_models_page_tells_its_labels_and_thresholds() {
    let app = App::start(&[("colours", &models::colours()), ("redness", &models::redness())]).await;
    let model: Value = app.get("/v1/models/colours").await.json().await.unwrap();
    assert_eq!(model["state"], "ready");
    assert_eq!(
        model["labels"][0],
        json!({"name": "red", "threshold": 0.5, "thresholds": {"balanced": 0.5}, "train_count": 30, "valid_count": 10})
    );
    assert_eq!(model["input"], json!({"width": 8, "height": 8, "resize": "squish"}));
    assert_eq!(model["metrics"], json!({"fp32": {"map": 0.5}}));
    let model: Value = app.get("/v1/models/redness").await.json().await.unwrap();
    assert_eq!(model["names"], json!(["redness"]));
    assert!(model.get("labels").is_none());
}

#[tokio::test]
async fn the_highest_version_is_served() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "red", &models::redness());
    models::colours().write(&folder.path().join("red/10/model.onnx")).unwrap();
    models::redness().write(&folder.path().join("red/9/model.onnx")).unwrap();
    let app = App::start_with(&[], |settings| settings.models = folder.path().to_owned()).await;
    let answer = app.answer("red/predict", &pictures::plain(4, 4, [255, 0, 0])).await;
    assert_eq!(answer["version"], "10");
    assert_eq!(label_names(&answer), ["red"]);
}

#[tokio::test]
async fn while_models_load_the_server_answers_that_it_is_not_ready() {
    let app = App::start_loading(&[("slow", &models::slow(200))], |_| {}).await;
    problem(app.get("/readyz").await, 503, "not-ready").await;
    let response = app.predict("slow/predict", &pictures::plain(4, 4, [0, 0, 0])).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    problem(response, 503, "not-ready").await;
    assert_eq!(app.get("/healthz").await.status(), 200);
    app.models.loaded().await;
    assert_eq!(app.get("/readyz").await.json::<Value>().await.unwrap(), json!({"status": "ready"}));
    app.answer("slow/predict", &pictures::plain(4, 4, [0, 0, 0])).await;
}

#[tokio::test]
async fn a_server_without_models_is_not_ready_and_says_why() {
    let app = App::start(&[]).await;
    let body = problem(app.get("/readyz").await, 503, "not-ready").await;
    assert_eq!(body["detail"], "there is no model");
    let app = App::start_with(&[], |settings| settings.models = "no/such/folder".into()).await;
    let body = problem(app.get("/readyz").await, 503, "not-ready").await;
    assert!(body["detail"].as_str().unwrap().contains("no/such/folder"), "{body}");
    assert_eq!(app.get("/v1/models").await.json::<Value>().await.unwrap(), json!({"models": []}));
}
