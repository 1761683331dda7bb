//! Judging a network on the validation split.

use tch::no_grad;

use super::{
    TrainError,
    learner::batch_loss,
    loader::Loader,
    metrics,
    network::{Mode, Network},
};
use crate::{model::Task, picture::PictureSize};

/// A network's outputs on the validation split, and what they are worth.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean loss over the split, weighted by the batches' sizes.
    pub loss: f64,
    /// The outputs, [pictures, output elements] row-major, in the split's order.
    pub outputs: Vec<f32>,
    /// Metrics by name, in the order in which they are shown.
    pub metrics: Vec<(&'static str, f64)>,
}
