//! `import`: what PyTorch exported is served with PyTorch's own scores.

use std::{collections::BTreeMap, path::Path, process::Output};

use serde::Deserialize;
use tagpoint::onnx::{
    ModelProto,
    builder::{GraphBuilder, ints},
    proto::{DataType, OperatorSetIdProto},
};

use crate::{Server, root, shapes};

/// What PyTorch says of a picture; scripts/fixtures/importing.py writes it.
#[derive(Deserialize)]
struct Scores {
    softmax: Vec<f64>,
    sigmoid: Vec<f64>,
}

const NAMES: [&str; 3] = ["circle", "square", "triangle"];

fn fixture(file: &str) -> std::path::PathBuf {
    root().join("tests/fixtures/import").join(file)
}

fn tagpoint_train(arguments: &[&str]) -> Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_tagpoint-train")).args(arguments).output().unwrap()
}

fn import(model: &Path, folder: &Path, name: &str, more: &[&str]) -> Output {
    let (names, out) = (folder.join("names.txt"), folder.join("models").join(name));
    std::fs::write(&names, NAMES.join("\n")).unwrap();
    let paths = [model, &out, &names].map(|path| path.to_str().unwrap());
    tagpoint_train(&[&["import", paths[0], "--out", paths[1], "--names", paths[2]], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_models_are_served_with_pytorchs_scores() {
    let folder = tempfile::tempdir().unwrap();
    for (file, name, task) in [("torchscript.onnx", "single", "single-label"), ("dynamo.onnx", "multi", "multi-label")]
    {
        let output = import(&fixture(file), folder.path(), name, &["--task", task]);
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(fixture("scores.json")).unwrap();
    let expected: BTreeMap<String, Scores> = serde_json::from_str(&text).unwrap();
    let server = Server::start(folder.path().join("models")).await;
    for (file, scores) in &expected {
        let picture = std::fs::read(fixture(file)).unwrap();
        for (name, scores) in [("single", &scores.softmax), ("multi", &scores.sigmoid)] {
            let answer = server.predict(&format!("{name}/predict?all=true"), picture.clone()).await;
            for (label, expected) in NAMES.iter().zip(scores) {
                let all = answer["labels"].as_array().unwrap();
                let found = all.iter().find(|entry| entry["label"] == *label).unwrap()["score"].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-4, "{name} {file} {label}: {found}, PyTorch says {expected}");
            }
        }
    }
    server.stop().await;
}

#[test]
fn an_imported_model_can_be_judged_and_get_thresholds() {
    let folder = shapes(60);
    assert!(import(&fixture("dynamo.onnx"), folder.path(), "multi", &["--task", "multi-label"]).status.success());
    let out = folder.path().join("models/multi");
    let (model, csv) = (out.join("1/model.onnx"), folder.path().join("labels.csv"));
    let paths = [&model, &csv, &out].map(|path| path.to_str().unwrap());
    let output = tagpoint_train(&[
        "thresholds",
        paths[0],
        "--data",
        paths[1],
        "--out",
        paths[2],
        "--calibrate",
        "--split",
        "all",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = tagpoint_train(&["evaluate", out.join("2/model.onnx").to_str().unwrap(), "--data", paths[1]]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("map"), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_cannot_be_served_is_refused_with_what_to_do_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |model: &Path, more: &[&str]| {
        let output = import(model, folder.path(), "refused", more);
        assert!(!output.status.success());
        assert!(!folder.path().join("models/refused").exists(), "nothing is written");
        String::from_utf8(output.stderr).unwrap()
    };
    let exported = fixture("torchscript.onnx");
    let message = refused(&exported, &["--task", "single-label", "--activation", "none"]);
    assert!(message.contains("not scores in 0…1"), "{message}");
    let message = refused(&exported, &["--task", "single-label", "--size", "96"]);
    assert!(message.contains("takes 48 pixels a side, not 96"), "{message}");
    let message = refused(&exported, &["--task", "points"]);
    assert!(message.contains("as many names as outputs"), "{message}");

    // The weights of this one lie in another file, which is not there.
    let alone = folder.path().join("dynamo.onnx");
    std::fs::copy(fixture("dynamo.onnx"), &alone).unwrap();
    let message = refused(&alone, &["--task", "multi-label"]);
    assert!(message.contains("dynamo.onnx.data"), "{message}");

    // This one was exported for one picture at a time.
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[1, 3, 48, 64]);
    let shape = builder.int_constant("shape", &[2], &[1, 3]);
    let pooled = builder.node("ReduceMean", "pooled", &["x"], vec![ints("axes", &[2, 3])]);
    let flat = builder.node("Reshape", "y", &[&pooled, &shape], vec![]);
    builder.output(&flat, DataType::Float, &[1, 3]);
    let model = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(builder.finish("one picture")),
        ..ModelProto::default()
    };
    let fixed = folder.path().join("fixed.onnx");
    std::fs::write(&fixed, prost::Message::encode_to_vec(&model)).unwrap();
    let message = refused(&fixed, &["--task", "single-label"]);
    assert!(message.contains("open batch dimension"), "{message}");
}
