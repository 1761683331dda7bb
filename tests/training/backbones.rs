//! Backbones that somebody else exported are trained, written and judged like our own.
//!
//! The files are of scripts/fixtures/backbones.py. Those of full size take half an hour on two cores, so they are
//! trained when asked for.

use std::{fs, io::Read as _, path::Path};

use flate2::read::GzDecoder;
use prost::Message as _;
use tagpoint::{
    infer::Runtime,
    model::{Digest, ModelFile},
    onnx::{
        GraphProto, ModelProto, SourceGraph,
        builder::{GraphBuilder, ints},
        proto::DataType,
        weights::fill,
    },
    picture::PictureSize,
    train::{
        backbone::Backbone,
        dataset::TaskKind,
        observer::Silent,
        recipe::Recipe,
        save::{Description, assemble_and_check},
        task::{PointSettings, task_of},
    },
};

use crate::{
    formula::weights,
    learning::{by_heart, few, learner, square},
    root, shapes,
};

/// Writes a fixture with the formula's values.
fn write_fixture(name: &str, folder: &Path) -> std::path::PathBuf {
    let mut bytes = Vec::new();
    let file = fs::File::open(root().join(format!("tests/fixtures/backbones/{name}.onnx.gz"))).unwrap();
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
    fill(model.graph.as_mut().unwrap(), weights).unwrap();
    let path = folder.join(format!("{name}.onnx"));
    fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

fn recipe(path: &Path, side: u32) -> Recipe {
    Recipe { architecture: Backbone::File(path.to_owned()), resize: square(side), ..by_heart() }
}

/// Learns 32 drawn pictures by heart and writes the model, which ONNX Runtime has to agree with. Gives the notes, and
/// how many parameters the body has.
fn learns_by_heart(path: &Path, recipe: &Recipe) -> (Vec<String>, usize) {
    let folder = shapes(60);
    let dataset = few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 32);
    let (data, pictures) = (dataset.fingerprint, (32, 32));
    let task = task_of(&dataset, &recipe.y_range, &PointSettings::default()).unwrap();
    let mut learner = learner(dataset, recipe, 2);
    let parameters = learner.network().parameters();
    let body = parameters.iter().filter(|it| !it.name.starts_with("head.")).count();
    let before = learner.evaluate().unwrap();
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    let map = evaluation.metrics[0].clone();
    println!("{}: loss {} → {}, {map:?}", path.display(), before.loss, evaluation.loss);
    assert!(evaluation.loss < 0.05 && evaluation.loss < before.loss / 5.0, "{path:?}: loss {}", evaluation.loss);
    assert_eq!(map, ("map".to_owned(), 1.0));
    let description = Description {
        task,
        metrics: Description::metrics_of(&evaluation),
        score_reference: None,
        data,
        pictures,
        base_weights: learner.base_weights(),
        golden_pictures: None,
    };
    let source = learner.graph().unwrap();
    let exported = ModelProto::decode(fs::read(path).unwrap().as_slice()).unwrap();
    assert_eq!(source.opset, exported.opset_import[0].version(), "the operator set is kept");
    assert_eq!(source.ir_version, exported.ir_version(), "the file format is kept");
    let runtime = Runtime::load(None).unwrap();
    let file = assemble_and_check(learner.network(), source, recipe, description, &runtime).unwrap();
    let provenance = &file.manifest.provenance;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(provenance.base_weights, Some(Digest::of(&fs::read(path).unwrap())));
    assert!(provenance.architecture.starts_with(&format!("{name} (graph ")), "{}", provenance.architecture);
    assert_eq!(provenance.settings["architecture"], name, "no folder of the user's is recorded");
    (learner.notes().to_vec(), body)
}

#[test]
fn an_efficientnet_from_torchscript_learns_by_heart_with_every_norm_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_fixture("tiny-efficientnet-script", folder.path());
    let (notes, body) = learns_by_heart(&path, &Recipe { epochs: 40, ..recipe(&path, 64) });
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(body, 68, "as many as in PyTorch without the classifier");
}

#[test]
fn dynamos_unoptimised_export_keeps_batch_norms_and_zero_biases_are_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_fixture("tiny-efficientnet-unoptimised", folder.path());
    let (notes, body) = learns_by_heart(&path, &Recipe { epochs: 40, ..recipe(&path, 64) });
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(body, 68, "as many as in PyTorch without the classifier");
}

#[test]
fn a_regnet_whose_batch_norms_were_folded_learns_by_heart_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_fixture("tiny-regnet-dynamo", folder.path());
    let recipe = Recipe { learning_rate: 2e-3, ..recipe(&path, 64) };
    let (notes, body) = learns_by_heart(&path, &recipe);
    assert!(notes[0].contains("folded into the convolutions by the exporter"), "{notes:?}");
    assert_eq!(body, 58, "a kernel and a bias for each convolution");
}

