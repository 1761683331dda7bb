//! One of the targets of `tests/fuzz`, by name in `TAGPOINT_FUZZ_TARGET`, under libFuzzer.
#![no_main]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is a finding")]
#![allow(dead_code, reason = "the corpus is libFuzzer's to read")]

#[path = "../tests/fuzz/targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::TARGETS;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TAGPOINT_FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).expect("TAGPOINT_FUZZ_TARGET names a target").run
});

fuzz_target!(|bytes: &[u8]| RUN(bytes));
