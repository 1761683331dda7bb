//! Model files: a graph, a manifest, and golden samples that the graph itself gave.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tagpoint::{
    drift,
    infer::{Runtime, Session, SessionOptions, golden_outputs},
    model::{
        Digest, Golden, GoldenSample, InputSpec, Label, Manifest, ModelFile, OutputSpec, Points, Provenance,
        SCHEMA_VERSION, Task, Values, YRange,
    },
    onnx::ModelProto,
    picture::{PictureSize, ResizeMethod, ResizeRule},
};

use super::{graphs, pictures};

/// Labels red, green and blue, each on its own; blue has the threshold .9, the others .5.
pub fn colours() -> ModelFile {
    seal(graphs::colours(), colour_task(), rule(graphs::SIDE), 3)
}

/// The same with a second operating point, `precise`: .7 for red and green, .95 for blue; and with red's own metrics at
/// both.
pub fn colours_at_two_points() -> ModelFile {
    let mut task = colour_task();
    if let Task::MultiLabel { labels } = &mut task {
        for (label, threshold) in labels.iter_mut().zip([0.7, 0.7, 0.95]) {
            label.thresholds.insert("precise".to_owned(), threshold);
        }
    }
    let mut manifest = seal(graphs::colours(), task, rule(graphs::SIDE), 3).manifest;
    let of_red = [
        ("precision/red", 0.8),
        ("recall/red", 0.5),
        ("f1/red", 0.615),
        ("precision@precise/red", 1.0),
        ("recall@precise/red", 0.25),
        ("f1@precise/red", 0.4),
    ];
    let metrics = manifest.metrics.entry("fp32".to_owned()).or_default();
    metrics.extend(of_red.map(|(name, value)| (name.to_owned(), value)));
    ModelFile::assemble(graphs::colours(), manifest).unwrap()
}

/// The same with another bias, -4 being the other's: another version of it.
pub fn shifted_colours(bias: f32) -> ModelFile {
    seal(graphs::shifted_colours(bias), colour_task(), rule(graphs::SIDE), 3)
}

/// The best of red, green and blue.
pub fn best_colour() -> ModelFile {
    let labels = ["red", "green", "blue"].map(|name| label(name, None)).to_vec();
    seal(graphs::best_colour(), Task::SingleLabel { labels }, rule(graphs::SIDE), 3)
}

/// Colours, but without an answer for a picture that lacks one.
pub fn undefined_for_black() -> ModelFile {
    seal(graphs::undefined_for_black(), colour_task(), rule(graphs::SIDE), 1)
}

/// Scores are the colours' own shares, and the model fails for white.
pub fn no_white() -> ModelFile {
    seal(graphs::no_white(), colour_task(), rule(graphs::SIDE), 3)
}

/// Points nose = (red, green) and tail = (blue, red), where 0 is the left or top edge and 255 the right or bottom one.
pub fn points(method: ResizeMethod) -> ModelFile {
    let task = Task::Points(Points {
        names: vec!["nose".to_owned(), "tail".to_owned()],
        flip_pairs: Vec::new(),
        y_range: YRange { low: -1.0, high: 1.0 },
        nme_pair: None,
    });
    seal(graphs::points(), task, ResizeRule { method, ..rule(graphs::SIDE) }, 3)
}

/// The mean of red, as a number.
pub fn redness() -> ModelFile {
    let task = Task::Values(Values { names: vec!["redness".to_owned()], y_ranges: Vec::new() });
    seal(graphs::redness(), task, rule(graphs::SIDE), 2)
}

/// A model that takes its time; loading it takes `golden_samples` times as much.
pub fn slow(golden_samples: usize) -> ModelFile {
    seal(graphs::slow(), colour_task(), rule(graphs::SLOW_SIDE), golden_samples)
}

/// A model with the slow one's labels and pictures that takes no time.
pub fn quick() -> ModelFile {
    seal(graphs::quick(), colour_task(), rule(graphs::SLOW_SIDE), 2)
}

/// A model of 45 MiB, nearly all of it weights of convolutions.
pub fn wide() -> ModelFile {
    seal(graphs::wide(), colour_task(), rule(graphs::SIDE), 1)
}

/// A model of 64 MiB.
pub fn heavy() -> ModelFile {
    seal(graphs::heavy(), colour_task(), rule(graphs::SIDE), 1)
}

/// The same model, whose file says how it scored these pictures in validation.
pub fn validated(file: ModelFile, pictures: &[Vec<u8>]) -> ModelFile {
    let scores = golden_outputs(&mut session(&file), &file.manifest.input.resize, pictures).unwrap().concat();
    let score_reference = drift::reference(&file.manifest.task, &scores);
    assert!(score_reference.is_some());
    let model = prost::Message::decode(file.bytes.as_slice()).unwrap();
    ModelFile::assemble(model, Manifest { score_reference, ..file.manifest }).unwrap()
}

/// A session of a model, one thread wide.
pub fn session(file: &ModelFile) -> Session {
    let options = SessionOptions { intra_threads: 1, ..SessionOptions::default() };
    Session::open(&Runtime::load(None).unwrap(), file, &options).unwrap()
}

pub fn colour_task() -> Task {
    let labels = [("red", 0.5), ("green", 0.5), ("blue", 0.9)];
    Task::MultiLabel { labels: labels.map(|(name, threshold)| label(name, Some(threshold))).to_vec() }
}

/// The whole picture in a square.
fn rule(side: u32) -> ResizeRule {
    ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: side, height: side } }
}

fn label(name: &str, threshold: Option<f32>) -> Label {
    let thresholds = threshold.map(|threshold| ("balanced".to_owned(), threshold)).into_iter().collect();
    Label { name: name.to_owned(), thresholds, train_count: 30, valid_count: 10 }
}

/// Runs the graph for its golden outputs and puts everything into one file.
fn seal(graph: ModelProto, task: Task, resize: ResizeRule, golden_samples: usize) -> ModelFile {
    let output = match task {
        Task::MultiLabel { .. } | Task::SingleLabel { .. } => "scores",
        Task::Points(_) => "points",
        Task::Values(_) => "values",
    };
    let blank = GoldenSample { picture: String::new(), output: vec![0.0; task.output_len()] };
    let mut manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        task,
        input: InputSpec { name: "image".to_owned(), resize },
        output: OutputSpec { name: output.to_owned() },
        graph_digest: Digest::of(b""),
        golden: Golden { samples: vec![blank] },
        metrics: BTreeMap::from([("fp32".to_owned(), BTreeMap::from([("map".to_owned(), 0.5)]))]),
        score_reference: None,
        provenance: Provenance { architecture: "test".to_owned(), ..Provenance::default() },
    };
    let unsealed = ModelFile::assemble(graph.clone(), manifest.clone()).unwrap();
    let colours = [[250, 120, 10], [20, 240, 60], [90, 30, 200]];
    let pictures: Vec<Vec<u8>> =
        (0..golden_samples).map(|i| pictures::plain(resize.size.width, resize.size.height, colours[i % 3])).collect();
    let outputs = golden_outputs(&mut session(&unsealed), &resize, &pictures).unwrap();
    let samples = pictures.iter().zip(outputs);
    manifest.golden.samples =
        samples.map(|(picture, output)| GoldenSample { picture: BASE64.encode(picture), output }).collect();
    ModelFile::assemble(graph, manifest).unwrap()
}
