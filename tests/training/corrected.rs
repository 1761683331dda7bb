//! The whole circle on real pictures: answers are corrected, the corrections train the next version, which is tried beside
//! the one that answers and takes its place.

use std::{path::Path, process::Command};

use image::{RgbImage, imageops};
use serde_json::{Value, json};
use tagpoint::{
    picture::{Detail, Limits, Picture},
    serve::Settings,
    store::Database,
};

use crate::{
    Server,
    program::{tagpoint_train, text},
    root,
};

/// Parts of a sample picture, each as a PNG of its own.
fn parts(sample: &str, count: u32) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(root().join("samples").join(sample)).unwrap();
    let whole = Picture::decode(&bytes, &Limits::default(), Detail::Full).unwrap();
    let image = RgbImage::from_raw(whole.size.width, whole.size.height, whole.rgb).unwrap();
    let side = whole.size.width.min(whole.size.height) * 3 / 4;
    let (free_x, free_y) = (whole.size.width - side, whole.size.height - side);
    let part = |i: u32| {
        let (x, y) = (free_x * (i % 4) / 3, free_y * (i / 4) / 3);
        let mut png = std::io::Cursor::new(Vec::new());
        imageops::crop_imm(&image, x, y, side, side).to_image().write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    };
    (0..count).map(part).collect()
}

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let request = reqwest::Client::new().post(format!("http://{}{path}", server.address)).json(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}: {}", response.text().await.unwrap());
    response.json().await.unwrap()
}

/// Answers pictures and corrects the answers.
async fn teach(server: &Server, pictures: &[Vec<u8>], truth: &Value) {
    for picture in pictures {
        let answer = server.predict("scenes/predict", picture.clone()).await;
        let id = answer["prediction_id"].as_str().unwrap();
        post(server, &format!("/v1/predictions/{id}/feedback"), truth).await;
    }
}

fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).to_owned()
}

fn train(table: &Path, first: &Path, out: &Path) {
    let [table, first, out] = [table, first, out].map(|path| path.to_str().unwrap());
    let mut arguments = vec!["fit", "--data", table, "--weights", first, "--out", out, "--arch", "mobilenet_v2"];
    arguments.extend(["--size", "96", "--valid-pct", "0.25", "--freeze-epochs", "1", "--epochs", "1"]);
    arguments.extend(["--batch-size", "8"]);
    let output = tagpoint_train(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_of_real_pictures_become_the_version_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (models, database) = (folder.path().join("models"), folder.path().join("test.db"));
    let (kept, set) = (folder.path().join("kept"), folder.path().join("set"));
    let first = models.join("scenes/1/model.onnx");
    std::fs::create_dir_all(first.parent().unwrap()).unwrap();
    std::fs::copy(root().join("models/scenes/1/model.onnx"), &first).unwrap();
    let mut settings = Settings { models: models.clone(), versions: 2, ..Settings::default() };
    settings.database = Database::Sqlite(database.clone());
    settings.record.share = 1.0;
    settings.record.pictures = Some(kept.to_str().unwrap().to_owned());
    let server = Server::start_with(settings).await;
    let (cats, faces) = (parts("scenes.jpg", 12), parts("faces.jpg", 12));
    teach(&server, &cats, &json!({"labels": ["cat"]})).await;
    teach(&server, &faces, &json!({"labels": ["person"]})).await;

    let mut export = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
    export.args(["feedback", "export", "--model", "scenes", "--out"]).arg(&set);
    export.arg("--database").arg(&database).arg("--record-pictures").arg(&kept);
    assert!(succeed(&mut export).contains("24 pictures"));
    train(&set.join("labels.csv"), &first, &models.join("scenes"));

    post(&server, "/v1/admin/models/scenes/versions/1/promote", &json!({})).await;
    post(&server, "/v1/admin/models/scenes/versions/2/load", &json!({})).await;
    let url = format!("http://{}/v1/admin/models/scenes/shadow", server.address);
    let trial = reqwest::Client::new().put(url).json(&json!({"version": "2", "share": 1})).send().await.unwrap();
    assert_eq!(trial.status(), 200);
    for picture in &cats {
        assert_eq!(server.predict("scenes/predict", picture.clone()).await["version"], "1");
    }
    let report = loop {
        let url = format!("http://{}/v1/models/scenes/versions/2/shadow", server.address);
        let report: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        if report["pictures"] == 12 {
            break report;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!((&report["failed"], &report["dropped"]), (&json!(0), &json!(0)), "{report}");
    let mut outputs = report["outputs"].as_object().unwrap().values();
    assert!(outputs.any(|output| output["max"].as_f64().unwrap() > 0.0), "{report}");
    post(&server, "/v1/admin/models/scenes/versions/2/promote", &json!({})).await;
    let answer = server.predict("scenes/predict?all=true", cats[0].clone()).await;
    assert_eq!(answer["version"], "2");
    // What training saw of the two kinds of pictures is what the new version tells apart.
    assert_eq!(answer["labels"][0]["label"], "cat", "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_of_real_pictures_change_a_threshold_and_a_rollback_changes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings { models: root().join("models"), ..Settings::default() };
    settings.database = Database::Sqlite(folder.path().join("test.db"));
    settings.record.share = 1.0;
    let server = Server::start_with(settings).await;
    let (cats, faces) = (parts("scenes.jpg", 12), parts("faces.jpg", 12));
    teach(&server, &cats, &json!({"labels": ["cat"]})).await;
    teach(&server, &faces, &json!({"labels": ["person"]})).await;
    let threshold = async || {
        let answer = server.predict("scenes/predict?all=true", cats[0].clone()).await;
        let cat = answer["labels"].as_array().unwrap().iter().find(|label| label["label"] == "cat").unwrap();
        (answer["thresholds_revision"].clone(), cat["threshold"].as_f64().unwrap())
    };
    let before = threshold().await;
    let fitted = post(&server, "/v1/admin/models/scenes/thresholds/refit", &json!({})).await;
    let cat = fitted["labels"].as_array().unwrap().iter().find(|label| label["label"] == "cat").unwrap();
    assert_eq!((&cat["positives"], &cat["negatives"]), (&json!(12), &json!(12)));
    let new = cat["thresholds"]["balanced"]["threshold"].as_f64().unwrap();
    assert_ne!(new, before.1);
    assert_eq!(threshold().await, (json!(1), new));
    post(&server, "/v1/admin/models/scenes/thresholds/rollback", &json!({})).await;
    assert_eq!(threshold().await, before);
    server.stop().await;
}
