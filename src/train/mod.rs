//! The trainer: a data set in, a model file out.

pub mod network;
pub mod optimiser;
pub mod random;
pub mod runtime;
