//! What `tagpoint import` makes of somebody else's file is as good as any model to the trainer's commands.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use prost::Message as _;
use tagpoint::onnx::{
    SourceGraph,
    builder::{GraphBuilder, int},
    proto::DataType,
};

use crate::{root, shapes};

const TRAIN: &str = env!("CARGO_BIN_EXE_tagpoint-train");

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Imports a file as a model of these names for a task, with which the rest of the flags begins; the model's folder.
fn import(model: &Path, folder: &Path, names: &str, task: &[&str]) -> PathBuf {
    let (list, out) = (folder.join("names.txt"), folder.join("models").join(task[0]));
    std::fs::write(&list, names).unwrap();
    let [model, list, to] = [model, &list, &out].map(|path| path.to_str().unwrap());
    let arguments = ["import", model, "--out", to, "--names", list, "--task"];
    run(env!("CARGO_BIN_EXE_tagpoint"), &[&arguments[..], task].concat());
    out
}

/// An exported network of one convolution with so many outputs, and what comes behind them.
fn exported(folder: &Path, outputs: i64, end: Option<&str>) -> PathBuf {
    let mut builder = GraphBuilder::default();
    builder.input("input", DataType::Float, &[-1, 3, 32, 32]);
    builder.constant("kernel", &[1, 3, 1, 1], &[0.5, -0.3, 0.2]);
    let weights: Vec<f32> = (0..outputs).map(|output| 0.5 - output as f32).collect();
    builder.constant("weight", &[1, outputs], &weights);
    let x = builder.node("Conv", "stem", &["input", "kernel"], vec![]);
    let x = builder.node("GlobalAveragePool", "pooled", &[&x], vec![]);
    let x = builder.node("Flatten", "flat", &[&x], vec![int("axis", 1)]);
    let mut output = builder.node("MatMul", "answer", &[&x, "weight"], vec![]);
    if let Some(end) = end {
        output = builder.node(end, "scored", &[&output], vec![]);
    }
    builder.output(&output, DataType::Float, &[-1, outputs]);
    let model = SourceGraph::ours(builder.finish("exported"), "").into_model(("test", "0"));
    let path = folder.join("exported.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// Whether a figure of this name was printed.
fn has(printed: &str, figure: &str) -> bool {
    printed.lines().any(|line| line.split_whitespace().next() == Some(figure))
}

#[test]
fn an_imported_model_can_be_judged_and_get_thresholds() {
    let folder = shapes(60);
    let dynamo = root().join("tests/fixtures/import/dynamo.onnx");
    let out = import(&dynamo, folder.path(), "circle\nsquare\ntriangle", &["multi-label"]);
    let (model, csv) = (out.join("1/model.onnx"), folder.path().join("labels.csv"));
    let [model, csv, to] = [&model, &csv, &out].map(|path| path.to_str().unwrap());
    run(TRAIN, &["thresholds", model, "--data", csv, "--out", to, "--calibrate", "--split", "all"]);
    let printed = run(TRAIN, &["evaluate", out.join("2/model.onnx").to_str().unwrap(), "--data", csv]);
    assert!(has(&printed, "map") && has(&printed, "loss"), "{printed}");
}

#[test]
fn imported_scores_without_logits_are_judged_and_get_thresholds_but_no_calibration() {
    let folder = shapes(60);
    let scores = exported(folder.path(), 3, Some("Sigmoid"));
    let task = ["multi-label", "--activation", "none"];
    let out = import(&scores, folder.path(), "circle\nsquare\ntriangle", &task);
    let (model, csv) = (out.join("1/model.onnx"), folder.path().join("labels.csv"));
    let [model, csv, to] = [&model, &csv, &out].map(|path| path.to_str().unwrap());
    let printed = run(TRAIN, &["evaluate", model, "--data", csv]);
    assert!(has(&printed, "map") && !has(&printed, "loss"), "{printed}");
    let thresholds = ["thresholds", model, "--data", csv, "--out", to, "--split", "all"];
    run(TRAIN, &thresholds);
    let output = Command::new(TRAIN).args(thresholds).arg("--calibrate").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("scores without logits"), "{message}");
}

#[test]
fn imported_points_and_values_can_be_judged() {
    let folder = shapes(60);
    let table = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
    let counted = |line: &str| {
        let row: Vec<&str> = line.split(',').collect();
        format!("{},{},{}\n", row[0], row[1].split_whitespace().count(), row[2])
    };
    let rows: String = table.lines().skip(1).map(counted).collect();
    std::fs::write(folder.path().join("values.csv"), format!("fname,shapes,is_valid\n{rows}")).unwrap();
    for (task, name, outputs, metric) in [("points", "circle", 2, "point_error_px"), ("values", "shapes", 1, "rmse")] {
        let out = import(&exported(folder.path(), outputs, None), folder.path(), name, &[task]);
        let (model, csv) = (out.join("1/model.onnx"), folder.path().join(format!("{task}.csv")));
        let printed = run(TRAIN, &["evaluate", model.to_str().unwrap(), "--data", csv.to_str().unwrap()]);
        assert!(has(&printed, metric) && has(&printed, "loss"), "{task}: {printed}");
    }
}
