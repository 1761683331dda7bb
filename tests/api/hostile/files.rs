//! Model files that want more than to be a model.

use std::path::Path;

use serde_json::json;
use tagpoint::onnx::{
    ModelProto, NodeProto, TensorProto,
    builder::{GraphBuilder, ints},
    proto::{DataLocation, DataType, OperatorSetIdProto, StringStringEntryProto},
};

use super::Target;
use crate::helpers::{models, problem, put};

/// The mean of each channel, plus `extra`.
fn model(change: impl FnOnce(&mut GraphBuilder)) -> ModelProto {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[-1, 3, 8, 8]);
    change(&mut builder);
    let mean = builder.node("ReduceMean", "mean", &["x"], vec![ints("axes", &[2, 3])]);
    let flat = builder.node("Flatten", "flat", &[&mean], vec![]);
    let sum = builder.node("Add", "sum", &[&flat, "extra"], vec![]);
    builder.output(&sum, DataType::Float, &[-1, 3]);
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(builder.finish("means")),
        ..ModelProto::default()
    }
}

/// A model whose `extra` is this tensor.
fn with_tensor(tensor: TensorProto) -> ModelProto {
    let mut model = model(|_| {});
    model.graph.as_mut().unwrap().initializer.push(tensor);
    model
}

/// Three numbers that lie in another file.
fn elsewhere(location: &str) -> ModelProto {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    with_tensor(TensorProto {
        raw_data: None,
        data_location: Some(DataLocation::External as i32),
        external_data: vec![entry("location", location), entry("offset", "0"), entry("length", "12")],
        ..TensorProto::from_f32("extra", &[3], &[])
    })
}

/// `extra` as a node of the shape, or the inputs, given.
fn made(operator: &str, shape: &[i64]) -> ModelProto {
    model(|builder| {
        builder.int_constant("shape", &[shape.len() as i64], shape);
        builder.node(operator, "extra", &["shape"], vec![]);
    })
}

fn write(models: &Path, name: &str, bytes: &[u8]) {
    let version = models.join(name).join("1");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::write(version.join("model.onnx"), bytes).unwrap();
    let sidecar = json!({
        "schema_version": 1,
        "task": {"kind": "values", "names": ["r", "g", "b"]},
        "input": {"resize": {"method": "squish", "size": {"width": 8, "height": 8}}, "mean": [0, 0, 0], "std": [1, 1, 1]},
    });
    std::fs::write(version.join("manifest.json"), sidecar.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_model_files_are_refused_with_their_reason_and_the_others_answer() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    put(&models, "colours", &models::colours());
    let secret = folder.path().join("secret");
    std::fs::write(&secret, [7; 12]).unwrap();
    std::fs::create_dir_all(models.join("linked/1")).unwrap();
    std::os::unix::fs::symlink(&secret, models.join("linked/1/weights")).unwrap();

    let good = prost::Message::encode_to_vec(&with_tensor(TensorProto::from_f32("extra", &[3], &[0.0; 3])));
    let giant =
        |dims: &[i64]| with_tensor(TensorProto { dims: dims.to_vec(), ..TensorProto::from_f32("extra", &[0], &[]) });
    let custom = model(|builder| drop(builder.node("Shell", "extra", &["x"], vec![])));
    let with_domain = |mut model: ModelProto, domain: &str| {
        let nodes: &mut Vec<NodeProto> = &mut model.graph.as_mut().unwrap().node;
        nodes
            .iter_mut()
            .filter(|node| node.op_type() == "Shell")
            .for_each(|node| node.domain = Some(domain.to_owned()));
        model
    };
    let of = |model: ModelProto| prost::Message::encode_to_vec(&model);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("above", of(elsewhere("../../../secret")), "does not lie beside the model"),
        ("absolute", of(elsewhere(secret.to_str().unwrap())), "does not lie beside the model"),
        ("linked", of(elsewhere("weights")), "does not lie beside the model"),
        ("passwords", of(elsewhere("/etc/passwd")), "does not lie beside the model"),
        ("custom", of(with_domain(custom, "com.evil")), "com.evil.Shell is a custom operator"),
        ("giant", of(giant(&[1 << 20, 1 << 20])), "extra"),
        ("endless", of(giant(&[i64::MAX, i64::MAX])), "extra"),
        ("negative", of(giant(&[-3])), "extra"),
        ("hollow", of(giant(&[1 << 26])), "extra"),
        ("grown", of(made("ConstantOfShape", &[1 << 20, 1 << 20])), "which is more than"),
        ("cut", good[..good.len() / 2].to_vec(), "not an ONNX file"),
        ("empty", Vec::new(), ""),
        ("page", b"<!DOCTYPE html><html>404</html>".to_vec(), "not an ONNX file"),
    ];
    for (name, bytes, _) in &cases {
        write(&models, name, bytes);
    }
    write(&models, "sound", &good);
    // Whatever is no file is no model, and nobody waits for it.
    std::fs::create_dir_all(models.join("folder/1/model.onnx")).unwrap();
    for (name, file) in [("pipe", "model.onnx"), ("pipe-beside", "manifest.json")] {
        write(&models, name, &good);
        let path = models.join(name).join("1").join(file);
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    let target = Target::start_in(folder, &[]).await;
    let ask = async |name: &str| {
        let url = target.program.url(&format!("/v1/models/{name}/predict"));
        loop {
            let response = target.client.post(&url).body(super::good()).send().await.unwrap();
            if !(response.status() == 503 && response.headers().contains_key("retry-after")) {
                return response;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    assert_eq!(ask("sound").await.status(), 200);
    for (name, _, reason) in &cases {
        let body = problem(ask(name).await, 503, "model-refused").await;
        assert!(body["detail"].as_str().unwrap().contains(reason), "{name}: {body}");
    }
    problem(ask("pipe").await, 404, "unknown-model").await;
    problem(ask("folder").await, 404, "unknown-model").await;
    problem(ask("pipe-beside").await, 503, "model-refused").await;
    target.is_well().await;
    target.took_at_most(128.0);
}
