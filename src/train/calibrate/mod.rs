//! Score calibration: which scale and shift of the logits make scores the frequencies that they promise.
//!
//! A multi-label model's labels are calibrated one by one, by Platt's method: logistic regression on the logit, with
//! targets (N₊ + 1)/(N₊ + 2) and 1/(N₋ + 2) instead of 1 and 0, which keeps separable labels finite. A single-label
//! model gets one temperature for all labels. Both are fitted on validation scores, in f64, by methods without a draw.
//!
//! Fitting and measuring on the same pictures flatters, so errors are measured by two-fold cross-validation, and what
//! does not make the cross-validated log loss smaller is not kept. Neither changes the order of a label's scores
//! (multi-label) or of a picture's scores (single-label), nor, therefore, average precision or accuracy.

mod platt;
mod temperature;

pub use platt::calibrate_labels;
pub use temperature::calibrate_classes;

use self::{platt::IDENTITY, temperature::softmax};
use crate::onnx::calibrate::Calibration;

/// A label with fewer positive or negative examples is left as it is.
pub const MIN_EXAMPLES: usize = 10;

/// A calibration, and what it is worth on pictures that it was not fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// What to put into the graph; the identity where nothing was better.
    pub calibration: Calibration,
    /// What came of each label; of all labels together for a single-label model.
    pub parts: Vec<Part>,
    /// Expected calibration error of the scores as they were: the mean over labels for a multi-label model.
    pub error_before: f64,
    /// The same with the calibration, cross-validated.
    pub error_after: f64,
}

/// What came of one label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Whether it is calibrated, and why not.
    pub outcome: Outcome,
    /// Its expected calibration error before.
    pub error_before: f64,
    /// The same afterwards, cross-validated.
    pub error_after: f64,
}

/// Whether a label is calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Fitted,
    /// It has fewer than [`MIN_EXAMPLES`] positive or negative examples.
    TooFewExamples,
    /// The cross-validated log loss would not have become smaller.
    NoBetter,
}

/// A model's scores with a calibration: [pictures, labels] row-major, as the calibrated graph gives them to rounding.
/// `single_label` says whether the scores are a softmax's; else they are a sigmoid's.
pub fn apply(calibration: &Calibration, scores: &[f32], labels: usize, single_label: bool) -> Vec<f32> {
    if calibration.is_identity() {
        return scores.to_vec();
    }
    let line = |label: usize| {
        let place = label.min(calibration.scales.len().saturating_sub(1));
        (f64::from(calibration.scales[place]), f64::from(calibration.shifts[place]))
    };
    let calibrated = |row: &[f32]| -> Vec<f32> {
        if single_label {
            return softmax(&row.iter().map(log_score).collect::<Vec<_>>(), line(0).0)
                .map(|score| score as f32)
                .collect();
        }
        let lines = row.iter().enumerate().map(|(label, &score)| (line(label), score));
        lines
            .map(
                |((scale, shift), score)| {
                    if (scale, shift) == IDENTITY { score } else { sigmoid(scale * logit(score) + shift) as f32 }
                },
            )
            .collect()
    };
    scores.chunks(labels.max(1)).flat_map(calibrated).collect()
}

/// The logarithm of a softmax's score, kept finite: its logit less a number that the softmax does not see.
fn log_score(score: &f32) -> f64 {
    f64::from(*score).max(f64::from(f32::MIN_POSITIVE)).ln()
}

/// The logit of a sigmoid's score, kept finite: a float32 score of 1 is anything from 16.6 up.
fn logit(score: f32) -> f64 {
    let score = f64::from(score).clamp(f64::from(f32::MIN_POSITIVE), 1.0 - f64::from(f32::EPSILON) / 4.0);
    (score / (1.0 - score)).ln()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Binary cross-entropy of a logit with a target in 0…1: ln(1 + eˣ) − target·x.
fn log_loss(x: f64, target: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() - target * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applying_is_what_the_nodes_compute() {
        let calibration = Calibration { scales: vec![2.0, 1.0], shifts: vec![0.5, 0.0] };
        let ours = apply(&calibration, &[0.5, 0.3, 0.0, 1.0], 2, false);
        assert!((f64::from(ours[0]) - sigmoid(0.5)).abs() < 1e-7);
        assert_eq!((ours[1], ours[3]), (0.3, 1.0));
        let cooled = apply(&Calibration { scales: vec![0.5], shifts: vec![0.0] }, &[0.8, 0.2], 2, true);
        // √.8 : √.2 is 2 : 1.
        assert!((cooled[0] - 2.0 / 3.0).abs() < 1e-6 && (cooled[1] - 1.0 / 3.0).abs() < 1e-6, "{cooled:?}");
    }
}
