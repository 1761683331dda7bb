//! Ten steps of our AdamW equal PyTorch's in float64: discriminative rates, scheduled momentum, freezing.

use std::collections::BTreeMap;

use super::formula::tensor;
use prost::Message as _;
use serde::Deserialize;
use tagpoint::{
    onnx::{GraphProto, ModelProto},
    train::{
        network::{Layout, Mode, Network, to_f32},
        optimiser::{Optimiser, Update},
    },
};
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Fixture {
    /// Parameter names by group.
    groups: Vec<Vec<String>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    /// Steps in which only norms and the last group train.
    frozen_steps: usize,
    lrs: Vec<Vec<f64>>,
    momenta: Vec<f64>,
    weight_decay: f64,
    losses: Vec<f64>,
    /// Every parameter and running statistic after the last step, row-major.
    r#final: BTreeMap<String, Vec<f64>>,
}

fn fixture() -> (Fixture, GraphProto) {
    let model = ModelProto::decode(&include_bytes!("../fixtures/network/optimiser.onnx")[..]).unwrap();
    (serde_json::from_str(include_str!("../fixtures/network/optimiser.json")).unwrap(), model.graph.unwrap())
}

fn network(graph: &GraphProto, groups: &[Vec<String>]) -> (Network, Optimiser) {
    let mut network = Network::new(graph, 17, Device::Cpu, Kind::Double).unwrap();
    let place = |name: &String| network.parameters().iter().position(|parameter| parameter.name == *name).unwrap();
    let places = groups.iter().map(|names| names.iter().map(place).collect()).collect();
    let optimiser = Optimiser::new(&mut network, places).unwrap();
    (network, optimiser)
}

fn no_dropout(_: &str, _: &[i64], _: f64) -> Result<Tensor, String> {
    unreachable!("the graph has no dropout")
}

fn loss_of_step(network: &mut Network, step: usize) -> Tensor {
    let image = tensor(&format!("image {step}"), &[5, 16, 16, 3]) * 255.0;
    let logits = network.forward(&image, &["logits"], &Mode::Train { dropout: &no_dropout }).unwrap().remove(0);
    (logits - tensor(&format!("target {step}"), &[5, 4])).square().mean(Kind::Double)
}

fn step_down(optimiser: &mut Optimiser, loss: &Tensor, lrs: &[f64], momentum: f64, weight_decay: f64) {
    optimiser.backward(loss).unwrap();
    optimiser.update(&Update { lrs, momentum, weight_decay, clip: None }).unwrap();
}

