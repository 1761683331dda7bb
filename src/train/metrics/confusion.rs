//! The confusion matrix of a single-label model: what was true against what was said.

use serde::Serialize;

use super::{Counts, Judgement, ScoreTable, only_label};

/// How often pictures of one label were answered with each other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    /// A row for each true label, a column for each one that was said (scikit-learn's layout).
    pub rows: Vec<Vec<u64>>,
}

/// Counts the best label of each picture against its true one.
///
/// The best label has the highest score, the model's earlier one of equals. Pictures that have not exactly one true
/// label, or no score that is a number, are left out.
pub fn confusion_matrix(table: &ScoreTable) -> ConfusionMatrix {
    let mut rows = vec![vec![0; table.labels()]; table.labels()];
    for (scores, truth) in table.rows() {
        if let (Some(truth), Some(said)) = (only_label(truth), best_label(scores)) {
            rows[truth][said] += 1;
        }
    }
    ConfusionMatrix { rows }
}

/// The place of the highest score, the first of equals; `None` where none is a number.
pub fn best_label(scores: &[f32]) -> Option<usize> {
    let mut best = None;
    let mut highest = f32::NEG_INFINITY;
    for (place, &score) in scores.iter().enumerate() {
        if score > highest {
            (best, highest) = (Some(place), score);
        }
    }
    best
}

impl ConfusionMatrix {
    /// What each label is worth, taken as said or not said.
    pub fn judgement(&self) -> Judgement {
        let all: u64 = self.rows.iter().flatten().sum();
        let counts = |label: usize| {
            let own = self.rows[label][label];
            let true_ones: u64 = self.rows[label].iter().sum();
            let said: u64 = self.rows.iter().map(|row| row[label]).sum();
            Counts {
                true_positives: own,
                false_positives: said - own,
                false_negatives: true_ones - own,
                true_negatives: all + own - said - true_ones,
            }
        };
        Judgement { per_label: (0..self.rows.len()).map(counts).collect() }
    }

    /// The pairs (true, said, how often) of different labels, most frequent first (fastai's `most_confused`).
    pub fn most_confused(&self) -> Vec<(usize, usize, u64)> {
        let row = |(truth, row): (usize, &Vec<u64>)| {
            let cells = row.iter().enumerate().map(move |(said, &count)| (truth, said, count));
            cells.collect::<Vec<_>>()
        };
        let mut pairs: Vec<_> = self.rows.iter().enumerate().flat_map(row).collect();
        pairs.retain(|&(truth, said, count)| truth != said && count > 0);
        pairs.sort_by_key(|&(truth, said, count)| (std::cmp::Reverse(count), truth, said));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, reference};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let mut table = ScoreTable::new(3);
        table.extend(&[0.7, 0.2, 0.1, 0.5, 0.5, 0.0, 0.1, 0.2, 0.7], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        table.extend(&[f32::NAN, f32::NAN, f32::NAN, 0.1, 0.2, 0.7], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let matrix = confusion_matrix(&table);
        assert_eq!(matrix.rows, [[1, 0, 0], [1, 0, 1], [0, 0, 0]]);
        assert_eq!(matrix.most_confused(), [(1, 0, 1), (1, 2, 1)]);
        let counts = matrix.judgement().per_label[0];
        let expected = Counts { true_positives: 1, false_positives: 1, false_negatives: 0, true_negatives: 1 };
        assert_eq!(counts, expected);
    }

    #[test]
    fn equal_to_scikit_learn() {
        for case in reference().single_label {
            let matrix = confusion_matrix(&case.table());
            assert_eq!(matrix.rows, case.confusion);
            let judgement = matrix.judgement();
            assert_near(judgement.macro_precision(), case.precision_macro);
            assert_near(judgement.macro_recall(), case.recall_macro);
            assert_near(judgement.macro_f1(), case.f1_macro);
        }
    }
}