#[test]
fn a_convnext_from_dynamo_learns_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_fixture("tiny-convnext-dynamo", folder.path());
    let recipe = Recipe { learning_rate: 2e-3, ..recipe(&path, 64) };
    let (notes, body) = learns_by_heart(&path, &recipe);
    // As many as in PyTorch without the classifier, but for the convolutions' biases, which the exporter left out as 0.
    assert_eq!((notes.len(), body), (0, 54), "{notes:?}");
}

#[test]
fn a_vit_from_torchscript_learns_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_fixture("tiny-vit-script", folder.path());
    let recipe = Recipe { learning_rate: 3e-3, epochs: 80, ..recipe(&path, 64) };
    let (notes, body) = learns_by_heart(&path, &recipe);
    assert_eq!((notes.len(), body), (0, 42), "{notes:?}");
}

fn keeps_batch_norms(path: &Path) -> bool {
    let model = ModelProto::decode(fs::read(path).unwrap().as_slice()).unwrap();
    model.graph.unwrap().node.iter().any(|node| node.op_type() == "BatchNormalization")
}

/// With TAGPOINT_BACKBONE=regnet those alone whose names have that part.
#[test]
#[ignore = "takes half an hour: cargo test --features train --test training -- --ignored --nocapture full_size"]
fn every_backbone_of_full_size_learns_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = fs::read_dir(root().join("tests/fixtures/backbones")).unwrap();
    let names = fixtures.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".onnx.gz")?.to_owned())).collect();
    let wanted = std::env::var("TAGPOINT_BACKBONE").unwrap_or_default();
    names.retain(|name| !name.starts_with("tiny-") && name.contains(&wanted));
    names.sort();
    for name in names {
        let start = std::time::Instant::now();
        let path = write_fixture(&name, folder.path());
        // All pictures at once: over fewer, the last layers' four pixels a picture give poor running statistics.
        // After sixty steps those of the first steps still weigh a little in each of some fifty batch norms in a row,
        // and what each is too wide by multiplies: a training loss of .01, a validation loss of 1.
        let epochs = if keeps_batch_norms(&path) { 120 } else { 60 };
        let recipe = Recipe { learning_rate: 1e-3, batch_size: 32, epochs, ..recipe(&path, 64) };
        let (notes, body) = learns_by_heart(&path, &recipe);
        println!("{body} parameters, {notes:?}, {:?}", start.elapsed());
        fs::remove_file(path).unwrap();
    }
}

