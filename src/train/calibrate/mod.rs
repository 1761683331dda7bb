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

use self::temperature::softmax;
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

/// A model's scores with a calibration, [pictures, labels] row-major, as the calibrated graph gives them to rounding: by
/// `logits`, since a float32 score of 1 stands for all logits from 16.6 up. Labels whose line is the identity keep their
/// `scores`. `single_label` says whether they are a softmax's; else they are a sigmoid's.
pub fn apply(calibration: &Calibration, scores: &[f32], logits: &[f32], labels: usize, single_label: bool) -> Vec<f32> {
    if calibration.is_identity() {
        return scores.to_vec();
    }
    // Rounded as the nodes round.
    let lines = calibration.scales.iter().zip(&calibration.shifts).cycle();
    let moved = logits.iter().zip(lines).map(|(logit, (scale, shift))| (scale * logit + shift, (*scale, *shift)));
    if single_label {
        let moved: Vec<f64> = moved.map(|(logit, _)| logit.into()).collect();
        return moved.chunks(labels.max(1)).flat_map(|row| softmax(row, 1.0)).map(|score| score as f32).collect();
    }
    let calibrated = |((logit, line), &score): ((f32, _), &f32)| {
        if line == (1.0, 0.0) { score } else { sigmoid(logit.into()) as f32 }
    };
    moved.zip(scores).map(calibrated).collect()
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
    use crate::train::metrics::ScoreTable;

    /// The logit of a sigmoid's score.
    pub(super) fn logit(score: f32) -> f32 {
        (score / (1.0 - score)).ln()
    }

    /// The logits of scores that a sigmoid made.
    pub(super) fn logits(scores: &ScoreTable) -> ScoreTable {
        mapped(scores, logit)
    }

    /// Logits whose softmax is these scores.
    pub(super) fn log_scores(scores: &ScoreTable) -> ScoreTable {
        mapped(scores, f32::ln)
    }

    fn mapped(scores: &ScoreTable, map: impl Fn(f32) -> f32) -> ScoreTable {
        let mut table = ScoreTable::new(scores.labels());
        for (row, truth) in scores.rows() {
            let row: Vec<f32> = row.iter().map(|&score| map(score)).collect();
            let truth: Vec<f32> = truth.iter().map(|&truth| f32::from(u8::from(truth))).collect();
            table.extend(&row, &truth);
        }
        table
    }

    #[test]
    fn applying_is_what_the_nodes_compute() {
        let calibration = Calibration { scales: vec![2.0, 1.0], shifts: vec![0.5, 0.0] };
        let ours = apply(&calibration, &[0.5, 0.3, 0.0, 1.0], &[0.0, logit(0.3), -200.0, 20.0], 2, false);
        assert!((f64::from(ours[0]) - sigmoid(0.5)).abs() < 1e-7);
        assert_eq!((ours[1], ours[3]), (0.3, 1.0));
        let cooled = Calibration { scales: vec![0.5], shifts: vec![0.0] };
        let ours = apply(&cooled, &[0.8, 0.2], &[0.8_f32.ln(), 0.2_f32.ln()], 2, true);
        // √.8 : √.2 is 2 : 1.
        assert!((ours[0] - 2.0 / 3.0).abs() < 1e-6 && (ours[1] - 1.0 / 3.0).abs() < 1e-6, "{ours:?}");
    }

    #[test]
    fn scores_that_are_all_1_are_told_apart_by_their_logits() {
        let flat = Calibration { scales: vec![0.1], shifts: vec![-2.0] };
        let ours = apply(&flat, &[1.0, 1.0, 1.0], &[20.0, 40.0, 30.0], 1, false);
        for (found, logit) in ours.iter().zip([0.0, 2.0, 1.0]) {
            assert!((f64::from(*found) - sigmoid(logit)).abs() < 1e-7, "{ours:?}");
        }
    }
}
