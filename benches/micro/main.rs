//! Micro-benchmarks of a request's parts: `cargo bench --locked --bench micro`, and `-- decode` for those alone whose
//! name has that in it.
//!
//! The queue is the server's own and private: `queue` measures it from outside, as a request's whole way through a model
//! that takes no time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on panics")]
#![allow(missing_docs, unreachable_pub, reason = "nobody else uses it")]

#[path = "../../tests/api/helpers/mod.rs"]
#[allow(dead_code, reason = "the API tests' helpers, of which an application with one model is used")]
mod helpers;
mod json;
mod photos;
mod picture;
mod queue;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, picture::decode, picture::resize, queue::queue, json::json);
criterion_main!(benches);
