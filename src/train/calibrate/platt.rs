//! Calibrating labels one by one: logistic regression on the logit, by Platt's method.

use super::{Calibrated, MIN_EXAMPLES, Outcome, Part, log_loss, sigmoid};
use crate::{
    onnx::calibrate::Calibration,
    train::metrics::{ScoreTable, calibration_error},
};

/// Calibrates each label of a multi-label model by its logits.
pub fn calibrate_labels(logits: &ScoreTable) -> Calibrated {
    let mut calibration = Calibration::identity(logits.labels());
    let mut parts = Vec::new();
    for label in 0..logits.labels() {
        let column: Vec<Example> = logits.column(label).map(|(logit, truth)| (logit.into(), truth)).collect();
        let (part, (scale, shift)) = calibrate_label(&column);
        calibration.scales[label] = scale as f32;
        calibration.shifts[label] = shift as f32;
        parts.push(part);
    }
    let mean = |error: fn(&Part) -> f64| parts.iter().map(error).sum::<f64>() / parts.len().max(1) as f64;
    let (error_before, error_after) = (mean(|part| part.error_before), mean(|part| part.error_after));
    Calibrated { calibration, parts, error_before, error_after }
}

/// Logit and truth.
type Example = (f64, bool);
/// What a logit is multiplied by, and what is then added.
type Line = (f64, f64);
const IDENTITY: Line = (1.0, 0.0);

fn calibrate_label(column: &[Example]) -> (Part, Line) {
    let error = |lines: [Line; 2]| {
        let said = column.iter().zip(folds(column)).map(|(&(z, truth), fold)| {
            let (scale, shift) = lines[fold];
            (sigmoid(scale * z + shift) as f32, truth)
        });
        calibration_error(said).unwrap_or(0.0)
    };
    let error_before = error([IDENTITY; 2]);
    let unchanged = |outcome| (Part { outcome, error_before, error_after: error_before }, IDENTITY);
    let positives = column.iter().filter(|(_, truth)| *truth).count();
    if positives.min(column.len() - positives) < MIN_EXAMPLES {
        return unchanged(Outcome::TooFewExamples);
    }
    // Each fold is judged by the line that the other one gave.
    let line_for = |fold: usize| {
        let others = column.iter().zip(folds(column)).filter(|(_, other)| *other != fold);
        platt(&others.map(|(example, _)| *example).collect::<Vec<_>>())
    };
    let lines = [line_for(0), line_for(1)];
    let loss = |lines: [Line; 2]| {
        let losses = column.iter().zip(folds(column)).map(|(&(z, truth), fold)| {
            let (scale, shift) = lines[fold];
            log_loss(scale * z + shift, f64::from(u8::from(truth)))
        });
        losses.sum::<f64>()
    };
    let line = platt(column);
    // A falling line would turn the label's ranking around.
    if line.0 <= 0.0 || loss(lines) >= loss([IDENTITY; 2]) {
        return unchanged(Outcome::NoBetter);
    }
    (Part { outcome: Outcome::Fitted, error_before, error_after: error(lines) }, line)
}

/// The fold of each example: positives and negatives take turns, each for themselves.
fn folds(column: &[Example]) -> impl Iterator<Item = usize> + '_ {
    let mut seen = [0_usize; 2];
    column.iter().map(move |(_, truth)| {
        let count = &mut seen[usize::from(*truth)];
        *count += 1;
        *count % 2
    })
}

