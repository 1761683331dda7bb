//! What a model is worth on a validation split. Pure, in f64; one metric for each file, with hand-computed cases.
//!
//! A score that is not a number is kept as −∞: it reaches no threshold and ranks last. A label without a positive
//! example has no average precision and no ROC AUC, and is left out of their means; its precision, recall and F1 are 0
//! and count, as in scikit-learn.

mod accuracy;
mod average_precision;
mod calibration_error;
mod confusion;
mod direction;
mod error_curve;
mod f1;
mod hamming;
mod nme;
mod pck;
mod point_error;
mod roc_auc;
mod top_k;
mod value_error;

pub use accuracy::accuracy_multi;
pub use average_precision::{MeanAveragePrecision, average_precision, mean_average_precision};
pub use calibration_error::{calibration_error, label_calibration_errors, top_calibration_error};
pub use confusion::{ConfusionMatrix, best_label, confusion_matrix};
pub use direction::{Direction, METRICS, default_metric, direction};
pub use error_curve::error_curve_area;
pub use f1::{Judgement, judge};
pub use hamming::hamming_loss;
pub use nme::normalised_mean_error;
pub use pck::correct_keypoints;
pub use point_error::mean_point_error;
pub use roc_auc::{RocAucs, roc_auc, roc_aucs};
pub use top_k::{accuracy, top_k_accuracy};
pub use value_error::{mean_absolute_error, r_squared, root_mean_squared_error};

pub use crate::thresholds::Counts;

use crate::picture::PictureSize;

/// Scores and true labels of pictures, one row for each.
#[derive(Clone, Debug)]
pub struct ScoreTable {
    labels: usize,
    scores: Vec<f32>,
    truth: Vec<bool>,
}

impl ScoreTable {
    /// An empty table for this many labels.
    pub fn new(labels: usize) -> Self {
        Self { labels, scores: Vec::new(), truth: Vec::new() }
    }

    /// Adds pictures: scores in 0…1 and 0/1 targets, both [pictures, labels] in row-major order. Of slices that differ
    /// in length, the shorter counts; an incomplete last row does not. A score that is not a number becomes −∞.
    pub fn extend(&mut self, scores: &[f32], targets: &[f32]) {
        let rows = scores.len().min(targets.len()) / self.labels.max(1);
        let scores = scores[..rows * self.labels].iter();
        self.scores.extend(scores.map(|&score| if score.is_nan() { f32::NEG_INFINITY } else { score }));
        self.truth.extend(targets[..rows * self.labels].iter().map(|&target| target > 0.5));
    }

    /// Some of the pictures by their places, each as often as it is named.
    pub fn of_pictures(&self, places: &[usize]) -> Self {
        let labels = self.labels;
        let rows = |place: &usize| place * labels..(place + 1) * labels;
        Self {
            labels,
            scores: places.iter().flat_map(|place| &self.scores[rows(place)]).copied().collect(),
            truth: places.iter().flat_map(|place| &self.truth[rows(place)]).copied().collect(),
        }
    }

    /// The number of labels.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The number of pictures.
    pub fn pictures(&self) -> usize {
        self.scores.len() / self.labels.max(1)
    }

    /// Score and truth of one label for every picture.
    pub fn column(&self, label: usize) -> impl Iterator<Item = (f32, bool)> + '_ {
        let scores = self.scores.iter().skip(label).step_by(self.labels.max(1)).copied();
        scores.zip(self.truth.iter().skip(label).step_by(self.labels.max(1)).copied())
    }

    /// Scores and truths of every picture.
    pub fn rows(&self) -> impl Iterator<Item = (&[f32], &[bool])> + '_ {
        let labels = self.labels.max(1);
        self.scores.chunks_exact(labels).zip(self.truth.chunks_exact(labels))
    }

    /// Label, score and truth of every cell.
    pub fn cells(&self) -> impl Iterator<Item = (usize, f32, bool)> + '_ {
        let cells = self.scores.iter().zip(&self.truth).enumerate();
        cells.map(|(i, (score, truth))| (i % self.labels.max(1), *score, *truth))
    }
}

/// One picture's points, in pixels of the original picture as EXIF orients it.
#[derive(Clone, Debug, PartialEq)]
pub struct PointSample {
    /// What the model says, one for each name.
    pub predicted: Vec<(f64, f64)>,
    /// What is labelled.
    pub truth: Vec<Option<(f64, f64)>>,
    /// The original picture's size.
    pub size: PictureSize,
}

impl PointSample {
    /// The distance between prediction and truth of every labelled point, in pixels.
    pub fn distances(&self) -> impl Iterator<Item = f64> + '_ {
        let pairs = self.predicted.iter().zip(&self.truth);
        pairs.filter_map(|(predicted, truth)| truth.map(|truth| distance(*predicted, truth)))
    }
}

fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The place of the only true label; `None` where none or several are true.
pub(super) fn only_label(truth: &[bool]) -> Option<usize> {
    let first = truth.iter().position(|&truth| truth)?;
    (!truth[first + 1..].contains(&true)).then_some(first)
}

/// `None` where there is nothing to average.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
pub(crate) mod fixture {
    //! What scikit-learn says; scripts/fixtures/training.py writes it.

    use serde::Deserialize;

    use super::ScoreTable;

