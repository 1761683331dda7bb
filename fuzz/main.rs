//! One of the targets of `tests/fuzz`, by name in `TAGPOINT_FUZZ_TARGET`, under libFuzzer.
#![no_main]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is a finding")]
#![allow(dead_code, reason = "the corpus is libFuzzer's to read")]

#[path = "../tests/fuzz/targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::TARGETS;

/// The server's (`src/bin/tagpoint.rs`): under glibc's, which keeps what decoders gave back, two million forms ended 210 MB larger
/// than they began while all that was not libFuzzer's own grew by 35 kB in 130,000 of them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TAGPOINT_FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).expect("TAGPOINT_FUZZ_TARGET names a target").run
});

fuzz_target!(init: pass_over_what_is_caught(), |bytes: &[u8]| RUN(bytes));

/// Panics of these crates are known and caught where they are called (`src/picture/raster.rs`); all others end the run.
fn pass_over_what_is_caught() {
    const CAUGHT: [&str; 2] = ["image-webp-0.2.4", "png-0.18.1"];
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |location| location.file());
        if !CAUGHT.iter().any(|name| place.contains(name)) {
            end(panic);
        }
    }));
}
