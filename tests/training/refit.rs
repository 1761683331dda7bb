//! Batch norms that are only a unit scale are refitted before training.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use safetensors::{Dtype, tensor::TensorView};
use tagpoint::{
    onnx::{GraphProto, SourceGraph, TensorProto, arch::Architecture, weights},
    picture::PictureSize,
    train::{
        dataset::{Dataset, TaskKind},
        learner::Learner,
        loader::{Loader, LoaderOptions},
        network::{Mode, Network},
        recipe::Recipe,
        weights::{StateDict, WeightsSource},
    },
};
use tch::{Device, Kind, Tensor, no_grad};

use crate::{
    learning::{by_heart, few, learner, square},
    shared,
};

const SIDE: u32 = 128;

fn read(path: &Path) -> GraphProto {
    let mut graph = Architecture::MobilenetV2.build(PictureSize { width: SIDE, height: SIDE }, 1000);
    let dict = StateDict::read(std::fs::read(path).unwrap()).unwrap();
    weights::fill(&mut graph, |name, _| dict.values(name).unwrap()).unwrap();
    graph
}

/// Folds every batch norm into the convolution before it, and leaves in its place one of mean 0 and variance 1.
fn disguise(graph: &mut GraphProto) {
    let nodes = graph.node.clone();
    let mut values: BTreeMap<String, Vec<f32>> =
        graph.initializer.iter().filter_map(|it| Some((it.name().to_owned(), it.to_f32().ok()?))).collect();
    for norm in nodes.iter().filter(|node| node.op_type() == "BatchNormalization") {
        let conv = nodes.iter().find(|node| node.output[0] == norm.input[0]).unwrap();
        let [weight, bias, mean, variance] = [1, 2, 3, 4].map(|place| values[&norm.input[place]].clone());
        let channels = weight.len();
        let slope: Vec<f32> = (0..channels).map(|c| weight[c] / (variance[c] + 1e-5).sqrt()).collect();
        let kernel = values.get_mut(&conv.input[1]).unwrap();
        let each = kernel.len() / channels;
        kernel.iter_mut().enumerate().for_each(|(place, value)| *value *= slope[place / each]);
        values.insert(norm.input[1].clone(), vec![(1.0_f32 + 1e-5).sqrt(); channels]);
        values.insert(norm.input[2].clone(), (0..channels).map(|c| bias[c] - slope[c] * mean[c]).collect());
        values.insert(norm.input[3].clone(), vec![0.0; channels]);
        values.insert(norm.input[4].clone(), vec![1.0; channels]);
    }
    for tensor in &mut graph.initializer {
        if let Some(values) = values.get(tensor.name()) {
            *tensor = TensorProto::from_f32(tensor.name(), &tensor.dims, values);
        }
    }
}