/// Platt's scale and shift, by Newton's method with a line search (Lin, Lin and Weng 2007).
fn platt(column: &[Example]) -> Line {
    let positives = column.iter().filter(|(_, truth)| *truth).count() as f64;
    let negatives = column.len() as f64 - positives;
    let target = |truth: bool| if truth { (positives + 1.0) / (positives + 2.0) } else { 1.0 / (negatives + 2.0) };
    let loss = |(scale, shift): Line| -> f64 {
        column.iter().map(|&(z, truth)| log_loss(scale * z + shift, target(truth))).sum()
    };
    let mut line = (0.0, ((positives + 1.0) / (negatives + 1.0)).ln());
    let mut current = loss(line);
    for _ in 0..100 {
        // Gradient and Hessian; the ridge keeps the latter invertible where all logits are one number.
        let (mut of_scale, mut of_shift) = (0.0, 0.0);
        let (mut h11, mut h22, mut h21) = (1e-12, 1e-12, 0.0);
        for &(z, truth) in column {
            let p = sigmoid(line.0 * z + line.1);
            let (gap, weight) = (p - target(truth), p * (1.0 - p));
            of_scale += gap * z;
            of_shift += gap;
            h11 += weight * z * z;
            h22 += weight;
            h21 += weight * z;
        }
        if of_scale.abs().max(of_shift.abs()) < 1e-9 {
            break;
        }
        let determinant = h11 * h22 - h21 * h21;
        let step = (-(h22 * of_scale - h21 * of_shift) / determinant, -(h11 * of_shift - h21 * of_scale) / determinant);
        let slope = of_scale * step.0 + of_shift * step.1;
        let tried = (0..40).map(|halvings| 0.5_f64.powi(halvings)).find_map(|share| {
            let next = (line.0 + share * step.0, line.1 + share * step.1);
            let value = loss(next);
            (value < current + 1e-4 * share * slope).then_some((next, value))
        });
        // No share of the step helps: this is the minimum, to rounding.
        let Some((next, value)) = tried else { break };
        (line, current) = (next, value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{logit, logits},
        *,
    };
    use crate::train::metrics::fixture::reference;

    #[test]
    fn platts_line_is_scikit_learns() {
        for case in reference().multi_label {
            let table = logits(&case.table());
            for (label, expected) in case.platt.iter().enumerate() {
                let column: Vec<Example> = table.column(label).map(|(logit, truth)| (logit.into(), truth)).collect();
                let ours = platt(&column);
                assert!(
                    (ours.0 - expected.0).abs() < 1e-4 && (ours.1 - expected.1).abs() < 1e-4,
                    "{ours:?} {expected:?}"
                );
            }
        }
    }

    /// Logits of one label that come true as often as a given line of their logit says: the k-th picture of every ten
    /// with a logit is positive where k is below ten times that chance.
    fn table(line: Line) -> ScoreTable {
        let mut table = ScoreTable::new(1);
        for step in 1..40 {
            let logit = logit(step as f32 / 40.0);
            let chance = sigmoid(line.0 * f64::from(logit) + line.1);
            for k in 0..20 {
                table.extend(&[logit], &[f32::from(u8::from((f64::from(k) + 0.5) / 20.0 < chance))]);
            }
        }
        table
    }

    #[test]
    fn scores_that_promise_too_much_are_found_out() {
        let found = calibrate_labels(&table((0.5, -1.0)));
        assert_eq!(found.parts[0].outcome, Outcome::Fitted);
        assert!((found.calibration.scales[0] - 0.5).abs() < 0.05, "{found:?}");
        assert!((found.calibration.shifts[0] + 1.0).abs() < 0.1, "{found:?}");
        assert!(found.error_before > 0.15 && found.error_after < 0.03, "{found:?}");
    }

    #[test]
    fn honest_scores_and_backward_ones_are_left_alone() {
        let honest = calibrate_labels(&table(IDENTITY));
        assert!(honest.error_after <= honest.error_before + 1e-3, "{honest:?}");
        let backward = calibrate_labels(&table((-1.0, 0.0)));
        assert_eq!(backward.parts[0].outcome, Outcome::NoBetter);
        assert!(backward.calibration.is_identity());
    }

    #[test]
    fn a_label_with_few_examples_is_left_alone_and_a_separable_one_stays_finite() {
        let mut table = ScoreTable::new(2);
        for i in 0..60 {
            let truth = f32::from(u8::from(i % 2 == 0));
            table.extend(&[if i < 9 { 0.9 } else { 0.1 }, 0.2 + 0.6 * truth], &[f32::from(u8::from(i < 9)), truth]);
        }
        let found = calibrate_labels(&logits(&table));
        assert_eq!(found.parts[0].outcome, Outcome::TooFewExamples);
        assert_eq!((found.calibration.scales[0], found.calibration.shifts[0]), (1.0, 0.0));
        assert!(found.calibration.scales[1].is_finite() && found.calibration.scales[1] < 10.0, "{found:?}");
        assert_eq!(calibrate_labels(&ScoreTable::new(1)).parts[0].outcome, Outcome::TooFewExamples);
    }
}
