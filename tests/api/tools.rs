//! The program's tools: answers without a server, what lies in a folder, and load.

use std::process::{Command, Output};

use serde_json::Value;

use crate::helpers::{App, models, pictures, put, put_version};

fn tagpoint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagpoint")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn predict_answers_as_the_server_does_and_names_what_it_cannot_answer() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let folder = app.folder.path();
    let (good, bad) = (folder.join("red.png"), folder.join("notes.txt"));
    let picture = pictures::plain(4, 6, [255, 90, 0]);
    std::fs::write(&good, &picture).unwrap();
    std::fs::write(&bad, "this is text").unwrap();
    let paths = [good.to_str().unwrap(), bad.to_str().unwrap()];
    let output = tagpoint(&["predict", "colours", paths[0], paths[1], "--models", folder.to_str().unwrap(), "--all"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("1 of 2 pictures have no answer"), "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let served = app.answer("colours/predict?all=true", &picture).await;
    assert_eq!((&lines[0]["labels"], &lines[0]["picture"]), (&served["labels"], &served["picture"]));
    assert_eq!(lines[0]["file"], paths[0]);
    assert!(lines[1]["error"].as_str().unwrap().contains("format is not known"), "{}", lines[1]);
    let unknown = tagpoint(&["predict", "nothing", paths[0], "--models", folder.to_str().unwrap()]);
    assert!(text(&unknown.stderr).contains("neither a file nor a model"), "{}", text(&unknown.stderr));
}

#[test]
fn models_tells_what_lies_in_a_folder_and_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    put(folder.path(), "redness", &models::redness());
    put_version(folder.path(), "redness", 2, &models::redness());
    std::fs::write(folder.path().join("redness/2/model.onnx"), "this is no model").unwrap();
    let output = tagpoint(&["models", "--models", folder.path().to_str().unwrap()]);
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[1].starts_with("colours") && lines[1].contains("multi_label") && lines[1].contains("8x8"),
        "{}",
        lines[1]
    );
    assert!(lines[3].contains("cannot be read") && lines[3].contains("not an ONNX file"), "{}", lines[3]);
}

#[test]
fn config_prints_each_setting_with_its_source() {
    let output = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .args(["config", "--max-batch", "4"])
        .env("TAGPOINT_QUEUE_LIMIT", "9")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("max_batch = 4 # flag --max-batch"), "{said}");
    assert!(said.contains("queue_limit = 9 # environment TAGPOINT_QUEUE_LIMIT"), "{said}");
    assert!(said.contains("listen = \"127.0.0.1:8000\" # default"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_counts_answers_by_status() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = app.folder.path().join("red.png");
    std::fs::write(&picture, pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let bench = async |path: &str| {
        let (url, picture) = (app.url(path), picture.to_str().unwrap().to_owned());
        let arguments =
            ["bench", &url, &picture, "--seconds", "0.3", "--warm-up", "0.1", "--connections", "3", "--json"];
        let arguments = arguments.map(str::to_owned);
        let run = move || tagpoint(&arguments.each_ref().map(String::as_str));
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_str::<Value>(text(&output.stdout)).unwrap()
    };
    let summary = bench("/v1/models/colours/predict").await;
    assert!(summary["answered_per_second"].as_f64().unwrap() > 0.0, "{summary}");
    assert_eq!(summary["statuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["200"]);
    let summary = bench("/v1/models/nothing/predict").await;
    assert_eq!(summary["answered_per_second"], 0.0);
    assert!(summary["statuses"]["404"]["count"].as_u64().unwrap() > 0, "{summary}");
}
