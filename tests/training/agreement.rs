//! The same pixels give the same outputs, to 1e-4, through the trainer's evaluate, through the server, and through ONNX
//! Runtime in Python on the bare file.

use std::{path::Path, process::Command};

use tagpoint::model::{ModelFile, Task};

use crate::{Server, root, shapes};

const TOLERANCE: f64 = 1e-4;

fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(env!("CARGO_TARGET_TMPDIR")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Trains for two epochs on drawn shapes and gives the model's folder.
fn train(folder: &Path, table: &str, task: &str) -> std::path::PathBuf {
    let out = folder.join("models").join(task);
    let csv = folder.join(table);
    let mut arguments = vec!["fit", "--data", csv.to_str().unwrap(), "--out", out.to_str().unwrap(), "--task", task];
    arguments.extend(["--arch", "mobilenet_v2", "--weights", "none", "--size", "96x72", "--lr", "5e-3"]);
    arguments.extend(["--freeze-epochs", "1", "--epochs", "1", "--batch-size", "16"]);
    if task == "points" {
        arguments.push("--no-flip");
    }
    run(env!("CARGO_BIN_EXE_tagpoint-train"), &arguments);
    out.join("1/model.onnx")
}

/// File name and outputs of each validation picture, as the trainer's evaluate gives them.
fn evaluated(model: &Path, csv: &Path) -> Vec<(String, Vec<f64>)> {
    let outputs = csv.with_extension("outputs");
    let paths = [model, csv, &outputs].map(|path| path.to_str().unwrap());
    run(env!("CARGO_BIN_EXE_tagpoint-train"), &["evaluate", paths[0], "--data", paths[1], "--outputs", paths[2]]);
    let text = std::fs::read_to_string(&outputs).unwrap();
    let row = |line: &str| {
        let (file, values) = line.split_once(',').unwrap();
        (file.to_owned(), values.split(',').map(|value| value.parse().unwrap()).collect())
    };
    text.lines().map(row).collect()
}

/// The outputs of ONNX Runtime in Python for the pixels that `tagpoint pixels` writes.
fn in_python(folder: &Path, model: &Path, files: &[String], size: &str) -> Option<Vec<Vec<f64>>> {
    let python = root().join(".deps/python/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is absent: scripts/test-environment", python.display());
        println!("skipped: {} is absent: scripts/test-environment makes it", python.display());
        return None;
    }
    let script = root().join("scripts/run-onnx");
    let mut arguments = vec![script.to_str().unwrap().to_owned(), model.to_str().unwrap().to_owned()];
    for file in files {
        let pixels = folder.join(file).with_extension("npy");
        let picture = folder.join("images").join(file);
        let paths = [&picture, &pixels].map(|path| path.to_str().unwrap());
        run(env!("CARGO_BIN_EXE_tagpoint"), &["pixels", paths[0], "--size", size, "-o", paths[1]]);
        arguments.push(paths[1].to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let lines = run(&python, &arguments);
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The server's answers for these pictures.
async fn served(folder: &Path, model: &str, files: &[String], query: &str) -> Vec<serde_json::Value> {
    let server = Server::start(folder.join("models")).await;
    let mut answers = Vec::new();
    for file in files {
        let picture = std::fs::read(folder.join("images").join(file)).unwrap();
        answers.push(server.predict(&format!("{model}/predict{query}"), picture).await);
    }
    server.stop().await;
    answers
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{what}: {found} and {expected}");
    }
}

fn assert_python_agrees(folder: &Path, model: &Path, rows: &[(String, Vec<f64>)], files: &[String]) {
    let Some(outputs) = in_python(folder, model, files, "96x72") else { return };
    assert_eq!(outputs.len(), rows.len());
    for ((file, expected), found) in rows.iter().zip(&outputs) {
        assert_close(&format!("{file} in Python"), found, expected, TOLERANCE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_agree_between_evaluate_server_and_python() {
    let folder = shapes(60);
    let model = train(folder.path(), "labels.csv", "multi-label");
    let rows = evaluated(&model, &folder.path().join("labels.csv"));
    let files: Vec<String> = rows.iter().map(|(file, _)| file.clone()).collect();
    assert_python_agrees(folder.path(), &model, &rows, &files);
    let file = ModelFile::read(&model).unwrap();
    let Task::MultiLabel { labels } = &file.manifest.task else { panic!("another task") };
    for ((name, expected), answer) in rows.iter().zip(served(folder.path(), "multi-label", &files, "?all=true").await) {
        let score = |label: &str| {
            let all = answer["labels"].as_array().unwrap();
            all.iter().find(|entry| entry["label"] == label).unwrap()["score"].as_f64().unwrap()
        };
        let found: Vec<f64> = labels.iter().map(|label| score(&label.name)).collect();
        assert_close(&format!("{name} from the server"), &found, expected, TOLERANCE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn points_agree_between_evaluate_server_and_python() {
    let folder = shapes(60);
    let model = train(folder.path(), "points.csv", "points");
    let rows = evaluated(&model, &folder.path().join("points.csv"));
    let files: Vec<String> = rows.iter().map(|(file, _)| file.clone()).collect();
    assert_python_agrees(folder.path(), &model, &rows, &files);
    for ((name, expected), answer) in rows.iter().zip(served(folder.path(), "points", &files, "").await) {
        let point = &answer["points"][0];
        // −1…1 of the frame, which is the whole picture here, as fractions of the picture.
        let expected = [(expected[0] + 1.0) / 2.0, (expected[1] + 1.0) / 2.0];
        let found = ["x_norm", "y_norm"].map(|key| point[key].as_f64().unwrap());
        assert_close(&format!("{name} from the server"), &found, &expected, TOLERANCE);
        assert!((point["x"].as_f64().unwrap() - 96.0 * found[0]).abs() < 1e-2);
    }
}
