//! Judging a network on the validation split.

mod classes;
mod labels;
mod points;
mod values;

use tch::{Kind, Tensor, no_grad};

pub(super) use self::points::point_sample;

use super::{
    TrainError,
    dataset::{Dataset, Example, Target},
    loader::Loader,
    metrics::{ConfusionMatrix, Counts, ScoreTable},
    network::{Mode, Network, to_f32},
    objective::{Fed, Objective},
};
use crate::{model::Task, picture::ResizeRule};

/// A network's outputs on the validation split, and what they are worth.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean loss over the split, weighted by the batches' sizes; NaN where outputs do not come from one run, and of labels
    /// without logits.
    pub loss: f64,
    /// The outputs, [pictures, output elements] row-major, in the split's order.
    pub outputs: Vec<f32>,
    /// The logits of a model with labels, as the outputs; empty for other tasks, where outputs do not come from one run,
    /// and of a graph that has none.
    pub logits: Vec<f32>,
    /// Metrics by name, in the order in which they are shown; NaN where there is nothing to measure.
    pub metrics: Vec<(String, f64)>,
    /// Metrics by name that are recorded but not shown in the table of epochs, such as those of each label; those with
    /// nothing to measure are left out.
    pub details: Vec<(String, f64)>,
    /// What was said of each label, right and wrong: at its threshold, or where it was the best one of a single-label
    /// model. Empty for other tasks.
    pub per_label: Vec<Counts>,
    /// Single-label models only.
    pub confusion: Option<ConfusionMatrix>,
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
    let batches = loader.valid().map(|batch| Ok(Fed::from(batch?)));
    evaluate_on(network, task, batches, objective, judge)
}

/// Judges a network on what it is fed: the validation split, in order.
pub(super) fn evaluate_on(
    network: &mut Network,
    task: &Task,
    batches: impl Iterator<Item = Result<Fed, TrainError>>,
    objective: &Objective,
    judge: &Judge<'_>,
) -> Result<Evaluation, TrainError> {
    let (mut all_logits, mut outputs, mut count) = (Vec::new(), Vec::new(), 0);
    let mut total = Tensor::f_zeros([0; 0], (Kind::Double, network.device()))?;
    for fed in batches {
        let fed = fed?;
        let (loss, logits, output) = no_grad(|| objective.run(network, judge.rule.size, &fed, &Mode::Evaluate))?;
        total = total.f_add(&loss.f_to_kind(Kind::Double)?.f_mul_scalar(fed.batch.items.len() as f64)?)?;
        count += fed.batch.items.len();
        // A card still works on it; what it gives is fetched at the end.
        outputs.push(output);
        all_logits.extend(logits);
    }
    let fetched = |parts: Vec<Tensor>| match parts.as_slice() {
        [] => Ok(Vec::new()),
        parts => to_f32(&Tensor::f_cat(parts, 0)?),
    };
    let loss = total.f_double_value(&[])? / count.max(1) as f64;
    Ok(Evaluation { logits: fetched(all_logits)?, ..Evaluation::of(task, fetched(outputs)?, loss, judge) })
}

type Named = Vec<(String, f64)>;

impl Evaluation {
    /// What outputs on the validation split, [pictures, output elements] row-major, are worth, each label being said at
    /// its default threshold.
    pub fn of(task: &Task, outputs: Vec<f32>, loss: f64, judge: &Judge<'_>) -> Self {
        let examples = &judge.dataset.valid;
        let (mut per_label, mut confusion) = (Vec::new(), None);
        let (metrics, details) = match task {
            Task::MultiLabel { labels } => {
                let table = score_table(&outputs, examples, labels.len());
                labels::judge_labels(&table, labels, judge.threshold, &mut per_label)
            }
            Task::SingleLabel { labels } => {
                let table = score_table(&outputs, examples, labels.len());
                classes::judge_classes(&table, labels, &mut per_label, &mut confusion)
            }
            Task::Points(points) => points::judge_points(&outputs, examples, &judge.rule, points),
            Task::Values(values) => values::judge_values(&outputs, examples, &values.names),
        };
        Self { loss, outputs, logits: Vec::new(), metrics, details, per_label, confusion }
    }

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

/// Metrics that are shown even where there is nothing to measure.
fn shown<const N: usize>(metrics: [(&str, Option<f64>); N]) -> Named {
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or(f64::NAN))).collect()
}

/// Metrics that are recorded where there is something to measure.
fn recorded<const N: usize>(metrics: [(&str, Option<f64>); N]) -> Named {
    metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A metric of each of these names, as `METRIC/NAME`, where there is something to measure.
fn each<'a>(
    metric: &'a str,
    names: impl Iterator<Item = &'a String> + 'a,
    values: impl Iterator<Item = Option<f64>> + 'a,
) -> impl Iterator<Item = (String, f64)> + 'a {
    names.zip(values).filter_map(move |(name, value)| Some((format!("{metric}/{name}"), value?)))
}
