//! What is fuzzed: each target takes any bytes, and has to give an answer or an error for them. A panic, a status that no
//! client should cause, or an answer that contradicts itself is a finding.
//!
//! `tests/fuzz` runs them all on their corpora and on seeded damage of these, in every test run; `scripts/fuzz` runs one
//! for as long as wanted under libFuzzer, which follows the coverage and bounds memory and time.

mod data;
mod model;
mod picture;
mod requests;
mod server;

use std::path::PathBuf;

/// One thing that reads bytes from outside.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Times that a test run damages an input for it: a few seconds' worth.
    pub times: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), times: usize) -> Target {
    Target { name, run, times }
}

pub const TARGETS: [Target; 11] = [
    target("picture", picture::decode, 4000),
    target("onnx", model::onnx, 1000),
    target("manifest", model::manifest, 20_000),
    target("sidecar", model::sidecar, 20_000),
    target("multipart", requests::multipart, 1500),
    target("json", requests::json, 1500),
    target("infer", requests::infer, 1500),
    target("grpc", requests::grpc, 1500),
    target("csv", data::csv, 1000),
    target("coco", data::coco, 1000),
    target("voc", data::voc, 1000),
];

/// The inputs that a target starts from: `tests/fuzz/corpus/NAME`, and files that other tests have anyway.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let tests = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    let mut folders = vec![tests.join("fuzz/corpus").join(name)];
    if name == "picture" {
        folders.push(tests.join("fixtures/pictures/pictures"));
    }
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}
