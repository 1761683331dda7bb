//! The trainer: a data set in, a model file out.

pub mod dataset;
pub mod losses;
pub mod network;
pub mod random;
pub mod schedule;
