//! What `tagpoint import` makes of somebody else's file is as good as any model to the trainer's commands.

use std::{path::Path, process::Command};

use crate::{root, shapes};

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn import(folder: &Path, name: &str) {
    let (model, names) = (root().join("tests/fixtures/import/dynamo.onnx"), folder.join("names.txt"));
    let out = folder.join("models").join(name);
    std::fs::write(&names, "circle\nsquare\ntriangle").unwrap();
    let [model, names, out] = [&model, &names, &out].map(|path| path.to_str().unwrap());
    run(env!("CARGO_BIN_EXE_tagpoint"), &["import", model, "--out", out, "--names", names, "--task", "multi-label"]);
}

#[test]
fn an_imported_model_can_be_judged_and_get_thresholds() {
    let folder = shapes(60);
    import(folder.path(), "multi");
    let out = folder.path().join("models/multi");
    let (model, csv) = (out.join("1/model.onnx"), folder.path().join("labels.csv"));
    let [model, csv, to] = [&model, &csv, &out].map(|path| path.to_str().unwrap());
    let train = env!("CARGO_BIN_EXE_tagpoint-train");
    run(train, &["thresholds", model, "--data", csv, "--out", to, "--calibrate", "--split", "all"]);
    let printed = run(train, &["evaluate", out.join("2/model.onnx").to_str().unwrap(), "--data", csv]);
    assert!(printed.contains("map"), "{printed}");
}
