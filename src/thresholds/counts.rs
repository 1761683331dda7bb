//! How often a threshold is right and wrong.

use std::ops::Add;

use serde::Serialize;

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
