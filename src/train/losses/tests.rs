//! Against torch, torchvision, timm and fastai, gradients too, and at the ends of the scale.

use serde::Deserialize;
use tch::{Device, Kind};

use super::*;
use crate::model::{Label, Task, Values};

#[derive(Deserialize)]
struct Fixture {
    logits: Vec<f32>,
    targets: Vec<f32>,
    points: Vec<f32>,
    truth: Vec<f32>,
    mask: Vec<f32>,
    /// Squared error without the mask.
    mse: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// As the command line takes it.
    loss: String,
    label_smoothing: f64,
    positive_weights: Vec<f64>,
    /// Empty where the case is about points, whose targets and mask are the fixture's.
    targets: Vec<f32>,
    value: f64,
    gradient: Vec<f32>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/training/losses.json")).unwrap()
}

fn labels(count: usize) -> Vec<Label> {
    let label = |place| Label { name: format!("l{place}"), thresholds: [].into(), train_count: 1, valid_count: 1 };
    (0..count).map(label).collect()
}

fn points() -> Task {
    Task::Values(Values { names: vec!["x".to_owned()], y_ranges: Vec::new() })
}

fn label_loss(settings: &LossSettings) -> LabelLoss {
    let task = if settings.kind.name() == "cross-entropy" {
        Task::SingleLabel { labels: labels(5) }
    } else {
        Task::MultiLabel { labels: labels(5) }
    };
    let TaskLoss::Labels(loss) = settings.for_task(&task, 10).unwrap() else { panic!("not a loss of labels") };
    loss
}

fn difference(kind: &str) -> Difference {
    let settings = LossSettings { kind: kind.parse().unwrap(), ..LossSettings::default() };
    let TaskLoss::Differences(loss) = settings.for_task(&points(), 10).unwrap() else { panic!("not of points") };
    loss
}

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.reshape([-1])).unwrap()
}

fn assert_near(loss: &Tensor, expected: f64) {
    assert!(loss.size().is_empty());
    let loss = loss.double_value(&[]);
    assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
}

#[test]
fn losses_and_their_gradients_are_those_of_torch_torchvision_timm_and_fastai() {
    let fixture = fixture();
    assert!(fixture.cases.len() >= 20, "{}", fixture.cases.len());
    for case in &fixture.cases {
        let input = if case.targets.is_empty() {
            Tensor::from_slice(&fixture.points).view((3, 4, 2))
        } else {
            Tensor::from_slice(&fixture.logits).view((4, 5))
        };
        let input = input.set_requires_grad(true);
        let loss = if case.targets.is_empty() {
            let [truth, mask] =
                [&fixture.truth, &fixture.mask].map(|values| Tensor::from_slice(values).view((3, 4, 2)));
            difference(&case.loss).of(&input, &truth, &mask).unwrap()
        } else {
            let named = case.positive_weights.iter().enumerate().map(|(place, weight)| (format!("l{place}"), *weight));
            let settings = LossSettings {
                kind: case.loss.parse().unwrap(),
                label_smoothing: case.label_smoothing,
                positive_weights: PositiveWeights { auto_cap: None, labels: named.collect() },
            };
            label_loss(&settings).of(&input, &Tensor::from_slice(&case.targets).view((4, 5))).unwrap()
        };
        assert_near(&loss, case.value);
        loss.backward();
        for (ours, theirs) in values(&input.grad()).iter().zip(&case.gradient) {
            assert!((ours - theirs).abs() < 1e-6, "{}: {ours} {theirs}", case.loss);
        }
    }
}

#[test]
fn squared_error_with_nothing_masked_is_torchs() {
    let fixture = fixture();
    let [predicted, truth] = [&fixture.points, &fixture.truth].map(|values| Tensor::from_slice(values).view((3, 4, 2)));
    assert_near(&Difference::Squared.of(&predicted, &truth, &truth.ones_like()).unwrap(), fixture.mse);
}

