//! The thresholds of a table of validation scores.

use super::metrics::ScoreTable;
use crate::thresholds::{Goal, LabelThreshold, threshold};

/// The threshold of each label of the table for a goal.
pub fn thresholds(table: &ScoreTable, goal: Goal) -> Vec<LabelThreshold> {
    (0..table.labels()).map(|label| threshold(table.column(label), goal)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{fixture, judge};
    use super::*;
    use crate::thresholds::{Counts, Outcome};

    const F1: Goal = Goal::FBeta(1.0);

    /// Against every threshold of a fine grid, judged one by one.
    #[test]
    fn no_other_threshold_is_better() {
        for case in fixture::cases() {
            let table = case.table();
            let at = |label: usize, threshold: f32| judge(&table, &[threshold; 4]).per_label[label];
            for goal in [F1, Goal::FBeta(2.0), Goal::Precision(0.7), Goal::Recall(0.8)] {
                for (label, chosen) in thresholds(&table, goal).into_iter().enumerate() {
                    assert_eq!(chosen.counts, at(label, chosen.threshold));
                    assert_eq!(chosen.outcome == Outcome::NoExample, label == 2);
                    if chosen.outcome != Outcome::Reached {
                        continue;
                    }
                    for threshold in (0..=2000_u16).map(|i| f32::from(i) / 2000.0) {
                        let other = at(label, threshold);
                        match goal {
                            Goal::FBeta(beta) => assert!(other.f_beta(beta) <= chosen.counts.f_beta(beta)),
                            Goal::Precision(least) => {
                                assert!(other.precision() < least || other.recall() <= chosen.counts.recall());
                            }
                            Goal::Recall(least) => {
                                let said = |counts: &Counts| counts.true_positives + counts.false_positives;
                                assert!(other.recall() < least || said(&other) >= said(&chosen.counts));
                            }
                        }
                    }
                }
            }
        }
    }
}
