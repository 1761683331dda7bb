//! Every fuzz target on its corpus and on seeded damage of it: the short run of what `scripts/fuzz` does for hours.
//!
//! `TAGPOINT_FUZZ=N` damages N times as many inputs.
#![cfg(feature = "train")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy exempts test functions, but not their helpers"
)]
#![allow(unreachable_pub, reason = "the modules are this test's own")]

mod mutation;
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use mutation::{Random, damage};
use targets::{TARGETS, Target, corpus};

/// Far more than any of these small inputs may take.
const TOO_LONG: Duration = Duration::from_secs(10);

/// Runs a target; says what it was given where that fails.
fn run(target: &Target, input: &[u8], what: &str) {
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = began.elapsed();
    if outcome.is_err() || took > TOO_LONG {
        let path = std::env::temp_dir().join(format!("tagpoint-fuzz-{}", target.name));
        std::fs::write(&path, input).unwrap();
        panic!("{}: {what} fails or takes too long ({took:?}): {}", target.name, path.display());
    }
}

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(name);
    assert!(!corpus.is_empty());
    for (place, input) in corpus.iter().enumerate() {
        run(target, input, &format!("input {place}"));
    }
    let times = target.times * std::env::var("TAGPOINT_FUZZ").map_or(1, |times| times.parse().unwrap());
    for seed in 0..times as u64 {
        let mut random = Random::new(seed);
        let (input, other) = (&corpus[random.below(corpus.len())], &corpus[random.below(corpus.len())]);
        run(target, &damage(input, other, &mut random), &format!("seed {seed}"));
    }
}

macro_rules! targets {
    ($($name:ident),*) => { $(#[test] fn $name() { fuzz(stringify!($name)); })* };
}

targets!(picture, onnx, manifest, sidecar, multipart, json, infer, grpc, csv, coco, voc);
