//! What a model is worth, its operating points, and its answers on files: `evaluate`, `thresholds`, `predict`, `inspect`.

use std::{path::Path, process::Output};

use serde_json::Value;
use tagpoint::{
    model::{ModelFile, Task},
    onnx::{ModelProto, calibrate},
};

use crate::{Server, shapes};

fn tagpoint_train(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_tagpoint-train")).args(arguments).output().unwrap()
}

/// The output of a run that has to succeed.
fn succeed(arguments: &[&str]) -> String {
    let output = tagpoint_train(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a run that has to fail.
fn fail(arguments: &[&str]) -> String {
    let output = tagpoint_train(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Trains a small network on a table of drawn shapes; the model's path.
fn fit(folder: &Path, table: &str, more: &[&str]) -> std::path::PathBuf {
    let (csv, out) = (folder.join(table), folder.join("models/shapes"));
    let mut arguments =
        vec!["fit", "--data", text(&csv), "--out", text(&out), "--arch", "resnet18", "--weights", "none"];
    arguments.extend(["--size", "48", "--freeze-epochs", "0", "--epochs", "2", "--lr", "4e-3", "--lr-mult", "1"]);
    let runs = folder.join("run");
    arguments.extend(["--batch-size", "16", "--run-folder", text(&runs)]);
    arguments.extend(more);
    succeed(&arguments);
    out.join("1/model.onnx")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The drawn shapes with another table: the first label, or `none`.
fn write_single_label(folder: &Path) {
    let table = std::fs::read_to_string(folder.join("labels.csv")).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        format!(
            "{},{},{}\n",
            fields[0],
            fields[1].split(' ').next().filter(|l| !l.is_empty()).unwrap_or("none"),
            fields[2]
        )
    };
    std::fs::write(folder.join("classes.csv"), table.lines().map(line).collect::<String>()).unwrap();
}

#[test]
fn evaluate_gives_every_figure_that_fit_recorded_for_the_file_that_it_wrote() {
    let folder = shapes(160);
    let model = fit(folder.path(), "labels.csv", &[]);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("figures.json"));
    let table = succeed(&["evaluate", text(&model), "--data", text(&csv), "--json", text(&out)]);
    assert!(table.contains("threshold") && table.contains("triangle") && table.contains("ROC AUC"), "{table}");
    let found = json(&out);
    let recorded = &ModelFile::read(&model).unwrap().manifest.metrics["fp32"];
    for name in ["map", "accuracy_multi", "f1_micro", "hamming_loss", "roc_auc_macro", "ece", "recall/circle"] {
        let found = found["metrics"][name].as_f64().unwrap();
        assert!((found - recorded[name]).abs() < 1e-5, "{name}: {found}, recorded {}", recorded[name]);
    }
    assert!((found["loss"].as_f64().unwrap() - recorded["loss"]).abs() < 1e-5);
    assert_eq!((found["pictures"].as_u64(), found["labels"].as_array().unwrap().len()), (Some(32), 3));
    let matrix: Vec<u64> = found["labels"][0]["matrix"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_u64().unwrap()))
        .collect();
    assert_eq!(matrix.iter().sum::<u64>(), 32);
    // What drift is told by is of the same pictures, at the same thresholds.
    let manifest = ModelFile::read(&model).unwrap().manifest;
    let reference = manifest.score_reference.as_ref().unwrap();
    assert_eq!((manifest.schema_version, reference.pictures, reference.labels.len()), (2, 32, 3));
    for (label, scores) in found["labels"].as_array().unwrap().iter().zip(&reference.labels) {
        let counts = |name: &str| label["counts"][name].as_u64().unwrap();
        assert_eq!(scores.named, counts("true_positives") + counts("false_positives"), "{label}");
        assert_eq!(scores.counts.iter().sum::<u64>(), 32);
    }

    succeed(&["evaluate", text(&model), "--data", text(&csv), "--json", text(&out), "--split", "all", "--tta", "2"]);
    assert_eq!(json(&out)["pictures"], 160);
    assert!(json(&out)["loss"].is_null(), "the blend of views has no loss");
    let sensitive = ["evaluate", text(&model), "--data", text(&csv), "--json", text(&out), "--operating-point"];
    succeed(&[&sensitive[..], &["sensitive"]].concat());
    // What the file says of the other operating points is what judging at them gives.
    for metric in ["precision", "recall", "f1"] {
        let found = json(&out)["metrics"][format!("{metric}/circle")].as_f64().unwrap();
        let recorded = recorded[&format!("{metric}@sensitive/circle")];
        assert!((found - recorded).abs() < 1e-5, "{metric}: {found}, recorded {recorded}");
    }
    for label in json(&out)["labels"].as_array().unwrap() {
        let counts = |name: &str| label["counts"][name].as_f64().unwrap();
        assert!(counts("true_positives") >= 0.9 * (counts("true_positives") + counts("false_negatives")), "{label}");
    }
    let message = fail(&[&sensitive[..], &["brave"]].concat());
    assert!(message.contains("no operating point \"brave\"; it has balanced, precise, sensitive"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_are_shown_fitted_anew_and_served_as_the_next_version() {
    let folder = shapes(160);
    let model = fit(folder.path(), "labels.csv", &["--no-calibrate", "--operating-point", "strict=precision:.99"]);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    let before = ModelFile::read(&model).unwrap();
    let Task::MultiLabel { labels } = &before.manifest.task else { panic!("another task") };
    assert_eq!(labels[0].thresholds.keys().collect::<Vec<_>>(), ["balanced", "precise", "sensitive", "strict"]);
    let shown = succeed(&["thresholds", text(&model), "--data", text(&csv), "--show"]);
    assert!(shown.contains(&format!("{:.3}", labels[0].thresholds["strict"])), "{shown}");
    assert!(shown.lines().filter(|line| line.contains("sensitive")).count() == 3, "{shown}");

    let arguments = ["thresholds", text(&model), "--data", text(&csv), "--out", text(&out)];
    succeed(&[&arguments[..], &["--operating-point", "balanced=recall:1"]].concat());
    let changed = ModelFile::read(&out.join("2/model.onnx")).unwrap();
    assert_eq!(changed.manifest.graph_digest, before.manifest.graph_digest);
    let Task::MultiLabel { labels: fitted } = &changed.manifest.task else { panic!("another task") };
    assert_eq!(fitted[0].thresholds.keys().collect::<Vec<_>>(), ["balanced", "precise", "sensitive"]);
    assert!(fitted.iter().zip(labels).all(|(new, old)| new.threshold() <= old.threshold()));
    assert!(changed.manifest.metrics["fp32"]["recall_macro"] > 0.999);

    succeed(&[&arguments[..], &["--calibrate", "--split", "all"]].concat());
    let calibrated = ModelFile::read(&out.join("3/model.onnx")).unwrap();
    let graph: ModelProto = prost::Message::decode(calibrated.bytes.as_slice()).unwrap();
    let found = calibrate::find(&graph.graph.unwrap()).unwrap().expect("160 pictures are enough");
    assert_eq!(found.scales.len(), 3);
    let metrics = &calibrated.manifest.metrics["fp32"];
    assert!(metrics["ece_cross_validated"] < metrics["ece_uncalibrated"], "{metrics:?}");
    // The server checks the golden samples before it takes the newest version.
    let server = Server::start(folder.path().join("models")).await;
    let picture = std::fs::read(folder.path().join("images/00000.png")).unwrap();
    let answer = server.predict("shapes/predict?all=true", picture).await;
    assert_eq!(answer["version"], "3", "{answer}");
    // It was fitted on all of these pictures: the server sees no drift in them.
    for place in 1..160 {
        let picture = std::fs::read(folder.path().join(format!("images/{place:05}.png"))).unwrap();
        server.predict("shapes/predict", picture).await;
    }
    let drift = reqwest::get(format!("http://{}/v1/models/shapes/drift", server.address)).await.unwrap();
    let drift: Value = drift.json().await.unwrap();
    assert!(drift["state"] == "compared" && drift["pictures"] == 160 && drift["validation_pictures"] == 160, "{drift}");
    for label in drift["labels"].as_array().unwrap() {
        let number = |name: &str| label[name].as_f64().unwrap();
        assert!(label["bins"].as_array().unwrap().len() > 5 && number("psi") < 0.02, "{label}");
        assert!((number("live_rate") - number("validation_rate")).abs() < 0.02, "{label}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn predict_answers_as_the_server_does_and_gives_broken_pictures_a_line() {
    let folder = shapes(60);
    let model = fit(folder.path(), "labels.csv", &[]);
    let images = folder.path().join("images");
    std::fs::write(images.join("00030.jpg"), b"no picture").unwrap();
    std::fs::write(images.join("notes.txt"), b"passed over").unwrap();
    let out = folder.path().join("answers.jsonl");
    let output = tagpoint_train(&["predict", text(&model), text(&images), "--out", text(&out), "--batch-size", "7"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("1 of 61 pictures"), "{message}");
    let answers = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 61);
    let (broken, rest): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line["error"].is_string());
    assert!(broken[0]["file"].as_str().unwrap().ends_with("00030.jpg"), "{broken:?}");
    let server = Server::start(folder.path().join("models")).await;
    for line in rest.iter().step_by(9) {
        let picture = std::fs::read(line["file"].as_str().unwrap()).unwrap();
        let served = server.predict("shapes/predict", picture).await;
        assert_eq!(line["picture"], served["picture"]);
        let labels = |answer: &Value| -> Vec<(String, f64)> {
            let labels = answer["labels"].as_array().unwrap().iter();
            labels.map(|l| (l["label"].as_str().unwrap().to_owned(), l["score"].as_f64().unwrap())).collect()
        };
        let (ours, theirs) = (labels(line), labels(&served));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(ours.0 == theirs.0 && (ours.1 - theirs.1).abs() < 1e-5, "{ours:?} {theirs:?}");
        }
    }
    server.stop().await;

    let (first, list) = (images.join("00000.png"), folder.path().join("list.txt"));
    std::fs::write(&list, format!("{}\n\n{}\n", text(&first), text(&images.join("absent.png")))).unwrap();
    let more = ["predict", text(&model), text(&first), "--list", text(&list), "--format", "csv", "--tta", "2"];
    let output = tagpoint_train(&more);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("file,labels,circle,square,triangle,error\n"), "{table}");
    assert!(table.lines().nth(3).unwrap().contains("absent.png,,,,,the file cannot be read"), "{table}");
    let all = succeed(&["predict", text(&model), text(&first), "--all", "--top-k", "2"]);
    assert_eq!(serde_json::from_str::<Value>(&all).unwrap()["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn predicted_points_are_pixels_of_the_picture() {
    let folder = shapes(60);
    let model = fit(folder.path(), "points.csv", &["--task", "points"]);
    let (csv, out) = (folder.path().join("points.csv"), folder.path().join("figures.json"));
    for more in [&[][..], &["--tta", "2"]] {
        let arguments = ["evaluate", text(&model), "--data", text(&csv), "--json", text(&out)];
        succeed(&[&arguments[..], more].concat());
        let found = json(&out);
        assert!(found["metrics"]["point_error_px"].is_number(), "{found}");
        assert!(found["metrics"]["pck_05"].is_number(), "{found}");
        let table = succeed(
            &[&["predict", text(&model), text(&folder.path().join("images")), "--format", "csv"], more].concat(),
        );
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("file,circle_x,circle_y,error"));
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            let (x, y): (f64, f64) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
            // Pixels of 96 × 72, not −1…1 of the frame; points of views may come back from beyond the range.
            assert!((-48.0..144.0).contains(&x) && (-36.0..108.0).contains(&y), "{line}");
            assert!(x.abs().max(y.abs()) > 1.5, "{line}");
        }
    }
    let message = fail(&["predict", text(&model), text(&folder.path().join("images")), "--operating-point", "precise"]);
    assert!(message.contains("this model answers points"), "{message}");
    let message = fail(&["thresholds", text(&model), "--data", text(&csv), "--show"]);
    assert!(message.contains("answers points"), "{message}");
}

#[test]
fn a_single_label_model_has_a_confusion_matrix_and_a_temperature() {
    let folder = shapes(160);
    write_single_label(folder.path());
    let model = fit(folder.path(), "classes.csv", &["--task", "single-label"]);
    let (csv, out) = (folder.path().join("classes.csv"), folder.path().join("figures.json"));
    let table = succeed(&["evaluate", text(&model), "--data", text(&csv), "--json", text(&out)]);
    assert!(table.contains("true \\ said"), "{table}");
    let found = json(&out);
    let recorded = &ModelFile::read(&model).unwrap().manifest.metrics["fp32"];
    for name in ["accuracy", "f1_macro", "ece", "recall/none"] {
        assert!((found["metrics"][name].as_f64().unwrap() - recorded[name]).abs() < 1e-5, "{name}");
    }
    let rows = found["confusion_matrix"].as_array().unwrap().iter();
    let cells = rows.flat_map(|row| row.as_array().unwrap().iter().map(|cell| cell.as_u64().unwrap()));
    assert_eq!(cells.sum::<u64>(), 32);
    // A test set says nothing of splits, and may have one class alone.
    let test = folder.path().join("test.csv");
    std::fs::write(&test, "fname,label\n00000.png,none\n00001.png,none\n").unwrap();
    let arguments = ["evaluate", text(&model), "--data", text(&test), "--json", text(&out)];
    assert!(fail(&arguments).contains("--split all"));
    succeed(&[&arguments[..], &["--split", "all"]].concat());
    assert_eq!(json(&out)["pictures"], 2);
    let out = folder.path().join("models/shapes");
    let arguments = ["thresholds", text(&model), "--data", text(&csv), "--out", text(&out), "--split", "all"];
    assert!(fail(&arguments).contains("--calibrate"));
    let told = succeed(&[&arguments[..], &["--calibrate"]].concat());
    assert!(told.contains("temperature") && out.join("2/model.onnx").is_file(), "{told}");
}

#[test]
fn values_are_judged_in_their_own_units() {
    let folder = shapes(60);
    let table = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
    let line = |(place, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').collect();
        let shapes = fields[1].split_whitespace().count();
        let values = if place == 0 { "shapes,millions".to_owned() } else { format!("{shapes},{}", 1_000_000 * shapes) };
        format!("{},{values},{}\n", fields[0], fields[2])
    };
    let csv = folder.path().join("values.csv");
    std::fs::write(&csv, table.lines().enumerate().map(line).collect::<String>()).unwrap();
    // A million has float32 steps of .06: no two runtimes agree on it to 1e-3.
    let model = fit(folder.path(), "values.csv", &["--task", "values"]);
    let out = folder.path().join("figures.json");
    succeed(&["evaluate", text(&model), "--data", text(&csv), "--json", text(&out)]);
    let metrics = &json(&out)["metrics"];
    let value = |name: &str| metrics[name].as_f64().unwrap_or_else(|| panic!("{name} in {metrics}"));
    assert!((value("rmse") - (value("rmse/shapes") + value("rmse/millions")) / 2.0).abs() < 1e-3);
    assert!(value("mae/millions") > 1e4 * value("mae/shapes") && value("r2") <= 1.0);
    // A table of validation pictures alone: the loss is still in the units of training.
    let table = std::fs::read_to_string(&csv).unwrap();
    let lines = table.lines().enumerate().filter(|(place, line)| *place == 0 || line.ends_with(",true"));
    let test = folder.path().join("test.csv");
    std::fs::write(&test, lines.map(|(_, line)| format!("{line}\n")).collect::<String>()).unwrap();
    succeed(&["evaluate", text(&model), "--data", text(&test), "--json", text(&out)]);
    let recorded = ModelFile::read(&model).unwrap().manifest.metrics["fp32"]["loss"];
    let found = json(&out)["loss"].as_f64().unwrap();
    assert!((found - recorded).abs() < 1e-5 * recorded.max(1.0), "{found}, recorded {recorded}");
    let line = succeed(&["predict", text(&model), text(&folder.path().join("images/00000.png"))]);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["values"][1]["name"], "millions");
}

#[test]
fn inspect_says_what_is_in_a_file() {
    let model = crate::root().join("models/faces/1/model.onnx");
    let said = succeed(&["inspect", text(&model), "--check"]);
    for part in
        ["points, 136 outputs", "image uint8 [N, ", "ai.onnx 17", "golden check   passed", "mobilenet_v2", " Conv"]
    {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let document: Value = serde_json::from_str(&succeed(&["inspect", text(&model), "--json"])).unwrap();
    assert_eq!(document["manifest"]["task"]["kind"], "points");
    assert!(document["parameters"].as_u64().unwrap() > 2_000_000);

    let foreign = crate::root().join("tests/fixtures/import/torchscript.onnx");
    let said = succeed(&["inspect", text(&foreign)]);
    assert!(
        said.contains("none: not one of our models (`tagpoint import` makes")
            && said.contains("it would be cut before the pooling"),
        "{said}"
    );
    assert!(fail(&["inspect", text(&foreign), "--check"]).contains("no golden samples"));
    assert!(fail(&["inspect", text(&crate::root().join("Cargo.toml"))]).contains("not an ONNX file"));
}
