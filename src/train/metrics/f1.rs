//! Precision, recall and F1: per label, over all cells (micro), and as the plain mean of the labels (macro).

use super::{Counts, ScoreTable, mean};

/// What thresholds are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Each label's counts.
    pub per_label: Vec<Counts>,
}

impl Judgement {
    /// All labels' counts together: micro averages are this one's precision, recall and F1.
    pub fn micro(&self) -> Counts {
        self.per_label.iter().fold(Counts::default(), |sum, counts| sum + *counts)
    }

    /// The plain mean of the labels' precisions; labels without a positive example count, as in scikit-learn.
    pub fn macro_precision(&self) -> f64 {
        self.mean_of(Counts::precision)
    }

    /// The plain mean of the labels' recalls.
    pub fn macro_recall(&self) -> f64 {
        self.mean_of(Counts::recall)
    }

    /// The plain mean of the labels' F1.
    pub fn macro_f1(&self) -> f64 {
        self.mean_of(Counts::f1)
    }

    fn mean_of(&self, value: impl Fn(&Counts) -> f64) -> f64 {
        mean(self.per_label.iter().map(value)).unwrap_or(0.0)
    }
}

/// Counts what `score >= threshold` gets right, with one threshold for each label.
pub fn judge(table: &ScoreTable, thresholds: &[f32]) -> Judgement {
    let mut per_label = vec![Counts::default(); table.labels()];
    for (label, score, truth) in table.cells() {
        let said = thresholds.get(label).is_some_and(|&threshold| score >= threshold);
        per_label[label].count(said, truth);
    }
    Judgement { per_label }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, cases, reference};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let mut table = ScoreTable::new(2);
        table.extend(&[0.9, 0.1, 0.5, 0.1, 0.2, 0.1, 0.7, 0.1], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        let judgement = judge(&table, &[0.5, 0.5]);
        let counts = judgement.per_label[0];
        let expected = Counts { true_positives: 2, false_positives: 1, false_negatives: 1, true_negatives: 0 };
        assert_eq!(counts, expected);
        assert_near(counts.precision(), 2.0 / 3.0);
        assert_near(counts.f1(), 2.0 / 3.0);
        let nothing = judgement.per_label[1];
        assert_eq!((nothing.precision(), nothing.recall(), nothing.f1()), (0.0, 0.0, 0.0));
        assert_near(judgement.macro_f1(), 1.0 / 3.0);
        assert_eq!(judgement.micro(), Counts { true_negatives: 4, ..counts });
        assert_near(counts.f_beta(2.0), 10.0 / 15.0);
    }

    #[test]
    fn equal_to_scikit_learn() {
        for case in cases() {
            let ours = judge(&case.table(), &case.thresholds);
            for (label, counts) in ours.per_label.iter().enumerate() {
                assert_near(counts.precision(), case.label_precision[label]);
                assert_near(counts.recall(), case.label_recall[label]);
                assert_near(counts.f1(), case.label_f1[label]);
            }
            assert_near(ours.micro().precision(), case.micro_precision);
            assert_near(ours.micro().recall(), case.micro_recall);
            assert_near(ours.micro().f1(), case.micro_f1);
            assert_near(ours.macro_precision(), case.macro_precision);
            assert_near(ours.macro_recall(), case.macro_recall);
            assert_near(ours.macro_f1(), case.macro_f1);
        }
        for case in reference().multi_label {
            let ours = judge(&case.table(), &case.thresholds);
            for (label, counts) in ours.per_label.iter().enumerate() {
                assert_eq!(counts.matrix(), case.matrices[label]);
                assert_near(counts.f_beta(2.0), case.f2[label]);
                assert_near(counts.f_beta(0.5), case.f05[label]);
            }
        }
    }
}