fn tagpoint_train(arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_tagpoint-train")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// One frozen epoch and one with everything.
fn fit(arch: &Path, size: &str, csv: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let paths = [arch, csv, out].map(|path| path.to_str().unwrap());
    let mut arguments = vec!["fit", "--arch", paths[0], "--data", paths[1], "--out", paths[2], "--size", size];
    arguments.extend(["--freeze-epochs", "1", "--epochs", "1", "--batch-size", "16"]);
    arguments.extend(more);
    tagpoint_train(&arguments)
}

#[test]
fn the_program_trains_an_exported_file_and_evaluate_and_a_second_run_take_the_result() {
    let folder = shapes(60);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    let path = write_fixture("tiny-regnet-dynamo", folder.path());
    let output = fit(&path, "64", &csv, &out, &["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("note: batch norms were folded"), "{}", text(&output.stdout));
    let model = out.join("1/model.onnx");
    let recorded = ModelFile::read(&model).unwrap();
    let source = SourceGraph::of_model(ModelProto::decode(recorded.bytes.as_slice()).unwrap(), "").unwrap();
    let mean = source.graph.initializer.iter().find(|tensor| tensor.name() == "preprocess.mean").unwrap();
    assert_eq!(mean.to_f32().unwrap(), [127.5; 3]);
    let judged = tagpoint_train(&["evaluate", model.to_str().unwrap(), "--data", csv.to_str().unwrap()]);
    let line = format!("{:<24} {:.6}", "map", recorded.manifest.metrics["fp32"]["map"]);
    assert!(
        text(&judged.stdout).contains(&line),
        "{line:?} is not in {}{}",
        text(&judged.stdout),
        text(&judged.stderr)
    );
    // Steps this small change next to nothing: the body has to be the first run's, not the exported file's.
    let more = ["--weights", model.to_str().unwrap(), "--lr", "1e-12"];
    let output = fit(&path, "64", &csv, &out, &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let second = ModelFile::read(&out.join("2/model.onnx")).unwrap();
    assert_eq!(second.manifest.provenance.base_weights, Some(recorded.digest));
    let second = SourceGraph::of_model(ModelProto::decode(second.bytes.as_slice()).unwrap(), "").unwrap();
    for name in ["backbone.stem.0.weight", "head.linear2.weight", "preprocess.mean", "preprocess.std"] {
        assert!(largest_difference(&source.graph, &second.graph, name) < 1e-6, "{name} started anew");
    }
}

fn largest_difference(one: &GraphProto, other: &GraphProto, name: &str) -> f32 {
    let [one, other] =
        [one, other].map(|graph| graph.initializer.iter().find(|it| it.name() == name).unwrap().to_f32().unwrap());
    one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn what_cannot_be_trained_is_refused_with_what_to_do() {
    let folder = shapes(20);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    let vit = write_fixture("tiny-vit-script", folder.path());
    let message = |output: std::process::Output| {
        assert!(!output.status.success(), "{}", text(&output.stdout));
        text(&output.stderr).to_owned()
    };
    let wrong_size = message(fit(&vit, "96", &csv, &out, &[]));
    assert!(wrong_size.contains("tiny-vit-script.onnx: the graph takes pictures of 64x64 alone"), "{wrong_size}");
    assert!(wrong_size.contains("--size 64x64"), "{wrong_size}");
    let baked = folder.path().join("baked.onnx");
    fs::write(&baked, baked_batch(17).encode_to_vec()).unwrap();
    let baked_batch_of_one = message(fit(&baked, "32", &csv, &out, &[]));
    assert!(baked_batch_of_one.contains("dynamic_axes"), "{baked_batch_of_one}");
    fs::write(&baked, baked_batch(11).encode_to_vec()).unwrap();
    let old = message(fit(&baked, "32", &csv, &out, &[]));
    assert!(old.contains("operator set 11; 13 to 26 are supported: export it with opset_version"), "{old}");
    fs::write(&baked, baked_batch(27).encode_to_vec()).unwrap();
    assert!(message(fit(&baked, "32", &csv, &out, &[])).contains("operator set 27; 13 to 26 are supported"));
    let mut new_format = ModelProto::decode(fs::read(&vit).unwrap().as_slice()).unwrap();
    new_format.ir_version = Some(14);
    fs::write(&baked, new_format.encode_to_vec()).unwrap();
    let not_served = fit(&baked, "64", &csv, &out, &[]);
    assert!(!text(&not_served.stdout).contains("train_loss"), "it was trained: {}", text(&not_served.stdout));
    let not_served = message(not_served);
    assert!(not_served.contains("would not be served") && not_served.contains("IR version 14"), "{not_served}");
    fs::write(&baked, b"no file").unwrap();
    assert!(message(fit(&baked, "32", &csv, &out, &[])).contains("baked.onnx: not an ONNX file"));
    assert!(message(fit(&folder.path().join("absent.onnx"), "32", &csv, &out, &[])).contains("absent.onnx: No such"));
    assert!(!text(&fit(Path::new("vit"), "32", &csv, &out, &[]).stderr).contains("panicked"));
}

/// A file whose exporter saw one picture and wrote that into a shape.
fn baked_batch(opset: i64) -> ModelProto {
    let mut builder = GraphBuilder::default();
    builder.input("input", DataType::Float, &[1, 3, 32, 32]);
    builder.constant("kernel", &[8, 3, 8, 8], &[0.01; 1536]);
    builder.constant("weight", &[8, 2], &[0.1; 16]);
    builder.int_constant("shape", &[3], &[1, 8, 16]);
    let x = builder.node("Conv", "patches", &["input", "kernel"], vec![ints("strides", &[8, 8])]);
    let x = builder.node("Reshape", "tokens", &[&x, "shape"], vec![]);
    let x = builder.node(
        "ReduceMean",
        "mean",
        &[&x],
        vec![ints("axes", &[2]), tagpoint::onnx::builder::int("keepdims", 0)],
    );
    let x = builder.node("MatMul", "logits", &[&x, "weight"], vec![]);
    builder.output(&x, DataType::Float, &[1, 2]);
    let source = SourceGraph { opset, ..SourceGraph::ours(builder.finish("baked"), "") };
    source.into_model(("test", "0"))
}

#[test]
fn any_size_will_do_where_the_file_leaves_it_open() {
    let folder = shapes(60);
    let path = write_fixture("tiny-convnext-dynamo", folder.path());
    let mut model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let mut builder = GraphBuilder::default();
    builder.input(graph.input[0].name(), DataType::Float, &[-1, 3, -1, -1]);
    graph.input = builder.finish("").input;
    fs::write(&path, model.encode_to_vec()).unwrap();
    let dataset = few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 32);
    let mut wide = recipe(&path, 64);
    wide.resize.size = PictureSize { width: 96, height: 64 };
    let mut learner = learner(dataset, &wide, 1);
    assert!(learner.evaluate().unwrap().loss.is_finite());
}
