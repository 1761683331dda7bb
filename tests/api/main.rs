//! The service from outside: the application that `main` builds, on a free port, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy exempts test functions, but not their helpers")]
#![allow(unreachable_pub, reason = "the helpers' modules are this test's own")]

mod annotated;
mod batching;
mod binary;
mod conformance;
mod connections;
mod documentation;
mod drift;
mod errors;
#[cfg(unix)]
mod faults;
mod forms;
mod golden;
mod helpers;
#[cfg(target_os = "linux")]
mod hostile;
mod importing;
mod isolation;
mod json;
mod keys;
mod labels;
mod lifecycle;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod models;
mod page;
mod points;
mod precision;
mod protocol;
mod queue;
mod replicas;
mod sdk;
mod shadow;
mod store;
mod stores;
mod streams;
mod tools;
mod traces;
mod unread;
mod uploads;
mod versions;
