//! A model of one's own as a start: what the new task has as well is taken over, and answers as before.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use prost::Message as _;
use tagpoint::{
    model::{Label, ModelFile, Task},
    onnx::{
        GraphProto, ModelProto, OPSET_VERSION,
        arch::{Architecture, Normalisation, normalisation_of},
        head::{HeadSettings, replace_classifier},
    },
    picture::{Detail, Limits, Picture, ResizeRule},
    train::{
        dataset::{DataOptions, TaskKind, read},
        learner::Learner,
        loader::Resources,
        network::{Mode, Network},
        recipe::Recipe,
        task::{PointSettings, task_of},
        weights::{self, Destination, Loaded, WeightsError, WeightsSource},
    },
};
use tch::{Device, Kind, Tensor};

use crate::{root, shapes};

fn model_path(name: &str) -> PathBuf {
    root().join(format!("models/{name}/1/model.onnx"))
}

fn graph_of(file: &ModelFile) -> GraphProto {
    ModelProto::decode(file.bytes.as_slice()).unwrap().graph.unwrap()
}

fn labels(names: &[&str]) -> Task {
    let label = |name: &&str| Label { name: (*name).into(), thresholds: [].into(), train_count: 1, valid_count: 1 };
    Task::MultiLabel { labels: names.iter().map(label).collect() }
}

/// Fills a new graph for `task` from a source.
fn load(architecture: Architecture, task: &Task, source: PathBuf) -> Result<(GraphProto, Loaded), WeightsError> {
    let whole = architecture.build("64".parse().unwrap(), 1000);
    let mut graph = replace_classifier(whole, task, HeadSettings::default()).unwrap();
    let classifier = BTreeSet::new();
    let mut destination = Destination {
        name: architecture.name(),
        architecture: Some(architecture),
        graph: &mut graph,
        classifier,
        keeps_normalisation: false,
        task,
        seed: 1,
    };
    let loaded = weights::load(&WeightsSource::File(source), &mut destination)?;
    Ok((graph, loaded))
}

fn parameter(graph: &GraphProto, name: &str) -> Vec<f32> {
    graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap().to_f32().unwrap()
}

/// The pictures of samples/ and a few drawn ones.
fn pictures() -> Vec<Vec<u8>> {
    let drawn = shapes(5);
    let samples = ["samples/scenes.jpg", "samples/faces.jpg"].map(|file| root().join(file));
    let images = std::fs::read_dir(drawn.path().join("images")).unwrap().map(|entry| entry.unwrap().path());
    samples.into_iter().chain(images).map(|path| std::fs::read(path).unwrap()).collect()
}

fn scores(network: &mut Network, rule: &ResizeRule, picture: &[u8]) -> Vec<f64> {
    let mut pixels = vec![0; 3 * rule.size.width as usize * rule.size.height as usize];
    let picture = Picture::decode(picture, &Limits::default(), Detail::For(rule)).unwrap();
    picture.resize_into(rule, &mut pixels).unwrap();
    let shape = [1, i64::from(rule.size.height), i64::from(rule.size.width), 3];
    let image = Tensor::from_slice(&pixels).view(shape);
    let outputs = tch::no_grad(|| network.forward(&image, &["scores"], &Mode::Evaluate)).unwrap();
    Vec::try_from(outputs[0].to_kind(Kind::Double).view([-1])).unwrap()
}

#[test]
fn kept_labels_score_as_before_when_labels_are_reordered_added_and_removed() {
    let old = ModelFile::read(&model_path("scenes")).unwrap();
    let rule = old.manifest.input.resize;
    let old_labels = ["bus", "car", "cat", "person", "train"];
    // A data set's labels are sorted; the new one comes in between, so that every later label moves.
    let new_labels = ["bus", "cat", "dog", "person", "train"];
    let folder = shapes(10);
    let row = |(place, label): (usize, &&str)| format!("{place:05}.png,{label},{}\n", place >= 5);
    let rows: String = new_labels.iter().chain(&new_labels).enumerate().map(row).collect();
    let csv = folder.path().join("pets.csv");
    std::fs::write(&csv, format!("fname,labels,is_valid\n{rows}")).unwrap();
    let dataset = read(&DataOptions::new(&csv, TaskKind::MultiLabel)).unwrap();
    let task = task_of(&dataset, &[], &PointSettings::default()).unwrap();
    let recipe = Recipe {
        architecture: Architecture::MobilenetV2.into(),
        weights: WeightsSource::File(model_path("scenes")),
        resize: rule,
        ..Recipe::default()
    };
    let mut learner = Learner::new(Arc::new(dataset), task, recipe, Resources::default()).unwrap();
    assert_eq!(learner.notes(), ["model.onnx: 4 labels kept, 1 new: dog; 1 dropped: car"]);
    assert_eq!(learner.base_weights(), Some(old.digest));
    let mut before = Network::new(&graph_of(&old), OPSET_VERSION, Device::Cpu, Kind::Float).unwrap();
    for picture in pictures() {
        let (was, is) = (scores(&mut before, &rule, &picture), scores(learner.network(), &rule, &picture));
        for (place, label) in new_labels.iter().enumerate().filter(|(_, label)| **label != "dog") {
            let old_place = old_labels.iter().position(|old| old == label).unwrap();
            assert!((was[old_place] - is[place]).abs() < 1e-6, "{label}: {} became {}", was[old_place], is[place]);
        }
    }
}

