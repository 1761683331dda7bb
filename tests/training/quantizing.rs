//! `quantize` and `fit --int8`: what is written beside a float32 model, and what is refused.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use prost::Message as _;
use tagpoint::{
    infer::{GoldenError, Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{INT8_FILE, ModelFile},
    onnx::{ModelProto, quantize::is_quantised},
};

use crate::{
    Server,
    program::{tagpoint_train, text},
    root, shapes, shared,
};

/// Trains for some seconds on drawn shapes; gives the model file and what the program said.
fn fit(folder: &Path, epochs: &str, more: &[&str]) -> (PathBuf, String) {
    let (csv, out) = (folder.join("labels.csv"), folder.join("models/shapes"));
    let mut arguments = vec!["fit", "--data", csv.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(["--arch", "resnet18", "--weights", "none", "--size", "64", "--batch-size", "16"]);
    arguments.extend(["--freeze-epochs", "0", "--epochs", epochs, "--lr", "6e-3", "--lr-mult", "1"]);
    arguments.extend(more);
    let output = tagpoint_train(&arguments);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    (out.join("1/model.onnx"), text(&output.stdout).to_owned())
}

/// Runs `quantize`; gives its exit status and everything that it said.
fn quantize(model: &Path, csv: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec!["quantize", model.to_str().unwrap(), "--data", csv.to_str().unwrap()];
    arguments.extend(more);
    let output = tagpoint_train(&arguments);
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

fn graph_of(file: &ModelFile) -> tagpoint::onnx::GraphProto {
    ModelProto::decode(file.bytes.as_slice()).unwrap().graph.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fit_writes_an_int8_file_beside_the_model_with_both_metrics_and_its_own_golden_outputs() {
    let folder = shapes(160);
    let csv = folder.path().join("labels.csv");
    // Forty validation pictures say little about half a point, and another processor trains another network.
    let (model, _) = fit(folder.path(), "8", &[]);
    let before = std::fs::read(&model).unwrap();
    let (status, said) = quantize(&model, &csv, &["--max-loss", "0.2"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(std::fs::read(&model).unwrap(), before, "the float32 file stays as it is");

    let (float, int8) = (ModelFile::read(&model).unwrap(), ModelFile::read(&model.with_file_name(INT8_FILE)).unwrap());
    assert!(is_quantised(&graph_of(&int8)) && !is_quantised(&graph_of(&float)));
    assert!(int8.bytes.len() * 3 < float.bytes.len(), "bytes instead of floats");
    assert_eq!((&int8.manifest.task, &int8.manifest.input), (&float.manifest.task, &float.manifest.input));
    let metrics = &int8.manifest.metrics;
    assert!((metrics["fp32"]["map"] - float.manifest.metrics["fp32"]["map"]).abs() < 1e-3, "{metrics:?}");
    assert!(metrics["fp32"]["map"] - metrics["int8"]["map"] < 0.2, "{metrics:?}");
    let references = [&float, &int8].map(|file| file.manifest.score_reference.as_ref().unwrap());
    assert_eq!(references[0].pictures, references[1].pictures);
    assert_ne!(references[0].labels[0].edges, references[1].labels[0].edges, "the INT8 model's own scores");
    let record = &int8.manifest.provenance.settings["int8"];
    assert_eq!(record["model"], float.digest.to_string());
    assert_eq!(record["judged"]["metric"], "map");

    let runtime = Runtime::load(None).unwrap();
    let mut session = Session::open(&runtime, &int8, &SessionOptions::default()).unwrap();
    check_golden(&mut session, &int8.manifest, Tolerance::INT8).unwrap();
    for (own, theirs) in int8.manifest.golden.samples.iter().zip(&float.manifest.golden.samples) {
        assert_eq!(own.picture, theirs.picture);
        assert_ne!(own.output, theirs.output, "the record is the INT8 model's own");
    }

    let path = model.with_file_name(INT8_FILE);
    let judged = tagpoint_train(&["evaluate", path.to_str().unwrap(), "--data", csv.to_str().unwrap()]);
    let line = format!("{:<24} {:.6}", "map", metrics["int8"]["map"]);
    assert!(text(&judged.stdout).contains(&line), "{line:?}: {}{}", text(&judged.stdout), text(&judged.stderr));
    let inspected = tagpoint_train(&["inspect", path.to_str().unwrap(), "--check"]);
    assert!(text(&inspected.stdout).contains("passed, within 2e-2"), "{}", text(&inspected.stdout));
    let (status, said) = quantize(&model, &csv, &[]);
    assert!(status == Some(1) && said.contains("is there already"), "{said}");
    let (status, said) = quantize(&path, &csv, &["--dry-run"]);
    assert!(status == Some(1) && said.contains("quantised already"), "{said}");

    // The other file is no second version, and does not disturb the server.
    let server = Server::start(folder.path().join("models")).await;
    let picture = std::fs::read(folder.path().join("images/0.png")).or_else(|_| {
        let first = std::fs::read_dir(folder.path().join("images"))?.next().ok_or(std::io::ErrorKind::NotFound)??;
        std::fs::read(first.path())
    });
    let answer = server.predict("shapes/predict?all=true", picture.unwrap()).await;
    assert_eq!(answer["version"], "1");
    server.stop().await;
}

#[test]
fn a_model_that_loses_more_than_is_allowed_is_not_written_unless_it_is_forced() {
    let folder = shapes(80);
    let csv = folder.path().join("labels.csv");
    let (model, said) = fit(folder.path(), "2", &["--int8"]);
    let path = model.with_file_name(INT8_FILE);
    assert!(path.exists() || said.contains("refused"), "{said}");
    std::fs::remove_file(&path).unwrap_or_default();
    for (wrong, part) in
        [(["--keep-float", "layer1.0.conv"], "layer1.0.conv1"), (["--calibration-pictures", "0"], "one training")]
    {
        let (status, said) = quantize(&model, &csv, &[&["--dry-run"][..], &wrong].concat());
        assert!(status == Some(1) && said.contains(part), "{wrong:?}: {said}");
    }
    // Nothing gains a hundred points.
    let never = ["--max-loss=-1", "--method", "minmax", "--budget-s", "20"];
    let (status, said) = quantize(&model, &csv, &never);
    assert!(status == Some(3) && said.contains("refused") && !path.exists(), "{said}");
    assert!(said.contains("stays in float32"), "layers were tried: {said}");
    let (status, said) = quantize(&model, &csv, &[&never[..], &["--force"]].concat());
    assert_eq!(status, Some(0), "{said}");
    let file = ModelFile::read(&path).unwrap();
    let record = &file.manifest.provenance.settings["int8"];
    let in_float = record["in_float32"].as_array().unwrap();
    assert!(!in_float.is_empty() && in_float.len() <= record["layers"].as_u64().unwrap() as usize, "{record}");
    // Those layers are float32 in the graph.
    let graph = graph_of(&file);
    for name in in_float {
        let layer = graph.node.iter().find(|node| Some(node.name()) == name.as_str()).unwrap();
        let quantised = layer.input[1].starts_with("int8.");
        assert!(!quantised, "{name}");
    }
}

#[test]
fn shipped_int8_models_pass_their_golden_check_and_lose_little() {
    let runtime = Runtime::load(None).unwrap();
    for (name, metric) in [("scenes", "map"), ("faces", "nme")] {
        let folder = root().join("models").join(name).join("1");
        let (float, int8) = (folder.join("model.onnx"), folder.join(INT8_FILE));
        let (float, int8) = (ModelFile::read(&float).unwrap(), ModelFile::read(&int8).unwrap());
        let mut session = Session::open(&runtime, &int8, &SessionOptions::default()).unwrap();
        check_golden(&mut session, &int8.manifest, Tolerance::INT8).unwrap();
        let record = &int8.manifest.provenance.settings["int8"];
        assert_eq!(record["model"], float.digest.to_string());
        let judged = &record["judged"];
        assert_eq!(judged["metric"], metric);
        assert!(judged["loss"].as_f64() <= judged["max_loss"].as_f64(), "{judged}");
        // What was not quantised at all would not be half as large.
        assert!(int8.bytes.len() * 2 < float.bytes.len(), "{name}");
        // With its first layer upside down it is not the same model.
        let mut model = ModelProto::decode(int8.bytes.as_slice()).unwrap();
        let mut weights = model.graph.as_mut().unwrap().initializer.iter_mut();
        let first = weights.find(|tensor| tensor.dims == [32, 3, 3, 3]).unwrap();
        first.raw_data.as_mut().unwrap().iter_mut().for_each(|byte| *byte = byte.wrapping_neg());
        let changed = ModelFile::assemble(model, int8.manifest.clone()).unwrap();
        let mut session = Session::open(&runtime, &changed, &SessionOptions::default()).unwrap();
        let error = check_golden(&mut session, &changed.manifest, Tolerance::INT8).unwrap_err();
        assert!(matches!(error, GoldenError::Drift { .. }), "{error}");
    }
}

#[test]
fn both_programs_predict_with_an_int8_file_whose_outputs_differ_by_as_much_as_another_processors_may() {
    let folder = shapes(1);
    let int8 = ModelFile::read(&root().join("models/scenes/1").join(INT8_FILE)).unwrap();
    let mut manifest = int8.manifest.clone();
    manifest.golden.samples[0].output[0] += 0.01;
    let path = folder.path().join(INT8_FILE);
    let model = ModelProto::decode(int8.bytes.as_slice()).unwrap();
    ModelFile::assemble(model, manifest).unwrap().write(&path).unwrap();
    let picture = folder.path().join("images/00000.png");
    for program in [env!("CARGO_BIN_EXE_tagpoint"), env!("CARGO_BIN_EXE_tagpoint-train")] {
        let output = Command::new(program).arg("predict").args([&path, &picture]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn shipped_int8_models_are_worth_what_they_say_on_real_pictures() {
    for (name, metric, task) in [("scenes", "map", "multi-label"), ("faces", "nme", "points")] {
        let Some(csv) = shared(&format!("data/{name}/train.csv")) else { return };
        let path = root().join("models").join(name).join("1").join(INT8_FILE);
        let recorded = ModelFile::read(&path).unwrap().manifest.metrics["int8"][metric];
        let output = tagpoint_train(&["evaluate", path.to_str().unwrap(), "--data", csv.to_str().unwrap()]);
        assert!(output.status.success(), "{task}: {}", text(&output.stderr));
        let said = text(&output.stdout);
        let line = said.lines().find(|line| line.split_whitespace().next() == Some(metric)).unwrap();
        let found: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        // Another processor may round a value here and there to the other side.
        assert!((found - recorded).abs() < 0.003, "{name}: {found} {recorded}");
    }
}
