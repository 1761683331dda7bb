//! Thresholds from validation scores: for each label the one that makes its F1 largest.

use super::metrics::{Counts, ScoreTable};

/// A label's threshold and what it is worth on the scores that it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelThreshold {
    /// A label is said where `score >= threshold`.
    pub threshold: f32,
    /// F1 on these scores; `None` where the label has no positive example, so that the threshold is .5 for want of a
    /// better one.
    pub f1: Option<f64>,
}

/// The threshold of a label that no example says anything about.
const UNKNOWN: f32 = 0.5;

/// The best threshold for each label of the table.
pub fn best_thresholds(table: &ScoreTable) -> Vec<LabelThreshold> {
    (0..table.labels()).map(|label| best_threshold(table.column(label))).collect()
}

/// The threshold with the largest F1 among the midpoints between neighbouring distinct scores, where 0 lies below all;
/// of equally good ones the nearest to .5.
fn best_threshold(column: impl Iterator<Item = (f32, bool)>) -> LabelThreshold {
    // A score that is no number is never said, whatever the threshold.
    let mut column: Vec<(f32, bool)> = column.filter(|(score, _)| !score.is_nan()).collect();
    column.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = column.iter().filter(|(_, truth)| *truth).count() as u64;
    let mut counts = Counts { false_negatives: positives, ..Counts::default() };
    if counts.false_negatives == 0 {
        return LabelThreshold { threshold: UNKNOWN, f1: None };
    }
    let mut best = LabelThreshold { threshold: 1.0, f1: Some(0.0) };
    let mut rest = column.as_slice();
    while let Some(&(score, _)) = rest.first() {
        let (equal, below) = rest.split_at(rest.partition_point(|(other, _)| *other >= score));
        for &(_, truth) in equal {
            if truth {
                counts.true_positives += 1;
                counts.false_negatives -= 1;
            } else {
                counts.false_positives += 1;
            }
        }
        let threshold = between(below.first().map_or(0.0, |&(next, _)| next), score);
        let f1 = counts.f1();
        let better = match best.f1 {
            Some(known) if f1 == known => (threshold - 0.5).abs() < (best.threshold - 0.5).abs(),
            Some(known) => f1 > known,
            None => true,
        };
        if better {
            best = LabelThreshold { threshold, f1: Some(f1) };
        }
        rest = below;
    }
    best
}

/// The midpoint, or the higher score where no number lies between the two.
fn between(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{fixture, judge};
    use super::*;

    fn best(column: &[(f32, bool)]) -> LabelThreshold {
        best_threshold(column.iter().copied())
    }

    #[test]
    fn hand_computed_cases() {
        let separable = best(&[(0.9, true), (0.7, true), (0.3, false), (0.1, false)]);
        assert_eq!(separable, LabelThreshold { threshold: 0.5, f1: Some(1.0) });
        // Saying all of them: 3 of 4, F1 6/7; the best cut above says 2 of 3 right at most.
        let mostly_true = best(&[(0.1, true), (0.2, true), (0.8, false), (0.9, true)]);
        assert_eq!(mostly_true, LabelThreshold { threshold: 0.05, f1: Some(6.0 / 7.0) });
        // Equal scores stand or fall together: with the three 0.6 alone F1 is 1/3, with 0.2 as well it is 3/4.
        let ties = best(&[(0.6, true), (0.6, false), (0.6, false), (0.2, true), (0.2, true), (0.1, false)]);
        assert_eq!(ties.f1, Some(0.75));
        assert!(ties.threshold > 0.1 && ties.threshold <= 0.2);
    }

    #[test]
    fn a_label_without_a_positive_example_gets_one_half_and_no_f1() {
        assert_eq!(best(&[(0.9, false), (0.1, false)]), LabelThreshold { threshold: 0.5, f1: None });
        assert_eq!(best(&[(f32::NAN, true)]), LabelThreshold { threshold: 0.5, f1: None });
        assert_eq!(best(&[]), LabelThreshold { threshold: 0.5, f1: None });
    }

    #[test]
    fn neighbouring_floats_are_still_told_apart() {
        let high = 0.3_f32;
        let low = f32::from_bits(high.to_bits() - 1);
        assert_eq!(best(&[(high, true), (low, false)]), LabelThreshold { threshold: high, f1: Some(1.0) });
    }

    /// Against every candidate, judged one by one.
    #[test]
    fn no_other_threshold_is_better() {
        for case in fixture::cases() {
            let table = case.table();
            for (label, chosen) in best_thresholds(&table).into_iter().enumerate() {
                let f1_at = |threshold: f32| judge(&table, &[threshold; 4]).per_label[label].f1();
                let Some(f1) = chosen.f1 else {
                    assert_eq!(label, 2);
                    continue;
                };
                assert_eq!(f1_at(chosen.threshold), f1);
                for i in 0..=2000 {
                    assert!(f1_at(i as f32 / 2000.0) <= f1, "label {label}, {i}");
                }
            }
        }
    }
}
