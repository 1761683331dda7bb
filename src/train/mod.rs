//! The trainer: a data set in, a model file out.

pub mod augment;
pub mod dataset;
pub mod loader;
pub mod losses;
pub mod metrics;
pub mod network;
pub mod random;
pub mod schedule;
pub mod thresholds;
