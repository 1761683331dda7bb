//! Logits, gradients and running statistics of our architectures equal torchvision's.
//!
//! The references are float64 and made by scripts/fixtures/network.py; weights come from a formula that both sides
//! know. In float64 everything must agree to the fixture's rounding, tensor by tensor. In float32, which trains, logits of
//! the eval mode must be within 1e-4 of that truth. The rest has looser bounds there, because rounding is amplified: by
//! batch norm over eight values per channel, and by every ReLU whose input is 0 but for rounding. PyTorch's own float32
//! differs as much from its float64 on these inputs (ResNet-101 in train mode: logits by 3e-4, a gradient by .5).

use std::collections::BTreeMap;

use super::formula::{tensor, weights};
use serde::Deserialize;
use tagpoint::{
    onnx::{SourceGraph, arch::Architecture, foreign::BACKBONE_PREFIX, weights::fill},
    picture::PictureSize,
    train::network::{Mode, Network},
};
use tch::{Device, Kind, Tensor};

const SIZE: PictureSize = PictureSize { width: 64, height: 64 };
const CLASSES: i64 = 10;

/// Norm, largest magnitude, and the elements at a third and at two thirds of a tensor.
type Summary = [f64; 4];

#[derive(Deserialize)]
pub(super) struct Reference {
    logits: Vec<f64>,
    pub(super) gradients: BTreeMap<String, Summary>,
    #[serde(default)]
    statistics: BTreeMap<String, Summary>,
}

#[test]
fn resnet18_equals_torchvisions() {
    check(Architecture::Resnet18);
}

#[test]
fn resnet34_equals_torchvisions() {
    check(Architecture::Resnet34);
}

#[test]
fn resnet50_equals_torchvisions() {
    check(Architecture::Resnet50);
}

#[test]
fn resnet101_equals_torchvisions() {
    check(Architecture::Resnet101);
}

#[test]
fn mobilenet_v2_equals_torchvisions() {
    check(Architecture::MobilenetV2);
}

fn check(architecture: Architecture) {
    let path = format!("{}/tests/fixtures/network/{}.json", env!("CARGO_MANIFEST_DIR"), architecture.name());
    let references: BTreeMap<String, Reference> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for mode in ["train", "eval"] {
        let reference = &references[mode];
        let mut graph = architecture.build(SIZE, CLASSES);
        fill(&mut graph, weights).unwrap();
        let source = SourceGraph::ours(graph, "");
        let double = Pass::run(&source, SIZE, mode, Kind::Double).differences(reference);
        let float = Pass::run(&source, SIZE, mode, Kind::Float).differences(reference);
        let name = architecture.name();
        println!("{name} {mode} float64: {double:?}");
        println!("{name} {mode} float32: {float:?}");
        assert!(double.logits < 1e-7 && double.gradient.0 < 1e-7 && double.statistic.0 < 1e-7);
        assert!(float.logits < if mode == "eval" { 1e-4 } else { 5e-3 });
        assert!(float.gradient_length < 5e-2 && float.statistic.0 < 1e-3);
    }
}

/// One pass forwards and backwards.
pub(super) struct Pass {
    network: Network,
    pub(super) logits: Tensor,
    gradients: Vec<Tensor>,
}

/// Relative differences; the worst single tensor with its name.
#[derive(Debug)]
pub(super) struct Differences {
    pub(super) logits: f64,
    pub(super) gradient: (f64, String),
    pub(super) gradient_length: f64,
    pub(super) statistic: (f64, String),
}

impl Pass {
    pub(super) fn run(source: &SourceGraph, size: PictureSize, mode: &str, kind: Kind) -> Self {
        let mut network = Network::new(&source.graph, source.opset, Device::Cpu, kind).unwrap();
        let image = (tensor("image", &[2, size.height.into(), size.width.into(), 3]) * 255.0).to_kind(kind);
        let ones = |_: &str, shape: &[i64], _: f64| Ok(Tensor::ones(shape, (kind, Device::Cpu)));
        let mode = if mode == "train" { Mode::Train { dropout: &ones } } else { Mode::Evaluate };
        let logits = network.forward(&image, &[source.graph.output[0].name()], &mode).unwrap().remove(0);
        let loss = (&logits * (tensor("loss", &[2, CLASSES]) * 2.0 - 1.0).to_kind(kind)).sum(kind);
        let leaves: Vec<&Tensor> = network.parameters().iter().map(|parameter| &parameter.tensor).collect();
        let gradients = Tensor::run_backward(&[loss], &leaves, false, false);
        Self { network, logits, gradients }
    }

    pub(super) fn differences(&self, reference: &Reference) -> Differences {
        let parameters = self.network.parameters();
        assert_eq!(parameters.len(), reference.gradients.len());
        let wanted = Tensor::from_slice(&reference.logits).view([2, CLASSES]);
        let logits = (self.logits.to_kind(Kind::Double) - &wanted).abs().max() / wanted.abs().max();
        let names = parameters.iter().map(|parameter| parameter.name.as_str());
        let statistics = self.network.statistics().filter(|_| !reference.statistics.is_empty());
        let own: f64 = self.gradients.iter().map(|gradient| gradient.norm().double_value(&[]).powi(2)).sum();
        let length: f64 = reference.gradients.values().map(|[norm, ..]| norm.powi(2)).sum();
        Differences {
            logits: logits.double_value(&[]),
            gradient: worst(names.zip(&self.gradients), &reference.gradients, 1e-8 * length.sqrt()),
            gradient_length: ((own / length).sqrt() - 1.0).abs(),
            statistic: worst(statistics, &reference.statistics, 0.0),
        }
    }
}

fn worst<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
    wanted: &BTreeMap<String, Summary>,
    floor: f64,
) -> (f64, String) {
    let differences = tensors.map(|(name, tensor)| {
        let exported = name.strip_prefix(BACKBONE_PREFIX).unwrap_or(name);
        (relative_difference(tensor, &wanted[exported], floor), name.to_owned())
    });
    differences.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default()
}

/// How far norm, maximum and sampled elements are off, relative to the tensor's size, or to `floor` where that is more:
/// a bias before a batch norm has a gradient of 0 but for rounding.
fn relative_difference(tensor: &Tensor, wanted: &Summary, floor: f64) -> f64 {
    let flat = tensor.to_kind(Kind::Double).contiguous().view([-1]);
    let count = flat.size()[0];
    let &[norm, largest, third, two_thirds] = wanted;
    let (length, size) = (norm.max(floor), largest.max(floor));
    let differences = [
        (flat.norm().double_value(&[]) - norm) / length,
        (flat.abs().max().double_value(&[]) - largest) / size,
        (flat.double_value(&[count / 3]) - third) / size,
        (flat.double_value(&[2 * count / 3]) - two_thirds) / size,
    ];
    differences.into_iter().map(f64::abs).fold(0.0, |worst, one| if one.is_nan() { one } else { worst.max(one) })
}
