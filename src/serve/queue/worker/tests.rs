//! A real session that fails for some pixels, and golden samples that pass or do not.

use super::*;
use crate::{
    infer::{Runtime, SessionOptions},
    model::{Golden, GoldenSample, ModelFile, Sidecar, wrapped},
    onnx::{
        ModelProto,
        builder::{GraphBuilder, int},
        proto::{DataType, OperatorSetIdProto},
    },
    serve::{
        metrics::Metrics,
        queue::{BatchRule, Queue, Terms},
    },
};

/// One pixel, three values: each colour by a table that has no entry for 255.
fn model() -> ModelFile {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[-1, 3, 1, 1]);
    let table = builder.constant("table", &[255], &(0..255).map(|i| i as f32).collect::<Vec<_>>());
    let place = builder.node("Cast", "place", &["x"], vec![int("to", DataType::Int64 as i64)]);
    let value = builder.node("Gather", "value", &[&table, &place], Vec::new());
    builder.output(&value, DataType::Float, &[-1, 3, 1, 1]);
    let model = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(builder.finish("table")),
        ..ModelProto::default()
    };
    let sidecar: Sidecar = serde_json::from_str(
        r#"{"schema_version": 1, "task": {"kind": "values", "names": ["r", "g", "b"]},
            "input": {"resize": {"method": "squish", "size": {"width": 1, "height": 1}}, "pixel_range": 255,
                      "mean": [0, 0, 0], "std": [1, 1, 1]}}"#,
    )
    .unwrap();
    wrapped(model, &sidecar).unwrap()
}

/// What comes of these pixels, and the version's ailment, where the golden sample (10, 20, 30) is held to give `golden`.
async fn outcome(pixels: &[[u8; 3]], golden: [f32; 3]) -> (Vec<Option<Vec<f32>>>, Option<String>) {
    let file = model();
    let picture = image::RgbImage::from_pixel(1, 1, image::Rgb([10, 20, 30]));
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let picture = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png.into_inner());
    let golden = Golden { samples: vec![GoldenSample { picture, output: golden.to_vec() }] };
    let health = Arc::new(Health::default());
    let worker = Worker {
        session: Session::open(&Runtime::load(None).unwrap(), &file, &SessionOptions::default()).unwrap(),
        manifest: Arc::new(Manifest { golden, ..file.manifest.clone() }),
        tolerance: Tolerance::FLOAT32,
        health: Arc::clone(&health),
        statistics: Arc::default(),
        metrics: Metrics::default().batches_of("table", "1"),
        label: "table/1".to_owned(),
    };
    let rule = BatchRule { max_batch: pixels.len(), max_delay: Duration::from_secs(60), queue_limit: 8 };
    let queue = Queue::new(rule);
    let end = queue.worker_end();
    let clients = pixels.iter().map(|pixel| queue.reserve().unwrap().put(pixel.to_vec(), Terms::default()).output());
    let clients = futures_util::future::join_all(clients.collect::<Vec<_>>());
    let thread = std::thread::spawn(move || worker.run(&end));
    let outputs = clients.await.into_iter().map(|output| output.ok().map(|output| output.values)).collect();
    // Ends it, once it has looked at the golden samples.
    drop(queue);
    thread.join().unwrap();
    (outputs, health.ailment())
}

#[tokio::test]
async fn a_picture_that_fails_does_so_alone_and_the_version_is_well_where_its_golden_samples_pass() {
    let (outputs, ailment) = outcome(&[[1, 2, 3], [255, 0, 0], [4, 5, 6]], [10.0, 20.0, 30.0]).await;
    assert_eq!(outputs, [Some(vec![1.0, 2.0, 3.0]), None, Some(vec![4.0, 5.0, 6.0])]);
    assert_eq!(ailment, None);
}

#[tokio::test]
async fn where_golden_samples_fail_after_a_picture_it_is_the_device() {
    let (outputs, ailment) = outcome(&[[255, 0, 0]], [10.0, 20.0, 31.0]).await;
    assert_eq!(outputs, [None]);
    let ailment = ailment.unwrap();
    assert!(ailment.contains("no longer passes its golden check") && ailment.contains("30 here, 31"), "{ailment}");
}

#[tokio::test]
async fn golden_samples_are_not_looked_at_while_all_goes_well() {
    assert_eq!(outcome(&[[1, 2, 3]], [0.0; 3]).await, (vec![Some(vec![1.0, 2.0, 3.0])], None));
}
