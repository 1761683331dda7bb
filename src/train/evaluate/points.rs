//! Metrics of keypoint models, in pixels of the original pictures.

use super::{Named, each, recorded, shown};
use crate::{
    model::Points,
    picture::ResizeRule,
    train::{
        dataset::{Example, Target},
        metrics::{self, PointSample},
    },
};

/// The share of the longer side within which a point counts as correct (`pck_05`).
const REACH: f64 = 0.05;
/// The normalised error at which the cumulative error curve is cut (`nme_auc_08`).
const CUT: f64 = 0.08;

/// Mean point error and NME by the task's pair are shown; PCK, the area under the error curve, and the error of each
/// point are recorded. All are over all labelled points, those outside the frame included.
pub(super) fn judge_points(
    outputs: &[f32],
    examples: &[Example],
    rule: &ResizeRule,
    points: &Points,
) -> (Named, Named) {
    let rows = outputs.chunks_exact(2 * points.names.len());
    let samples: Vec<PointSample> = rows.zip(examples).map(|(row, example)| point_sample(row, example, rule)).collect();
    let mut metrics = shown([("point_error_px", metrics::mean_point_error(&samples))]);
    let mut details = recorded([("pck_05", metrics::correct_keypoints(&samples, REACH))]);
    if let Some(pair) = points.nme_pair {
        metrics.extend(shown([("nme", metrics::normalised_mean_error(&samples, pair))]));
        details.extend(recorded([("nme_auc_08", metrics::error_curve_area(&samples, pair, CUT))]));
    }
    if points.names.len() > 1 {
        let errors = (0..points.names.len()).map(|place| metrics::mean_point_error(&alone(&samples, place)));
        details.extend(each("point_error_px", points.names.iter(), errors));
    }
    (metrics, details)
}

/// The samples with one point only.
fn alone(samples: &[PointSample], place: usize) -> Vec<PointSample> {
    let of = |sample: &PointSample| PointSample {
        predicted: sample.predicted.get(place).copied().into_iter().collect(),
        truth: sample.truth.get(place).copied().into_iter().collect(),
        size: sample.size,
    };
    samples.iter().map(of).collect()
}

/// One picture's outputs, −1…1 being the model's frame, as pixels of the original picture.
pub(in crate::train) fn point_sample(row: &[f32], example: &Example, rule: &ResizeRule) -> PointSample {
    let placement = rule.placement(example.size);
    let to_original = |point| placement.to_original(rule.size.from_unit(point));
    let predicted = row.as_chunks::<2>().0.iter().map(|&[x, y]| to_original((f64::from(x), f64::from(y)))).collect();
    let truth = match &example.target {
        Target::Points(truth) => truth.clone(),
        Target::Labels(_) | Target::Values(_) => Vec::new(),
    };
    PointSample { predicted, truth, size: example.size }
}
