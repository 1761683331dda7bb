//! Calibrating a single-label model: one temperature for all its logits.

use super::{Calibrated, MIN_EXAMPLES, Outcome, Part};
use crate::{
    onnx::calibrate::Calibration,
    train::metrics::{ScoreTable, only_label, top_calibration_error},
};

/// The largest inverse temperature, and the inverse of the smallest.
const MAX_SCALE: f64 = 20.0;

/// Finds one temperature for a single-label model by its logits.
///
/// Pictures that have not exactly one true label are left out. Targets are smoothed by 1/(N + 2), so that a model that
/// makes no mistake does not become infinitely sure.
pub fn calibrate_classes(logits: &ScoreTable) -> Calibrated {
    let rows: Vec<Row> = logits.rows().filter_map(|(logits, truth)| Row::new(logits, truth)).collect();
    let error = |scales: [f64; 2]| {
        let mut said = ScoreTable::new(logits.labels());
        for (i, row) in rows.iter().enumerate() {
            let scores: Vec<f32> = softmax(&row.logits, scales[i % 2]).map(|score| score as f32).collect();
            let mut targets = vec![0.0; scores.len()];
            targets[row.truth] = 1.0;
            said.extend(&scores, &targets);
        }
        top_calibration_error(&said).unwrap_or(0.0)
    };
    let error_before = error([1.0; 2]);
    let result = |outcome, scale: f64, error_after| Calibrated {
        calibration: Calibration { scales: vec![scale as f32], shifts: vec![0.0] },
        parts: vec![Part { outcome, error_before, error_after }],
        error_before,
        error_after,
    };
    if rows.len() < 2 * MIN_EXAMPLES {
        return result(Outcome::TooFewExamples, 1.0, error_before);
    }
    let all: Vec<&Row> = rows.iter().collect();
    let half = |fold: usize| -> Vec<&Row> { rows.iter().skip(fold).step_by(2).collect() };
    let fitted = |rows: &[&Row]| inverse_temperature(rows, 1.0 / (rows.len() as f64 + 2.0));
    let scales = [fitted(&half(1)), fitted(&half(0))];
    let loss = |scales: [f64; 2]| -> f64 { rows.iter().enumerate().map(|(i, row)| row.log_loss(scales[i % 2])).sum() };
    if loss(scales) >= loss([1.0; 2]) {
        return result(Outcome::NoBetter, 1.0, error_before);
    }
    result(Outcome::Fitted, fitted(&all), error(scales))
}

/// One picture of a single-label model.
struct Row {
    logits: Vec<f64>,
    truth: usize,
}

impl Row {
    fn new(logits: &[f32], truth: &[bool]) -> Option<Self> {
        Some(Self { truth: only_label(truth)?, logits: logits.iter().copied().map(f64::from).collect() })
    }

    /// Minus the logarithm of the true label's score, where logits are multiplied by `scale`.
    fn log_loss(&self, scale: f64) -> f64 {
        let score = softmax(&self.logits, scale).nth(self.truth).unwrap_or_default();
        -score.max(f64::MIN_POSITIVE).ln()
    }
}

/// The softmax of logits that are multiplied by `scale`.
pub(super) fn softmax(logits: &[f64], scale: f64) -> impl Iterator<Item = f64> + '_ {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let power = move |z: &f64| (scale * (z - highest)).exp();
    let sum: f64 = logits.iter().map(power).sum();
    logits.iter().map(move |z| power(z) / sum)
}

/// The factor of the logits with the smallest log loss. The loss is convex in it, so halving the interval in which its
/// slope changes sign finds it. `smoothing` is how much of each target is spread over the other labels.
fn inverse_temperature(rows: &[&Row], smoothing: f64) -> f64 {
    let slope = |scale: f64| -> f64 {
        let of_row = |row: &&Row| {
            let others = smoothing / (row.logits.len().max(2) - 1) as f64;
            let target = |label: usize| if label == row.truth { 1.0 - smoothing } else { others };
            let gaps = softmax(&row.logits, scale).zip(&row.logits).enumerate();
            gaps.map(|(label, (score, z))| (score - target(label)) * z).sum::<f64>()
        };
        rows.iter().map(of_row).sum()
    };
    let (mut low, mut high) = (-MAX_SCALE.ln(), MAX_SCALE.ln());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if slope(middle.exp()) < 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::log_scores, *};
    use crate::train::metrics::fixture::reference;

    #[test]
    fn the_temperature_is_scikit_learns() {
        for case in reference().single_label {
            let table = log_scores(&case.table());
            let rows: Vec<Row> = table.rows().filter_map(|(logits, truth)| Row::new(logits, truth)).collect();
            let ours = inverse_temperature(&rows.iter().collect::<Vec<_>>(), 0.0);
            assert!((ours - case.inverse_temperature).abs() < 1e-6, "{ours} {}", case.inverse_temperature);
        }
    }

    #[test]
    fn overconfident_classes_are_cooled() {
        let case = &reference().single_label[0];
        let found = calibrate_classes(&log_scores(&case.table()));
        assert_eq!(found.parts[0].outcome, Outcome::Fitted);
        assert!((0.6..0.8).contains(&found.calibration.scales[0]), "{found:?}");
        let faultless = ScoreTable::new(2);
        assert_eq!(calibrate_classes(&faultless).parts[0].outcome, Outcome::TooFewExamples);
        let mut sure = ScoreTable::new(2);
        (0..50).for_each(|_| sure.extend(&[0.8, 0.2], &[1.0, 0.0]));
        assert!(calibrate_classes(&log_scores(&sure)).calibration.scales[0] < 20.0);
    }
}