#[test]
fn ten_steps_equal_pytorchs() {
    let (fixture, graph) = fixture();
    for run in &fixture.runs {
        let (mut network, mut optimiser) = network(&graph, &fixture.groups);
        let last = fixture.groups.last().unwrap();
        for (step, wanted) in run.losses.iter().enumerate() {
            if step == 0 || step == run.frozen_steps {
                let frozen = step < run.frozen_steps;
                let trains = |name: &String, norm: bool| !frozen || norm || last.contains(name);
                optimiser.set_trainable(&mut network, |_, it| trains(&it.name, it.role.is_norm())).unwrap();
            }
            let loss = loss_of_step(&mut network, step);
            let difference = (loss.double_value(&[]) - wanted).abs();
            assert!(difference < 1e-6 * wanted, "step {step}: loss differs by {difference:e}");
            step_down(&mut optimiser, &loss, &run.lrs[step], run.momenta[step], run.weight_decay);
        }
        let parameters = network.parameters().iter().map(|parameter| (parameter.name.as_str(), &parameter.tensor));
        let all: Vec<_> = parameters.chain(network.statistics()).collect();
        assert_eq!(all.len(), run.r#final.len());
        for (name, tensor) in all {
            let wanted = Tensor::from_slice(&run.r#final[name]);
            let difference = (tensor.detach().contiguous().view([-1]) - &wanted).abs().max() / wanted.abs().max();
            let difference = difference.double_value(&[]);
            assert!(difference < 1e-6, "{name} differs by {difference:e}");
        }
    }
}

#[test]
fn frozen_parameters_have_no_gradient_and_do_not_move() {
    let (fixture, graph) = fixture();
    let (mut network, mut optimiser) = network(&graph, &fixture.groups);
    optimiser.set_trainable(&mut network, |_, parameter| parameter.role.is_norm()).unwrap();
    let before: Vec<Vec<f32>> = network.parameters().iter().map(|it| to_f32(&it.tensor).unwrap()).collect();
    let loss = loss_of_step(&mut network, 0);
    step_down(&mut optimiser, &loss, &[0.1, 0.1], 0.9, 0.1);
    for (parameter, before) in network.parameters().iter().zip(before) {
        let norm = parameter.role.is_norm();
        assert_eq!(parameter.tensor.requires_grad(), norm, "{}", parameter.name);
        assert_eq!(to_f32(&parameter.tensor).unwrap() != before, norm, "{}", parameter.name);
    }
}

#[test]
fn kernels_stay_channels_last_in_the_optimisers_buffer() {
    let (fixture, graph) = fixture();
    let (network, _optimiser) = network(&graph, &fixture.groups);
    let kernel = network.parameters().iter().find(|parameter| parameter.name == "conv.weight").unwrap();
    assert_eq!(kernel.layout, Layout::ChannelsLast);
    assert_eq!((kernel.tensor.size(), kernel.tensor.stride()), (vec![6, 3, 3, 3], vec![27, 1, 9, 3]));
}

#[test]
fn what_is_written_back_gives_the_same_logits() {
    let (fixture, mut graph) = fixture();
    let (mut trained, mut optimiser) = network(&graph, &fixture.groups);
    for step in 0..3 {
        let loss = loss_of_step(&mut trained, step);
        step_down(&mut optimiser, &loss, &[0.01, 0.01], 0.9, 0.01);
    }
    let image = tensor("image", &[2, 16, 16, 3]) * 255.0;
    let before = trained.forward(&image, &["logits"], &Mode::Evaluate).unwrap().remove(0);
    let untrained = network(&graph, &fixture.groups).0.forward(&image, &["logits"], &Mode::Evaluate).unwrap().remove(0);
    trained.write_back(&mut graph).unwrap();
    let after = network(&graph, &fixture.groups).0.forward(&image, &["logits"], &Mode::Evaluate).unwrap().remove(0);
    // The file's float32 is the only difference.
    assert!((&before - after).abs().max().double_value(&[]) < 1e-6);
    assert!((&before - untrained).abs().max().double_value(&[]) > 1e-3);
}

#[test]
fn a_parameter_that_the_loss_does_not_need_is_an_error_that_names_it() {
    let (fixture, graph) = fixture();
    let (mut network, mut optimiser) = network(&graph, &fixture.groups);
    let image = tensor("image", &[2, 16, 16, 3]) * 255.0;
    let pooled = network.forward(&image, &["pooled"], &Mode::Evaluate).unwrap().remove(0);
    let error = optimiser.backward(&pooled.sum(Kind::Double)).unwrap_err();
    assert!(error.to_string().contains("linear."), "{error}");
}

/// The first group's values after one step down the losses of these steps, added up.
fn after_one_step(losses: &[usize], clip: Option<f64>) -> Vec<f32> {
    let (fixture, graph) = fixture();
    let (mut network, mut optimiser) = network(&graph, &fixture.groups);
    for &step in losses {
        let loss = loss_of_step(&mut network, step);
        optimiser.backward(&loss).unwrap();
    }
    // Far from Adam's fixed step length: epsilon outweighs the small gradients that a tight clip leaves.
    optimiser.update(&Update { lrs: &[0.1, 0.1], momentum: 0.9, weight_decay: 0.0, clip }).unwrap();
    network.parameters().iter().flat_map(|parameter| to_f32(&parameter.tensor).unwrap()).collect()
}

#[test]
fn accumulated_gradients_are_averaged() {
    let (once, twice) = (after_one_step(&[0], None), after_one_step(&[0, 0], None));
    assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-6), "the same gradient twice moves as once");
    assert!(after_one_step(&[0, 1], None) != once);
}

#[test]
fn clipped_gradients_move_less_and_short_ones_as_before() {
    let start = after_one_step(&[0], Some(0.0));
    let moved = |clip: Option<f64>| {
        let now = after_one_step(&[0], clip);
        now.iter().zip(&start).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    assert!(moved(Some(1e-5)) < 0.5 * moved(None), "{} {}", moved(Some(1e-5)), moved(None));
    assert!((moved(Some(1e9)) - moved(None)).abs() < 1e-9);
}