#[test]
fn focal_and_asymmetric_without_focus_are_binary_cross_entropy() {
    let fixture = fixture();
    let logits = Tensor::from_slice(&fixture.logits).view((4, 5));
    let targets = Tensor::from_slice(&fixture.targets).view((4, 5));
    let plain = binary_cross_entropy(&logits, &targets, &[]).unwrap().double_value(&[]);
    for kind in ["focal:gamma=0", "asymmetric:gamma_negative=0,gamma_positive=0,clip=0"] {
        let settings = LossSettings { kind: kind.parse().unwrap(), ..LossSettings::default() };
        assert_near(&label_loss(&settings).of(&logits, &targets).unwrap(), plain);
    }
}

#[test]
fn logits_of_a_hundred_either_way_have_finite_losses_and_gradients() {
    let kinds = [
        "bce",
        "cross-entropy",
        "focal",
        "focal:gamma=0.5,alpha=0.25",
        "asymmetric",
        "asymmetric:gamma_negative=0.5,gamma_positive=0,clip=0",
    ];
    let extremes: [f32; 5] = [-100.0, 100.0, 0.0, -30.0, 30.0];
    for kind in kinds {
        for label_smoothing in [0.0, 0.1] {
            let settings = LossSettings { kind: kind.parse().unwrap(), label_smoothing, ..LossSettings::default() };
            let loss = label_loss(&settings);
            for target in [0.0, 0.3, 1.0] {
                let logits = Tensor::from_slice(&extremes).view((1, 5)).set_requires_grad(true);
                let targets = Tensor::full([1, 5], target, (Kind::Float, Device::Cpu));
                let value = loss.of(&logits, &targets).unwrap();
                value.backward();
                let gradient = values(&logits.grad());
                assert!(value.double_value(&[]).is_finite(), "{kind} {target}");
                assert!(gradient.iter().all(|slope| slope.is_finite()), "{kind} {target}: {gradient:?}");
                // A label that is missed by far still learns.
                assert!(target < 1.0 || gradient[0] < -1e-3, "{kind}: {gradient:?}");
            }
        }
    }
}

#[test]
fn a_batch_without_a_point_costs_nothing_and_moves_nothing() {
    for kind in ["mse", "l1", "huber", "wing"] {
        let predicted = Tensor::from_slice(&[0.5_f32, -0.5]).view((1, 1, 2)).set_requires_grad(true);
        let zeros = Tensor::zeros([1, 1, 2], (Kind::Float, Device::Cpu));
        let loss = difference(kind).of(&predicted, &zeros, &zeros).unwrap();
        assert_near(&loss, 0.0);
        loss.backward();
        assert_eq!(values(&predicted.grad()), [0.0, 0.0], "{kind}");
    }
}

#[test]
fn a_wing_has_no_step_where_its_pieces_meet() {
    let wing = difference("wing:width=0.5,curvature=0.1");
    let at = |x: f64| {
        let one = Tensor::ones([1, 1], (Kind::Double, Device::Cpu));
        wing.of(&(&one * x), &(&one * 0.0), &one).unwrap().double_value(&[])
    };
    assert!((at(0.5 + 1e-9) - at(0.5 - 1e-9)).abs() < 1e-7);
    assert!((at(0.2) - 0.5 * 3.0_f64.ln()).abs() < 1e-12);
    assert!((at(1.5) - at(0.5) - 1.0).abs() < 1e-12);
}

#[test]
fn shapes_that_differ_are_refused() {
    let logits = Tensor::zeros([4, 5], (Kind::Float, Device::Cpu));
    for kind in ["bce", "focal", "cross-entropy"] {
        let settings = LossSettings { kind: kind.parse().unwrap(), ..LossSettings::default() };
        assert!(label_loss(&settings).of(&logits, &logits.view((5, 4))).is_err(), "{kind}");
    }
}
