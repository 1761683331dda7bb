//! The interpreter and the optimiser against PyTorch's numbers, which scripts/fixtures/network.py made.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests state what they expect by panicking")]

mod backbones;
mod formula;
mod optimiser;
mod torchvision;
