//! Train a picture tagger or a keypoint model on your own photos, and serve it; no Python on the way.
//!
//! The modules in reading order.
//!
//! Serving, one request: [`serve`] takes it over HTTP → [`picture`] turns its bytes into the model's pixels → a batch
//! queue of [`serve`] → [`infer`] runs the model → [`answer`] turns outputs into labels or points → JSON.
//!
//! Training, one run (`train`, behind the feature of that name): data set → [`picture`] → augmentation → the [`onnx`]
//! graph, executed on libtorch with gradients → loss → optimiser → thresholds → [`model`] file → the golden check of
//! [`infer`].
//!
//! `serve` and `train` never import each other; [`picture`] and [`answer`] know neither HTTP, nor libtorch, nor ONNX
//! Runtime; only `train` links libtorch.

pub mod answer;
mod drawing;
pub mod drift;
pub mod error;
pub mod feedback;
mod files;
pub mod import;
pub mod infer;
mod lines;
pub mod model;
pub mod onnx;
pub mod output;
pub mod picture;
mod raw;
pub mod serve;
pub mod store;
pub mod thresholds;
pub mod tls;
pub mod tools;
#[cfg(feature = "train")]
pub mod train;
