//! ROC AUC: the chance that a picture that has a label scores higher than one that has not.

use super::{ScoreTable, mean};

/// The area under one label's ROC curve, ties counting half; `None` where every picture has the label, or none has.
pub fn roc_auc(column: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let mut column: Vec<(f32, bool)> = column.collect();
    column.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut wins) = (0.0, 0.0, 0.0);
    for equal in column.chunk_by(|a, b| a.0 == b.0) {
        let here = equal.iter().filter(|(_, truth)| *truth).count() as f64;
        let others = equal.len() as f64 - here;
        wins += here * (negatives + others / 2.0);
        positives += here;
        negatives += others;
    }
    (positives > 0.0 && negatives > 0.0).then(|| wins / (positives * negatives))
}

/// ROC AUC of labels and over them.
#[derive(Clone, Debug, PartialEq)]
pub struct RocAucs {
    /// Each label's own; `None` where it has examples of one kind only.
    pub per_label: Vec<Option<f64>>,
    /// The mean of those that there are.
    pub macro_average: Option<f64>,
    /// Over all cells as if they were one label's.
    pub micro_average: Option<f64>,
}

/// ROC AUC of every label, one against the rest, and its averages.
pub fn roc_aucs(table: &ScoreTable) -> RocAucs {
    let per_label: Vec<Option<f64>> = (0..table.labels()).map(|label| roc_auc(table.column(label))).collect();
    RocAucs {
        macro_average: mean(per_label.iter().flatten().copied()),
        micro_average: roc_auc(table.cells().map(|(_, score, truth)| (score, truth))),
        per_label,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, assert_near_or_none, reference};
    use super::*;

    #[test]
    fn hand_computed_cases() {
        let of = |column: &[(f32, bool)]| roc_auc(column.iter().copied());
        assert_eq!(of(&[(0.9, true), (0.1, false)]), Some(1.0));
        assert_eq!(of(&[(0.1, true), (0.9, false)]), Some(0.0));
        // Of 2 × 2 pairs one is won, one lost and two are ties.
        assert_eq!(of(&[(0.5, true), (0.5, false), (0.3, true), (0.3, false)]), Some(0.5));
        assert_eq!(of(&[(0.9, true), (0.8, true)]), None);
        assert_eq!(of(&[(0.9, false)]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn equal_to_scikit_learn_with_and_without_ties() {
        for case in reference().multi_label {
            let ours = roc_aucs(&case.table());
            for (ours, expected) in ours.per_label.iter().zip(&case.roc_auc) {
                assert_near_or_none(*ours, *expected);
            }
            assert_near(ours.macro_average.unwrap(), case.roc_auc_macro);
            assert_near(ours.micro_average.unwrap(), case.roc_auc_micro);
        }
    }
}
