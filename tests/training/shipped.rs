//! The models that come with the project.

use std::process::Command;

use prost::Message as _;
use tagpoint::{
    infer::{GoldenError, Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{ModelError, ModelFile, Task},
    onnx::{ModelProto, TensorProto},
};

use crate::{Server, root, shared};

fn shipped(name: &str) -> ModelFile {
    ModelFile::read(&root().join(format!("models/{name}/1/model.onnx"))).unwrap()
}

fn sample(file: &str) -> Vec<u8> {
    std::fs::read(root().join("samples").join(file)).unwrap()
}

#[test]
fn shipped_models_are_at_most_15_mb_and_have_a_card() {
    for name in ["scenes", "faces"] {
        assert!(shipped(name).bytes.len() <= 15_000_000, "{name}");
        let card = std::fs::read_to_string(root().join(format!("models/{name}/1/README.md"))).unwrap();
        assert!(card.contains("tagpoint-train fit"), "the card of {name} says how to train it");
    }
    let Task::MultiLabel { labels } = shipped("scenes").manifest.task else { panic!("scenes has another task") };
    let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["bus", "car", "cat", "person", "train"]);
    let Task::Points(points) = shipped("faces").manifest.task else { panic!("faces has another task") };
    assert_eq!((points.names.len(), points.nme_pair), (68, Some((36, 45))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_pictures_get_the_right_answers() {
    let server = Server::start(root().join("models")).await;
    let cat = server.predict("scenes/predict", sample("scenes.jpg")).await;
    let labels: Vec<&str> =
        cat["labels"].as_array().unwrap().iter().map(|entry| entry["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["cat"], "{cat}");

    let face = server.predict("faces/predict", sample("faces.jpg")).await;
    let points = face["points"].as_array().unwrap();
    assert_eq!(points.len(), 68);
    let place = |i: usize| (points[i]["x"].as_f64().unwrap(), points[i]["y"].as_f64().unwrap());
    assert!(points.iter().all(|point| point["in_frame"] == true), "{face}");
    let (left_eye, right_eye, nose, chin) = (place(36), place(45), place(30), place(8));
    assert!(left_eye.0 < nose.0 && nose.0 < right_eye.0, "the nose lies between the eyes: {face}");
    assert!(left_eye.1 < nose.1 && right_eye.1 < nose.1 && nose.1 < chin.1, "eyes, nose, chin from above: {face}");
    server.stop().await;
}

/// The model file's ONNX model with the kernels of its first layer changed.
fn with_first_kernels(file: &ModelFile, change: impl Fn(&mut [f32])) -> ModelProto {
    let mut model = ModelProto::decode(file.bytes.as_slice()).unwrap();
    let initializers = &mut model.graph.as_mut().unwrap().initializer;
    let kernels = initializers.iter_mut().find(|tensor| tensor.name() == "features.0.0.weight").unwrap();
    assert_eq!(kernels.dims, [32, 3, 3, 3]);
    let mut values = kernels.to_f32().unwrap();
    change(&mut values);
    *kernels = TensorProto::from_f32("features.0.0.weight", &[32, 3, 3, 3], &values);
    model
}

#[test]
fn a_shipped_model_with_red_and_blue_swapped_fails_its_golden_check() {
    let runtime = Runtime::load(None).unwrap();
    for name in ["scenes", "faces"] {
        let file = shipped(name);
        let swapped = with_first_kernels(&file, |values| {
            for kernel in values.chunks_exact_mut(27) {
                (0..9).for_each(|i| kernel.swap(i, 18 + i));
            }
        });
        // Sealed anew, so that nothing but the golden samples can tell.
        let sealed = ModelFile::assemble(swapped, file.manifest.clone()).unwrap();
        let mut session = Session::open(&runtime, &sealed, &SessionOptions::default()).unwrap();
        let error = check_golden(&mut session, &sealed.manifest, Tolerance::FLOAT32).unwrap_err();
        assert!(matches!(error, GoldenError::Drift { .. }), "{name}: {error}");
    }
}

#[test]
fn a_shipped_model_with_one_weight_changed_is_refused_by_its_digest() {
    let changed = with_first_kernels(&shipped("scenes"), |values| values[5] += 1e-6);
    let error = ModelFile::parse(changed.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ModelError::GraphChanged { .. }), "{error}");
}

#[test]
fn evaluate_gives_the_metrics_that_the_models_record() {
    for (name, metric) in [("scenes", "map"), ("faces", "nme")] {
        let Some(csv) = shared(&format!("data/{name}/train.csv")) else { return };
        let model = root().join(format!("models/{name}/1/model.onnx"));
        let paths = [&model, &csv].map(|path| path.to_str().unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_tagpoint-train"))
            .args(["evaluate", paths[0], "--data", paths[1]])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.starts_with(metric)).unwrap();
        let found: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        let recorded = shipped(name).manifest.metrics["fp32"][metric];
        assert!((found - recorded).abs() < 1e-3, "{name}: {metric} is {found}, the model records {recorded}");
    }
}
