//! Somebody else's ONNX files: what PyTorch exported is served with PyTorch's own scores, rewritten or as it was.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::{Value, json};
use tagpoint::{
    model::ModelFile,
    onnx::{
        ModelProto,
        builder::{GraphBuilder, ints},
        proto::{DataType, NodeProto, OperatorSetIdProto},
    },
};

use crate::helpers::{App, pictures, problem};

/// What PyTorch says of a picture; scripts/fixtures/importing.py writes it.
#[derive(Deserialize)]
struct Scores {
    softmax: Vec<f64>,
    sigmoid: Vec<f64>,
}

/// Which scores of PyTorch's a model gives.
type Pick = fn(&Scores) -> &[f64];

const NAMES: [&str; 3] = ["circle", "square", "triangle"];

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(file)
}

fn import(model: &Path, folder: &Path, name: &str, more: &[&str]) -> Output {
    let (names, out) = (folder.join("names.txt"), folder.join("models").join(name));
    std::fs::write(&names, NAMES.join("\n")).unwrap();
    let paths = [model, &out, &names].map(|path| path.to_str().unwrap());
    let arguments = [&["import", paths[0], "--out", paths[1], "--names", paths[2]], more].concat();
    Command::new(env!("CARGO_BIN_EXE_tagpoint")).args(arguments).output().unwrap()
}

async fn serve(folder: &Path) -> App {
    App::start_with(&[], |settings| settings.models = folder.join("models")).await
}

