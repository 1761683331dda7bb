//! The service from outside: the application that `main` builds, on a free port, asked over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy exempts test functions, but not their helpers")]
#![allow(unreachable_pub, reason = "the helpers' modules are this test's own")]

mod batching;
mod binary;
mod documentation;
mod errors;
mod forms;
mod golden;
mod helpers;
mod importing;
mod labels;
mod lifecycle;
mod models;
mod points;
mod queue;
mod shadow;
mod versions;