fn write_safetensors(graph: &GraphProto, path: &Path) {
    let constants = ["preprocess.", "relu6.", "classifier.0.ratio"];
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = graph
        .initializer
        .iter()
        .filter(|tensor| !constants.iter().any(|prefix| tensor.name().starts_with(prefix)))
        .map(|tensor| {
            let shape = tensor.dims.iter().map(|&dim| dim as usize).collect();
            (tensor.name().to_owned(), shape, tensor.little_endian_bytes().unwrap())
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// What a body makes of a batch.
struct Features {
    /// The pooled features in evaluation mode, [N, C].
    evaluated: Tensor,
    /// The same in training mode.
    trained: Tensor,
    /// 0 or 1, [N, L].
    targets: Tensor,
}

fn features(source: &SourceGraph, dataset: &Arc<Dataset>) -> Features {
    let options = LoaderOptions { batch_size: 64, ..LoaderOptions::new(square(SIDE)) };
    let batch = Loader::new(Arc::clone(dataset), options).train_epoch(3, 0).next().unwrap().unwrap();
    let side = i64::from(SIDE);
    let pixels = Tensor::from_slice(&batch.pixels).view([-1, side, side, 3]);
    let mut network = Network::new(&source.graph, source.opset, Device::Cpu, Kind::Float).unwrap();
    let ones = |_: &str, shape: &[i64], _: f64| Ok(Tensor::ones(shape, (Kind::Float, Device::Cpu)));
    let mut run = |mode: &Mode<'_>| no_grad(|| network.forward(&pixels, &["head.flat"], mode)).unwrap().remove(0);
    let (evaluated, trained) = (run(&Mode::Evaluate), run(&Mode::Train { dropout: &ones }));
    Features { evaluated, trained, targets: Tensor::from_slice(&batch.targets).view([64, -1]) }
}

impl Features {
    /// The loss in training mode of a linear classifier that is right in evaluation mode: ridge regression.
    fn training_loss(&self) -> f64 {
        let with_bias = |features: &Tensor| {
            let ones = Tensor::ones([64, 1], (Kind::Double, Device::Cpu));
            Tensor::cat(&[features.to_kind(Kind::Double), ones], 1)
        };
        let (evaluated, targets) = (with_bias(&self.evaluated), self.targets.to_kind(Kind::Double));
        let gram = evaluated.matmul(&evaluated.tr()) + Tensor::eye(64, (Kind::Double, Device::Cpu)) * 0.1;
        let classifier = evaluated.tr().matmul(&Tensor::linalg_solve(&gram, &targets, true));
        let loss = |features: &Tensor| {
            let outputs = with_bias(features).matmul(&classifier);
            (outputs - &targets).square().mean(Kind::Double).double_value(&[])
        };
        assert!(loss(&self.evaluated) < 1e-2, "the classifier is right in evaluation mode: {}", loss(&self.evaluated));
        loss(&self.trained)
    }
}

fn largest(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

#[test]
fn a_folded_net_in_disguise_is_refitted_so_that_it_evaluates_the_same_and_can_be_trained() {
    let (Some(csv), Some(weights)) =
        (shared("data/scenes/train.csv"), shared("weights/mobilenet_v2-imagenet.safetensors"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let disguised = folder.path().join("disguised.safetensors");
    let mut graph = read(&weights);
    disguise(&mut graph);
    write_safetensors(&graph, &disguised);
    let dataset = few(&csv, TaskKind::MultiLabel, 64);
    let start = |weights: &Path| -> Learner {
        let recipe = Recipe {
            architecture: Architecture::MobilenetV2.into(),
            weights: WeightsSource::File(weights.to_owned()),
            resize: square(SIDE),
            ..by_heart()
        };
        learner(dataset.clone(), &recipe, 2)
    };
    let (original, refitted) = (start(&weights), start(&disguised));
    assert_eq!(original.notes(), Vec::<String>::new());
    assert!(refitted.notes()[0].contains("the 52 batch norms"), "{:?}", refitted.notes());
    assert!(refitted.notes()[0].contains("64 training pictures"), "{:?}", refitted.notes());

    let dataset = Arc::new(dataset);
    let original = features(&original.graph().unwrap(), &dataset);
    let refitted = refitted.graph().unwrap();
    // The same head on the body in disguise, as it came.
    let mut unit = refitted.clone();
    for tensor in &mut unit.graph.initializer {
        if let Some(disguised) = graph.initializer.iter().find(|it| it.name() == tensor.name()) {
            tensor.clone_from(disguised);
        }
    }
    let (refitted, disguised) = (features(&refitted, &dataset), features(&unit, &dataset));
    let moved = |one: &Tensor, other: &Tensor| largest(&(one - other)) / largest(other);
    let by_refit = moved(&refitted.evaluated, &disguised.evaluated);
    assert!(by_refit < 1e-4, "evaluation moved by {by_refit:e}");
    assert!(moved(&refitted.evaluated, &original.evaluated) < 1e-3, "another network");
    let [original, refitted, broken] = [original, refitted, disguised].map(|it| it.training_loss());
    println!("evaluation moved by {by_refit:e}; training loss {original:.4}, {refitted:.4} refitted, {broken:.4} not");
    assert!(refitted < 1.5 * original, "{refitted} after refitting, {original} before");
    assert!(broken > 3.0 * original, "nothing was broken: {broken} and {original}");
}
