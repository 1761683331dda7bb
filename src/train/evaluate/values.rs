//! Metrics of models that answer numbers, each in its value's own unit.

use super::{Named, each, recorded, shown};
use crate::train::{
    dataset::{Example, Target},
    metrics::{mean, mean_absolute_error, r_squared, root_mean_squared_error},
};

/// RMSE and R² are shown, MAE and those of each value are recorded. Those over all values are plain means of the
/// values' own, as in scikit-learn, so of values in different units R² says most.
pub(super) fn judge_values(outputs: &[f32], examples: &[Example], names: &[String]) -> (Named, Named) {
    let columns: Vec<Vec<(f64, f64)>> =
        (0..names.len()).map(|place| column(outputs, examples, place, names.len())).collect();
    let of = |metric: fn(&[(f64, f64)]) -> Option<f64>| columns.iter().map(|column| metric(column)).collect::<Vec<_>>();
    let (squared, absolute, explained) = (of(root_mean_squared_error), of(mean_absolute_error), of(r_squared));
    let mean_of = |values: &[Option<f64>]| mean(values.iter().flatten().copied());
    let metrics = shown([("rmse", mean_of(&squared)), ("r2", mean_of(&explained))]);
    let mut details = recorded([("mae", mean_of(&absolute))]);
    for (metric, values) in [("rmse", squared), ("mae", absolute), ("r2", explained)] {
        details.extend(each(metric, names.iter(), values.into_iter()));
    }
    (metrics, details)
}

/// Predicted and true values at a place, of the pictures where the true one is known.
fn column(outputs: &[f32], examples: &[Example], place: usize, values: usize) -> Vec<(f64, f64)> {
    let known = |(row, example): (&[f32], &Example)| match &example.target {
        Target::Values(truth) => Some((f64::from(row[place]), truth.get(place).copied().flatten()?)),
        Target::Labels(_) | Target::Points(_) => None,
    };
    outputs.chunks_exact(values.max(1)).zip(examples).filter_map(known).collect()
}