/// Asserts that every model answers the fixture's pictures as PyTorch does.
async fn assert_pytorchs_scores(app: &App, models: &[(&str, Pick)]) {
    let text = std::fs::read_to_string(fixture("scores.json")).unwrap();
    let expected: BTreeMap<String, Scores> = serde_json::from_str(&text).unwrap();
    for (file, scores) in &expected {
        let picture = std::fs::read(fixture(file)).unwrap();
        for (name, kind) in models {
            let answer = app.answer(&format!("{name}/predict?all=true"), &picture).await;
            for (label, expected) in NAMES.iter().zip(kind(scores)) {
                let all = answer["labels"].as_array().unwrap();
                let found = all.iter().find(|entry| entry["label"] == *label).unwrap()["score"].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-4, "{name} {file} {label}: {found}, PyTorch says {expected}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_models_are_served_with_pytorchs_scores() {
    let folder = tempfile::tempdir().unwrap();
    for (file, task) in [("torchscript", "single-label"), ("dynamo", "multi-label")] {
        for (name, more) in [("one", &["--task", task][..]), ("two", &["--task", task, "--sidecar"])] {
            let model = fixture(&format!("{file}.onnx"));
            let output = import(&model, folder.path(), &format!("{file}-{name}"), more);
            assert!(output.status.success(), "{file} {name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    // Rewritten is one file; else the weights that lay beside it still do, and every byte is as it was.
    let version = |name: &str| folder.path().join("models").join(name).join("1");
    assert_eq!(std::fs::read_dir(version("dynamo-one")).unwrap().count(), 1);
    for file in ["dynamo.onnx.data", "model.onnx"] {
        let original = fixture(if file == "model.onnx" { "dynamo.onnx" } else { file });
        let copied = std::fs::read(version("dynamo-two").join(file)).unwrap();
        assert_eq!(copied, std::fs::read(original).unwrap(), "{file}");
    }
    let app = serve(folder.path()).await;
    let (softmax, sigmoid): (Pick, Pick) = (|scores| &scores.softmax, |scores| &scores.sigmoid);
    let models =
        [("torchscript-one", softmax), ("torchscript-two", softmax), ("dynamo-one", sigmoid), ("dynamo-two", sigmoid)];
    assert_pytorchs_scores(&app, &models).await;
}

/// The sidecar of the fixture, written by hand: no golden samples.
fn sidecar() -> Value {
    json!({
        "schema_version": 1,
        "task": {"kind": "single_label", "labels": NAMES},
        "input": {
            "resize": {"method": "squish", "size": {"width": 64, "height": 48}},
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        "output": {"activation": "softmax"},
    })
}

/// `models/theirs/1/model.onnx` with its sidecar, below a folder of its own.
fn beside(model: &[u8], sidecar: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let version = folder.path().join("models/theirs/1");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::write(version.join("model.onnx"), model).unwrap();
    std::fs::write(version.join("manifest.json"), sidecar.to_string()).unwrap();
    folder
}

fn read(folder: &tempfile::TempDir) -> Result<ModelFile, tagpoint::model::ModelError> {
    ModelFile::read(&folder.path().join("models/theirs/1/model.onnx"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_written_by_hand_is_enough_to_serve_somebody_elses_file() {
    let folder = beside(&std::fs::read(fixture("torchscript.onnx")).unwrap(), &sidecar());
    let app = serve(folder.path()).await;
    assert_pytorchs_scores(&app, &[("theirs", |scores| &scores.softmax)]).await;
    assert!(!read(&folder).unwrap().can_be_checked());
}

#[test]
fn the_digest_is_of_every_file() {
    let exported = std::fs::read(fixture("dynamo.onnx")).unwrap();
    let digest = |model: &[u8], sidecar: &Value, data_end: u8| {
        let folder = beside(model, sidecar);
        let mut data = std::fs::read(fixture("dynamo.onnx.data")).unwrap();
        *data.last_mut().unwrap() ^= data_end;
        std::fs::write(folder.path().join("models/theirs/1/dynamo.onnx.data"), data).unwrap();
        read(&folder).unwrap().digest
    };
    let first = digest(&exported, &sidecar(), 0);
    assert_eq!(first, digest(&exported, &sidecar(), 0));
    let mut named = sidecar();
    named["task"]["labels"][0] = json!("disc");
    assert_ne!(first, digest(&exported, &named, 0));
    assert_ne!(first, digest(&exported, &sidecar(), 1));
    let mut model: ModelProto = prost::Message::decode(exported.as_slice()).unwrap();
    model.producer_version = Some("another".into());
    assert_ne!(first, digest(&prost::Message::encode_to_vec(&model), &sidecar(), 0));
}

/// `scores` of one picture are the means of its channels as the graph gets them, of float32 [N, …].
fn means(dims: &[i64], axes: &[i64]) -> ModelProto {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, dims);
    let mean = builder.node("ReduceMean", "mean", &["x"], vec![ints("axes", axes)]);
    let y = builder.node("Flatten", "y", &[&mean], vec![]);
    builder.output(&y, DataType::Float, &[-1, 3]);
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(builder.finish("means")),
        ..ModelProto::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn layout_order_range_and_normalisation_are_those_of_the_sidecar() {
    let input = |order: &str, range: f32, mean: [f32; 3], std: [f32; 3]| {
        let mut sidecar = sidecar();
        sidecar["task"] = json!({"kind": "values", "names": ["first", "second", "third"]});
        sidecar["output"] = json!({});
        sidecar["input"] = json!({
            "resize": {"method": "squish", "size": {"width": 8, "height": 4}},
            "channels": order, "pixel_range": range, "mean": mean, "std": std,
        });
        sidecar
    };
    let picture = pictures::plain(8, 4, [255, 0, 51]);
    let (first, last) = (means(&[-1, 3, 4, 8], &[2, 3]), means(&[-1, 4, 8, 3], &[1, 2]));
    for (model, sidecar, expected) in [
        (&first, input("rgb", 1.0, [0.0; 3], [1.0; 3]), [1.0, 0.0, 0.2]),
        (&last, input("rgb", 1.0, [0.0; 3], [1.0; 3]), [1.0, 0.0, 0.2]),
        (&first, input("bgr", 1.0, [0.0, 0.0, 0.5], [1.0, 1.0, 0.25]), [0.2, 0.0, 2.0]),
        (&last, input("bgr", 255.0, [1.0, 2.0, 5.0], [1.0, 2.0, 5.0]), [50.0, -1.0, 50.0]),
        (&first, input("rgb", 255.0, [0.0; 3], [255.0, 1.0, 1.0]), [1.0, 0.0, 51.0]),
    ] {
        let folder = beside(&prost::Message::encode_to_vec(model), &sidecar);
        let app = serve(folder.path()).await;
        let answer = app.answer("theirs/predict", &picture).await;
        let values: Vec<f64> =
            answer["values"].as_array().unwrap().iter().map(|value| value["value"].as_f64().unwrap()).collect();
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{values:?}, expected {expected:?} of {sidecar}");
        }
    }
}

#[test]
fn a_manifest_that_does_not_fit_is_refused_with_the_reason() {
    let exported = std::fs::read(fixture("torchscript.onnx")).unwrap();
    for (pointer, value, part) in [
        ("/schema_version", json!(2), "schema_version is 2"),
        ("/task/labels", json!(["one"]), ""),
        ("/task/labels", json!(["one", "one", "two"]), "\"one\" is there twice"),
        ("/task/labels", json!([1, 2, 3]), "a label is a name, or an object"),
        ("/task/kind", json!("tags"), "unknown variant `tags`"),
        ("/input/std", json!([1, 0, 1]), "std of finite numbers above 0"),
        ("/input/pixel_range", json!(0), "pixel_range is 0"),
        ("/input/pixel_range", json!(1e-45), "pixel_range"),
        ("/input/resize/size/width", json!(32), "takes 64 pixels a side, not 32"),
        ("/input/layout", json!("nhwc"), "is not [N, H, W, 3]"),
        ("/input/layout", json!("hwc"), "unknown variant `hwc`"),
        ("/input/name", json!("pixels"), "no input \"pixels\""),
        ("/input/colour", json!("rgb"), "unknown field `colour`"),
        ("/output/activation", json!("sigmoid"), "that is a softmax"),
        ("/output/activation", json!(null), "sigmoid, softmax or none"),
        ("/output/name", json!("aux"), "no output \"aux\""),
        ("/golden", json!({"samples": [{"picture": "", "output": [1.0]}]}), "golden sample 0 has 1 outputs"),
    ] {
        let mut wrong = sidecar();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        wrong.pointer_mut(parent).unwrap()[key] = value.clone();
        match read(&beside(&exported, &wrong)) {
            // Only running it shows that there are more outputs than names.
            Ok(_) => assert!(part.is_empty(), "{pointer} {value}"),
            Err(error) => assert!(error.to_string().contains(part), "{pointer} {value}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn golden_samples_of_a_sidecar_are_checked_and_hostile_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        import(&fixture("torchscript.onnx"), folder.path(), "drifted", &["--task", "single-label", "--sidecar"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let version = folder.path().join("models/drifted/1");
    let mut drifted: Value = serde_json::from_slice(&std::fs::read(version.join("manifest.json")).unwrap()).unwrap();
    drifted["input"]["mean"][0] = json!(0.4);
    std::fs::write(version.join("manifest.json"), drifted.to_string()).unwrap();

    let mut hostile: ModelProto =
        prost::Message::decode(std::fs::read(fixture("torchscript.onnx")).unwrap().as_slice()).unwrap();
    hostile.graph.as_mut().unwrap().node.push(NodeProto {
        op_type: Some("Shell".into()),
        domain: Some("com.evil".into()),
        ..NodeProto::default()
    });
    let version = folder.path().join("models/hostile/1");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::write(version.join("model.onnx"), prost::Message::encode_to_vec(&hostile)).unwrap();
    std::fs::write(version.join("manifest.json"), sidecar().to_string()).unwrap();

    let app = serve(folder.path()).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    for (name, part) in [("drifted", "golden check failed"), ("hostile", "com.evil.Shell is a custom operator")] {
        let response = app.predict(&format!("{name}/predict"), &picture).send().await.unwrap();
        let body = problem(response, 503, "model-refused").await;
        assert!(body["detail"].as_str().unwrap().contains(part), "{body}");
    }
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

    let output = import(&exported, folder.path(), "my model", &["--task", "single-label"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && message.contains("\"my model\" is not a model name"), "{message}");

    // The weights of this one lie in another file, which is not there.
    let alone = folder.path().join("dynamo.onnx");
    std::fs::copy(fixture("dynamo.onnx"), &alone).unwrap();
    let message = refused(&alone, &["--task", "multi-label"]);
    assert!(message.contains("dynamo.onnx.data"), "{message}");

    // This one was exported for one picture at a time.
    let mut one = means(&[1, 3, 48, 64], &[2, 3]);
    let graph = one.graph.as_mut().unwrap();
    let mut builder = GraphBuilder::extend(std::mem::take(graph));
    let shape = builder.int_constant("shape", &[2], &[1, 3]);
    builder.node("Reshape", "fixed", &["mean", &shape], vec![]);
    *graph = builder.finish("one picture");
    graph.output[0].name = Some("fixed".into());
    let fixed = folder.path().join("fixed.onnx");
    std::fs::write(&fixed, prost::Message::encode_to_vec(&one)).unwrap();
    let message = refused(&fixed, &["--task", "values"]);
    assert!(message.contains("open batch dimension"), "{message}");
}
