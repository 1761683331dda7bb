//! Precision, recall and F1: per label, over all cells (micro), and as the plain mean of the labels (macro).

use std::ops::Add;

use serde::Serialize;

use super::{ScoreTable, mean};

/// How often a threshold was right and wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Said and true.
    pub true_positives: u64,
    /// Said and not true.
    pub false_positives: u64,
    /// True and not said.
    pub false_negatives: u64,
    /// Neither said nor true.
    pub true_negatives: u64,
}

impl Counts {
    /// Counts one cell.
    pub fn count(&mut self, said: bool, truth: bool) {
        match (said, truth) {
            (true, true) => self.true_positives += 1,
            (true, false) => self.false_positives += 1,
            (false, true) => self.false_negatives += 1,
            (false, false) => self.true_negatives += 1,
        }
    }

    /// The share of what was said that is true; 0 where nothing was said.
    pub fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of what is true that was said; 0 where nothing is true.
    pub fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The harmonic mean of precision and recall; 0 where nothing was said and nothing is true.
    pub fn f1(&self) -> f64 {
        self.f_beta(1.0)
    }

    /// F-beta, in which recall weighs `beta` times as much as precision: (1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP).
    pub fn f_beta(&self, beta: f64) -> f64 {
        let weight = beta * beta;
        let hits = (1.0 + weight) * self.true_positives as f64;
        let whole = hits + weight * self.false_negatives as f64 + self.false_positives as f64;
        if whole == 0.0 { 0.0 } else { hits / whole }
    }

    /// Rows: not true, true; columns: not said, said (scikit-learn's `multilabel_confusion_matrix`).
    pub fn matrix(&self) -> [[u64; 2]; 2] {
        [[self.true_negatives, self.false_positives], [self.false_negatives, self.true_positives]]
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            false_negatives: self.false_negatives + other.false_negatives,
            true_negatives: self.true_negatives + other.true_negatives,
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

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
