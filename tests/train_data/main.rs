//! Data sets: every format, every split, what is refused and what is found, and the batches made of them.
#![cfg(feature = "train")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests state what they expect by panicking"
)]

mod check;
mod coco;
mod folders;
mod helpers;
mod loader;
mod program;
mod pts;
mod real;
mod remembered;
mod splits;
mod table;
mod voc;