    #[derive(Deserialize)]
    pub(crate) struct Case {
        labels: usize,
        scores: Vec<f32>,
        truth: Vec<bool>,
        pub(crate) thresholds: Vec<f32>,
        /// None for a label without a positive example.
        pub(crate) average_precision: Vec<Option<f64>>,
        pub(crate) mean_average_precision: f64,
        /// Threshold and accuracy.
        pub(crate) accuracy_multi: Vec<(f32, f64)>,
        pub(crate) label_precision: Vec<f64>,
        pub(crate) label_recall: Vec<f64>,
        pub(crate) label_f1: Vec<f64>,
        pub(crate) micro_precision: f64,
        pub(crate) micro_recall: f64,
        pub(crate) micro_f1: f64,
        pub(crate) macro_precision: f64,
        pub(crate) macro_recall: f64,
        pub(crate) macro_f1: f64,
    }

    impl Case {
        pub(crate) fn table(&self) -> ScoreTable {
            table(self.labels, &self.scores, &self.truth)
        }
    }

    fn table(labels: usize, scores: &[f32], truth: &[bool]) -> ScoreTable {
        let mut table = ScoreTable::new(labels);
        let targets: Vec<f32> = truth.iter().map(|&truth| f32::from(u8::from(truth))).collect();
        table.extend(scores, &targets);
        table
    }

    pub(crate) fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../../tests/fixtures/training/score_metrics.json")).unwrap()
    }

    /// The metrics beside those of [`Case`]; scripts/fixtures/metrics.py writes them.
    #[derive(Deserialize)]
    pub(crate) struct Reference {
        pub(crate) multi_label: Vec<MultiLabel>,
        pub(crate) single_label: Vec<SingleLabel>,
        pub(crate) values: Vec<Values>,
    }

    #[derive(Deserialize)]
    pub(crate) struct MultiLabel {
        labels: usize,
        pub(crate) scores: Vec<f32>,
        truth: Vec<bool>,
        pub(crate) thresholds: Vec<f32>,
        /// None for a label with examples of one kind only.
        pub(crate) roc_auc: Vec<Option<f64>>,
        pub(crate) roc_auc_macro: f64,
        pub(crate) roc_auc_micro: f64,
        pub(crate) hamming_loss: f64,
        pub(crate) matrices: Vec<[[u64; 2]; 2]>,
        pub(crate) f2: Vec<f64>,
        pub(crate) f05: Vec<f64>,
        pub(crate) ece: Vec<f64>,
        /// Scale and shift of each label by Platt's method.
        pub(crate) platt: Vec<(f64, f64)>,
    }

    #[derive(Deserialize)]
    pub(crate) struct SingleLabel {
        labels: usize,
        pub(crate) scores: Vec<f32>,
        pub(crate) classes: Vec<usize>,
        pub(crate) accuracy: f64,
        /// For k = 1, 2, …
        pub(crate) top_k: Vec<f64>,
        pub(crate) confusion: Vec<Vec<u64>>,
        pub(crate) precision_macro: f64,
        pub(crate) recall_macro: f64,
        pub(crate) f1_macro: f64,
        pub(crate) ece: f64,
        /// By scikit-learn's temperature scaling, as a factor of the logits.
        pub(crate) inverse_temperature: f64,
    }

    #[derive(Deserialize)]
    pub(crate) struct Values {
        pub(crate) predicted: Vec<f64>,
        pub(crate) truth: Vec<f64>,
        pub(crate) mae: f64,
        pub(crate) rmse: f64,
        pub(crate) r2: f64,
    }

    impl MultiLabel {
        pub(crate) fn table(&self) -> ScoreTable {
            table(self.labels, &self.scores, &self.truth)
        }
    }

    impl SingleLabel {
        pub(crate) fn table(&self) -> ScoreTable {
            let mut table = ScoreTable::new(self.labels);
            for (scores, &class) in self.scores.chunks_exact(self.labels).zip(&self.classes) {
                let mut targets = vec![0.0; self.labels];
                targets[class] = 1.0;
                table.extend(scores, &targets);
            }
            table
        }
    }

    pub(crate) fn reference() -> Reference {
        serde_json::from_str(include_str!("../../../tests/fixtures/training/metrics.json")).unwrap()
    }

    pub(crate) fn assert_near_or_none(ours: Option<f64>, expected: Option<f64>) {
        assert_eq!(ours.is_some(), expected.is_some());
        assert_near(ours.unwrap_or_default(), expected.unwrap_or_default());
    }

    pub(crate) fn assert_near(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
    }
}

#[cfg(test)]
pub(super) fn sample(predicted: &[(f64, f64)], truth: &[Option<(f64, f64)>]) -> PointSample {
    let size = PictureSize { width: 200, height: 100 };
    PointSample { predicted: predicted.to_vec(), truth: truth.to_vec(), size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_labels_and_rows_are_pictures() {
        let mut table = ScoreTable::new(2);
        table.extend(&[0.1, 0.2], &[0.0, 1.0]);
        table.extend(&[0.3, 0.4, 0.5], &[1.0, 0.0, 1.0]);
        assert_eq!((table.labels(), table.pictures()), (2, 2));
        assert_eq!(table.column(1).collect::<Vec<_>>(), [(0.2, true), (0.4, false)]);
        assert_eq!(table.cells().last(), Some((1, 0.4, false)));
        let drawn = table.of_pictures(&[1, 1, 0]);
        assert_eq!(drawn.column(0).collect::<Vec<_>>(), [(0.3, true), (0.3, true), (0.1, false)]);
    }
}
