//! The trainer: a data set in, a model file out.
//!
//! One run in reading order: [`commands`] read the [`dataset`] and make a [`loader`], which decodes frames,
//! changes them by [`augment`] and batches them → [`learner`] builds the graph, runs it by [`network`], asks the
//! [`objective`] for its loss and moves the weights by [`optimiser`] as [`schedule`] says → [`evaluate`] judges by
//! [`metrics`] → [`operating_points`] → [`save`] assembles the model file and proves it under ONNX Runtime.

pub mod augment;
pub mod backbone;
pub mod calibrate;
pub mod commands;
pub mod dataset;
pub mod device;
mod dropout;
pub mod environment;
mod error;
pub mod evaluate;
pub mod groups;
pub mod initial;
pub mod learner;
pub mod loader;
pub mod losses;
pub mod lr_find;
pub mod metrics;
pub mod network;
pub mod objective;
pub mod observer;
pub mod operating_points;
pub mod optimiser;
pub mod precision;
pub mod progress;
pub mod quantize;
pub mod random;
pub mod recipe;
mod refit;
pub mod report;
pub mod run_folder;
pub mod save;
pub mod schedule;
pub mod shapes;
mod start;
pub mod task;
pub mod thresholds;
pub mod tta;
pub mod weights;

pub use error::TrainError;

/// What files that the trainer writes say that they were made by.
pub(crate) const TOOL: &str = concat!("tagpoint-train ", env!("CARGO_PKG_VERSION"));

/// The time in RFC 3339, to the second.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}
