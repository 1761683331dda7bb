//! Seconds per training step of MobileNetV2 (128 px, batch 64): `cargo run --release --features train --example
//! training_step [threads] [steps]`. `scripts/peers/training_step.py` times the same in PyTorch.
#![allow(clippy::print_stdout, reason = "an example prints what it measures")]

use std::time::Instant;

use anyhow::{Context as _, Result};
use tagpoint::{
    onnx::{OPSET_VERSION, arch::Architecture, weights::fill},
    picture::PictureSize,
    train::{
        environment,
        network::{Mode, Network},
        optimiser::{Optimiser, Update},
    },
};
use tch::{Device, Kind, Reduction, Tensor};

const SIDE: u32 = 128;
const BATCH: i64 = 64;
const CLASSES: i64 = 10;

fn main() -> Result<()> {
    environment::settle()?;
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let threads = arguments.next().transpose()?.unwrap_or(2);
    let steps = arguments.next().transpose()?.unwrap_or(8);
    tch::set_num_threads(i32::try_from(threads)?);
    let mut graph = Architecture::MobilenetV2.build(PictureSize { width: SIDE, height: SIDE }, CLASSES);
    fill(&mut graph, starting_values)?;
    let mut network = Network::new(&graph, OPSET_VERSION, Device::Cpu, Kind::Float)?;
    let places = (0..network.parameters().len()).collect();
    let mut optimiser = Optimiser::new(&mut network, vec![places])?;
    let side = i64::from(SIDE);
    let image = Tensor::f_rand([BATCH, side, side, 3], (Kind::Float, Device::Cpu))? * 255.0;
    let targets = Tensor::f_zeros([BATCH, CLASSES], (Kind::Float, Device::Cpu))?;
    let dropout = |_: &str, shape: &[i64], _: f64| Ok(Tensor::ones(shape, (Kind::Float, Device::Cpu)));
    let mut times = Vec::new();
    for step in 0..steps {
        let start = Instant::now();
        let logits = network.forward(&image, &["logits"], &Mode::Train { dropout: &dropout })?;
        let none = None::<&Tensor>;
        let loss = logits[0].f_binary_cross_entropy_with_logits(&targets, none, none, Reduction::Mean)?;
        let forward = start.elapsed().as_secs_f64();
        optimiser.backward(&loss)?;
        optimiser.update(&Update { lrs: &[1e-3], momentum: 0.9, weight_decay: 0.01, clip: None })?;
        times.push(start.elapsed().as_secs_f64());
        println!("step {step}: {:.3} s, of which forward {forward:.3} s", times[step]);
    }
    times.sort_by(f64::total_cmp);
    println!("median {:.3} s", times.get(steps / 2).context("no step was timed")?);
    Ok(())
}

/// Kaiming's scale with a fixed pattern; time does not depend on values.
fn starting_values(name: &str, shape: &[i64]) -> Vec<f32> {
    let fan_in = shape.iter().skip(1).product::<i64>() as f32;
    let value = |i: i64| match (shape.len(), name.ends_with("weight") || name.ends_with("running_var")) {
        (1, norm) => f32::from(u8::from(norm)),
        _ => ((i as f32 * 0.754_877_7).fract() * 2.0 - 1.0) * (6.0 / fan_in).sqrt(),
    };
    (0..shape.iter().product()).map(value).collect()
}