#[test]
fn a_normalisation_that_is_asked_for_stays_and_that_of_the_model_is_said() {
    let folder = shapes(20);
    let dataset = read(&DataOptions::new(folder.path().join("labels.csv"), TaskKind::MultiLabel)).unwrap();
    let task = task_of(&dataset, &[], &PointSettings::default()).unwrap();
    let asked = Normalisation { mean: [0.5; 3], std: [0.25; 3] };
    let recipe = Recipe {
        architecture: Architecture::MobilenetV2.into(),
        weights: WeightsSource::File(model_path("scenes")),
        normalisation: Some(asked),
        ..Recipe::default()
    };
    let learner = Learner::new(Arc::new(dataset), task, recipe, Resources::default()).unwrap();
    let note = &learner.notes()[0];
    let own = "; its pixels were normalised by mean [0.485, 0.456, 0.406] and deviation [0.229, 0.224, 0.225], and now";
    assert!(note.contains(own), "{note}");
    assert_eq!(normalisation_of(&learner.graph().unwrap().graph), Some(asked));
}

#[test]
fn rows_follow_their_labels_into_any_order_and_new_ones_are_drawn_by_the_seed() {
    let names = ["train", "zebra", "bus"];
    let (graph, loaded) = load(Architecture::MobilenetV2, &labels(&names), model_path("scenes")).unwrap();
    assert_eq!(loaded.notes, ["model.onnx: 2 labels kept, 1 new: zebra; 3 dropped: car, cat, person"]);
    let old = parameter(&graph_of(&ModelFile::read(&model_path("scenes")).unwrap()), "head.linear2.weight");
    let new = parameter(&graph, "head.linear2.weight");
    assert_eq!(new[..512], old[4 * 512..]);
    assert_eq!(new[1024..], old[..512]);
    let variance = new[512..1024].iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 512.0;
    assert!((variance / (2.0 / 512.0) - 1.0).abs() < 0.3, "the new row is drawn as a new head's are: {variance}");
    let (again, _) = load(Architecture::MobilenetV2, &labels(&names), model_path("scenes")).unwrap();
    assert_eq!(parameter(&again, "head.linear2.weight"), new);
}

#[test]
fn both_coordinates_of_a_point_are_taken_over_by_its_name() {
    let old = ModelFile::read(&model_path("faces")).unwrap();
    let Task::Points(mut points) = old.manifest.task.clone() else { panic!("faces has another task") };
    points.names = vec![points.names[30].clone(), "hat".to_owned(), points.names[8].clone()];
    (points.flip_pairs, points.nme_pair) = (Vec::new(), None);
    let (graph, loaded) = load(Architecture::MobilenetV2, &Task::Points(points), model_path("faces")).unwrap();
    let note = &loaded.notes[0];
    assert!(note.starts_with("model.onnx: 2 points kept, 1 new: hat; 66 dropped: ") && note.ends_with('…'), "{note}");
    let rows = parameter(&graph_of(&old), "head.linear2.weight");
    let new = parameter(&graph, "head.linear2.weight");
    assert_eq!(new[..1024], rows[30 * 1024..31 * 1024]);
    assert_eq!(new[2048..], rows[8 * 1024..9 * 1024]);
}

#[test]
fn of_a_model_for_another_task_the_body_alone_is_taken_over() {
    let (graph, loaded) = load(Architecture::MobilenetV2, &labels(&["cat", "dog"]), model_path("faces")).unwrap();
    assert_eq!(
        loaded.notes,
        ["model.onnx: its head is for points, not for multi_label: the body alone is taken over, the head is new"]
    );
    let unfilled: Vec<&str> = tagpoint::onnx::weights::unfilled(&graph).map(|tensor| tensor.name()).collect();
    assert!(unfilled.len() == 10 && unfilled.iter().all(|name| name.starts_with("head.")), "{unfilled:?}");
}

#[test]
fn a_model_of_another_architecture_is_refused_with_both_names() {
    let error = load(Architecture::Resnet18, &labels(&["cat", "dog"]), model_path("scenes")).unwrap_err().to_string();
    assert!(error.contains("is a mobilenet_v2, not a resnet18: pass --arch mobilenet_v2"), "{error}");
}

#[test]
fn a_model_that_was_changed_or_is_no_onnx_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let mut model = ModelProto::decode(std::fs::read(model_path("scenes")).unwrap().as_slice()).unwrap();
    model.graph.as_mut().unwrap().initializer[5].raw_data.as_mut().unwrap()[0] ^= 1;
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let error = load(Architecture::MobilenetV2, &labels(&["cat"]), path.clone()).unwrap_err().to_string();
    assert!(error.contains("changed after the model was written"), "{error}");
    std::fs::write(&path, b"no model").unwrap();
    let error = load(Architecture::MobilenetV2, &labels(&["cat"]), path).unwrap_err().to_string();
    assert!(error.contains("not an ONNX file"), "{error}");
}
