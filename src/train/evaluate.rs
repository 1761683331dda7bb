//! Judging a network on the validation split.

use tch::no_grad;

use super::{
    TrainError,
    dataset::{Dataset, Example, Target},
    loader::Loader,
    metrics::{self, PointSample, ScoreTable},
    network::{Mode, Network, to_f32},
    objective::Objective,
};
use crate::{
    model::{Label, Points, Task},
    picture::ResizeRule,
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

impl Evaluation {
    /// A metric's value, or the loss by the name `loss`; `None` where there is no such metric or it is no number.
    pub fn value(&self, name: &str) -> Option<f64> {
        let mut all = self.metrics.iter().chain(&self.details);
        let value =
            if name == "loss" { Some(self.loss) } else { all.find(|(known, _)| known == name).map(|(_, v)| *v) };
        value.filter(|value| value.is_finite())
    }

    /// The names of all metrics.
    pub fn names(&self) -> Vec<&str> {
        let named = self.metrics.iter().chain(&self.details).map(|(name, _)| name.as_str());
        std::iter::once("loss").chain(named).collect()
    }
}

/// What judging needs beside the network and its batches.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Whose validation split it is.
    pub dataset: &'a Dataset,
    /// How its pictures become frames.
    pub rule: ResizeRule,
    /// The threshold of `accuracy_multi`.
    pub threshold: f64,
}

/// Judges a network.
///
/// # Errors
/// A picture that can no longer be read, or a failure of libtorch.
pub fn evaluate(
    network: &mut Network,
    task: &Task,
    loader: &Loader,
    objective: &Objective,
    judge: &Judge<'_>,
) -> Result<Evaluation, TrainError> {
    let (mut outputs, mut total, mut count) = (Vec::new(), 0.0, 0);
    for batch in loader.valid() {
        let batch = batch?;
        let (loss, output) = no_grad(|| objective.run(network, judge.rule.size, &batch, &Mode::Evaluate))?;
        total += loss.double_value(&[]) * batch.items.len() as f64;
        count += batch.items.len();
        outputs.extend(to_f32(&output)?);
    }
    let examples = &judge.dataset.valid;
    let (metrics, details) = match task {
        Task::MultiLabel { labels } => {
            label_metrics(&score_table(&outputs, examples, labels.len()), labels, judge.threshold)
        }
        Task::Points(points) => (point_metrics(&outputs, examples, &judge.rule, points), Vec::new()),
        Task::SingleLabel { .. } | Task::Values(_) => (Vec::new(), Vec::new()),
    };
    Ok(Evaluation { loss: total / count.max(1) as f64, outputs, metrics, details })
}

type Named = Vec<(String, f64)>;

/// The scores of the validation split beside what is true.
pub fn score_table(scores: &[f32], examples: &[Example], labels: usize) -> ScoreTable {
    let mut table = ScoreTable::new(labels);
    for (scores, example) in scores.chunks_exact(labels.max(1)).zip(examples) {
        let mut targets = vec![0.0; labels];
        if let Target::Labels(places) = &example.target {
            places.iter().for_each(|&place| targets[place] = 1.0);
        }
        table.extend(scores, &targets);
    }
    table
}

/// mAP and accuracy for the table of epochs; the average precision of each label for the record.
fn label_metrics(table: &ScoreTable, labels: &[Label], threshold: f64) -> (Named, Named) {
    let precision = metrics::mean_average_precision(table);
    let accuracy = metrics::accuracy_multi(table, threshold as f32);
    let shown = vec![
        ("map".to_owned(), precision.mean.unwrap_or(f64::NAN)),
        ("accuracy_multi".to_owned(), accuracy.unwrap_or(f64::NAN)),
    ];
    let each = labels.iter().zip(&precision.per_label);
    let details = each.filter_map(|(label, value)| Some((format!("average_precision/{}", label.name), (*value)?)));
    (shown, details.collect())
}

/// Mean point error and NME by the task's pair, over all labelled points, in pixels of the original pictures.
fn point_metrics(outputs: &[f32], examples: &[Example], rule: &ResizeRule, points: &Points) -> Named {
    let rows = outputs.chunks_exact(2 * points.names.len());
    let samples: Vec<PointSample> = rows.zip(examples).map(|(row, example)| point_sample(row, example, rule)).collect();
    let mut named = vec![("point_error_px".to_owned(), metrics::mean_point_error(&samples))];
    if let Some(pair) = points.nme_pair {
        named.push(("nme".to_owned(), metrics::normalised_mean_error(&samples, pair)));
    }
    named.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect()
}

/// One picture's outputs, −1…1 being the model's frame, as pixels of the original picture.
pub(super) fn point_sample(row: &[f32], example: &Example, rule: &ResizeRule) -> PointSample {
    let placement = rule.placement(example.size);
    let to_original = |point| placement.to_original(rule.size.from_unit(point));
    let predicted = row.as_chunks::<2>().0.iter().map(|&[x, y]| to_original((f64::from(x), f64::from(y)))).collect();
    let truth = match &example.target {
        Target::Points(truth) => truth.clone(),
        Target::Labels(_) | Target::Values(_) => Vec::new(),
    };
    PointSample { predicted, truth, size: example.size }
}
