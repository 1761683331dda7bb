//! What ONNX Runtime makes of quantised graphs: that every unit is fused into one integer operator, and that outputs are
//! nearly those of float32.

use std::collections::{BTreeMap, BTreeSet};

use ort::session::builder::GraphOptimizationLevel;
use prost::Message as _;

use super::{Probe, Runtime, SessionOptions};
use crate::{
    model::InputSpec,
    onnx::{
        GraphProto, ModelProto, SourceGraph,
        arch::Architecture,
        builder::{ConvShape, GraphBuilder, int, ints},
        proto::DataType,
        quantize::{Histogram, Method, Range, Recipe, WeightRange, probe, probed, rewrite, simplify, units},
        weights,
    },
    picture::{PictureSize, ResizeMethod, ResizeRule},
};

const SIZE: PictureSize = PictureSize { width: 64, height: 64 };

/// Numbers in −1…1 as a function of a name and a place.
fn number(name: &str, place: usize) -> f32 {
    let hash = name.bytes().fold(place as u64 + 1, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Weights that keep activations at about the same size from layer to layer.
fn fill(graph: &mut GraphProto) {
    weights::fill(graph, |name, dims| {
        let count = dims.iter().product::<i64>() as usize;
        let inputs = dims[1..].iter().product::<i64>().max(1) as f32;
        (0..count)
            .map(|place| match name.rsplit('.').next() {
                Some("running_var") => 1.0 + 0.5 * number(name, place),
                Some("weight") if dims.len() == 1 => 1.0 + 0.3 * number(name, place),
                Some("weight") => number(name, place) * (6.0 / inputs).sqrt(),
                _ => 0.2 * number(name, place),
            })
            .collect()
    })
    .unwrap();
}

fn pictures(count: usize) -> Vec<u8> {
    let pixel = |place: usize| {
        let (picture, rest) = (place / (3 * 64 * 64), place % (3 * 64 * 64));
        let (x, y) = (rest / 3 % 64, rest / 192);
        (127.0 + 90.0 * ((x * (picture + 2) + y * 3) as f32 / 40.0).sin() + 30.0 * number("pixel", place)) as u8
    };
    (0..count * 3 * 64 * 64).map(pixel).collect()
}

fn model(graph: GraphProto) -> ModelProto {
    SourceGraph::ours(graph, "test").into_model(("test", "1"))
}

fn input() -> InputSpec {
    InputSpec { name: "image".into(), resize: ResizeRule { method: ResizeMethod::Squish, size: SIZE } }
}

fn outputs(runtime: &Runtime, graph: &GraphProto, pixels: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let mut session = Probe::open(runtime, &model(graph.clone()), &input(), &SessionOptions::default()).unwrap();
    let mut found = BTreeMap::new();
    let take = |outputs: Vec<(&str, &[f32])>| {
        found = outputs.into_iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();
    };
    session.run(pixels, take).unwrap();
    found
}

fn quantised(runtime: &Runtime, simple: &GraphProto, in_float: &[&str]) -> GraphProto {
    let probed = probe(simple, &probed(&units(simple)));
    let ranges: BTreeMap<String, Range> = outputs(runtime, &probed, &pictures(4))
        .into_iter()
        .map(|(name, values)| {
            let mut histogram = Histogram::default();
            histogram.add(&values);
            (name, Method::MinMax.range(&histogram))
        })
        .collect();
    let in_float: BTreeSet<String> = in_float.iter().map(|&name| name.to_owned()).collect();
    rewrite(simple, &Recipe { ranges: &ranges, in_float: &in_float, weights: WeightRange::Full }).unwrap()
}

/// How often ONNX Runtime runs each operator.
fn operators(runtime: &Runtime, graph: &GraphProto) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimised.onnx");
    ort::session::Session::builder(runtime.environment())
        .unwrap()
        .with_optimization_level(GraphOptimizationLevel::All)
        .unwrap()
        .with_optimized_model_path(&file)
        .unwrap()
        .commit_from_memory(&model(graph.clone()).encode_to_vec())
        .unwrap();
    let optimised = ModelProto::decode(std::fs::read(&file).unwrap().as_slice()).unwrap();
    let mut counts = BTreeMap::new();
    for node in optimised.graph.unwrap().node {
        *counts.entry(node.op_type().to_owned()).or_default() += 1;
    }
    counts
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The largest difference of the logits as a share of the largest logit.
fn difference(runtime: &Runtime, one: &GraphProto, other: &GraphProto) -> f32 {
    let pixels = pictures(3);
    let [one, other] = [one, other].map(|graph| outputs(runtime, graph, &pixels).remove("logits").unwrap());
    assert!(!one.is_empty() && one.len() == other.len());
    let differences: Vec<f32> = one.iter().zip(&other).map(|(a, b)| a - b).collect();
    largest(&differences) / largest(&one)
}

#[test]
fn folding_batch_norms_changes_nothing_and_quantising_little() {
    let runtime = Runtime::load(None).unwrap();
    for arch in [Architecture::Resnet18, Architecture::MobilenetV2] {
        let mut graph = arch.build(SIZE, 1000);
        fill(&mut graph);
        let mut simple = graph.clone();
        simplify(&mut simple).unwrap();
        assert!(simple.node.iter().all(|node| node.op_type() != "BatchNormalization"), "{arch:?}");
        let folded = difference(&runtime, &graph, &simple);
        assert!(folded < 1e-4, "{arch:?}: {folded}");
        // Random weights in 52 layers blow up any rounding; the shipped MobileNets
        // are judged on real pictures.
        if arch == Architecture::Resnet18 {
            let quantised = difference(&runtime, &graph, &quantised(&runtime, &simple, &[]));
            assert!(quantised > 1e-5 && quantised < 0.05, "{arch:?}: {quantised}");
        }
    }
}

#[test]
fn every_unit_is_fused_into_one_integer_operator() {
    let runtime = Runtime::load(None).unwrap();
    for (arch, convs, adds) in [(Architecture::Resnet18, 20, 8), (Architecture::MobilenetV2, 52, 10)] {
        let mut graph = arch.build(SIZE, 1000);
        fill(&mut graph);
        simplify(&mut graph).unwrap();
        let counts = operators(&runtime, &quantised(&runtime, &graph, &[]));
        let mut expected: BTreeMap<String, usize> = [
            // The picture's bytes; ONNX Runtime's own kernels have the channels last as the picture has.
            ("QLinearConv", convs),
            ("QLinearAdd", adds),
            ("QLinearGlobalAveragePool", 1),
            ("QGemm", 1),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into();
        if arch == Architecture::Resnet18 {
            expected.insert("NhwcMaxPool".to_owned(), 1);
        }
        for (name, count) in &expected {
            assert_eq!(counts.get(name), Some(count), "{arch:?} {name}: {counts:?}");
        }
        for name in ["Conv", "FusedConv", "QuantizeLinear", "Clip", "Relu", "Cast", "Sub", "Div"] {
            assert_eq!(counts.get(name), None, "{arch:?} {name}: {counts:?}");
        }
    }
}

#[test]
fn a_layer_in_float_stays_one_and_the_others_are_fused() {
    let runtime = Runtime::load(None).unwrap();
    let mut graph = Architecture::Resnet18.build(SIZE, 1000);
    fill(&mut graph);
    simplify(&mut graph).unwrap();
    let partly = quantised(&runtime, &graph, &["conv1", "layer3.0.conv1"]);
    let counts = operators(&runtime, &partly);
    assert_eq!(counts.get("QLinearConv"), Some(&18), "{counts:?}");
    let in_float: usize = ["Conv", "FusedConv"].iter().filter_map(|name| counts.get(*name)).sum();
    assert_eq!(in_float, 2, "{counts:?}");
    assert!(difference(&runtime, &graph, &partly) < 0.05);
}

#[test]
fn joins_average_pools_and_a_head_with_a_batch_norm_are_fused_too() {
    let mut builder = GraphBuilder::default();
    builder.input("image", DataType::Uint8, &[-1, 64, 64, 3]);
    let pixels = builder.node("Cast", "float", &["image"], vec![int("to", DataType::Float as i64)]);
    let planes = builder.node("Transpose", "planes", &[&pixels], vec![ints("perm", &[0, 3, 1, 2])]);
    builder.constant("half", &[], &[127.5]);
    let centred = builder.node("Sub", "centred", &[&planes, "half"], vec![]);
    let scaled = builder.node("Div", "scaled", &[&centred, "half"], vec![]);
    let shape = |input, output| ConvShape { input, output, kernel: 3, stride: 2, groups: 1 };
    let stem = builder.conv("stem", &scaled, shape(3, 8));
    let stem = builder.node("Relu", "stem.relu", &[&stem], vec![]);
    let left = builder.conv("left", &stem, shape(8, 8));
    let right =
        builder.node("AveragePool", "right", &[&stem], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    let joined = builder.node("Concat", "joined", &[&left, &right], vec![int("axis", 1)]);
    let last = builder.conv("last", &joined, shape(16, 16));
    let pooled = builder.node("GlobalMaxPool", "pooled", &[&last], vec![]);
    let flat = builder.node("Flatten", "flat", &[&pooled], vec![int("axis", 1)]);
    let hidden = builder.batch_norm("norm", &flat, 16);
    let hidden = builder.linear("hidden", &hidden, (16, 8192), false);
    let hidden = builder.node("Relu", "hidden.relu", &[&hidden], vec![]);
    let hidden = builder.batch_norm("norm2", &hidden, 8192);
    // Too small to gain, so it stays in float, and the norm becomes a part of it.
    let logits = builder.linear("linear", &hidden, (8192, 10), true);
    builder.node("Identity", "logits", &[&logits], vec![]);
    builder.output("logits", DataType::Float, &[-1, 10]);
    let mut graph = builder.finish("g");
    fill(&mut graph);
    let runtime = Runtime::load(None).unwrap();
    let plain = graph.clone();
    simplify(&mut graph).unwrap();
    let quantised = quantised(&runtime, &graph, &[]);
    let counts = operators(&runtime, &quantised);
    for (name, count) in [("QLinearConv", 3), ("QLinearConcat", 1), ("QLinearAveragePool", 1), ("QGemm", 1)] {
        assert_eq!(counts.get(name), Some(&count), "{name}: {counts:?}");
    }
    // The norm before the quantised layer stays: it spreads its inputs evenly.
    assert_eq!((counts.get("BatchNormalization"), counts.get("Gemm")), (Some(&1), Some(&1)), "{counts:?}");
    let difference = difference(&runtime, &plain, &quantised);
    assert!(difference < 0.05, "{difference}");
}
