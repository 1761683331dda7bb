//! Average precision, as scikit-learn defines it: Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores from the highest down.

use super::{ScoreTable, mean};

/// The average precision of one label; `None` where it has no positive example.
pub fn average_precision(column: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let mut column: Vec<(f32, bool)> = column.collect();
    column.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = column.iter().filter(|(_, truth)| *truth).count() as f64;
    if positives == 0.0 {
        return None;
    }
    let (mut found, mut seen, mut sum) = (0.0, 0.0, 0.0);
    // Pictures with equal scores enter together: no order among them is better than another.
    for equal in column.chunk_by(|a, b| a.0 == b.0) {
        let hits = equal.iter().filter(|(_, truth)| *truth).count() as f64;
        found += hits;
        seen += equal.len() as f64;
        sum += hits / positives * (found / seen);
    }
    Some(sum)
}

/// The mean over the labels that have a positive example.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanAveragePrecision {
    /// Each label's own; `None` where it has no positive example.
    pub per_label: Vec<Option<f64>>,
    /// `None` where no label has a positive example.
    pub mean: Option<f64>,
    /// How many labels were left out.
    pub left_out: usize,
}

/// The average precision of every label, and their mean.
pub fn mean_average_precision(table: &ScoreTable) -> MeanAveragePrecision {
    let per_label: Vec<Option<f64>> = (0..table.labels()).map(|label| average_precision(table.column(label))).collect();
    let left_out = per_label.iter().filter(|value| value.is_none()).count();
    MeanAveragePrecision { mean: mean(per_label.iter().flatten().copied()), per_label, left_out }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, cases};
    use super::*;

    #[test]
    fn hand_computed_cases() {
        let of = |column: &[(f32, bool)]| average_precision(column.iter().copied());
        assert_eq!(of(&[(0.9, true), (0.8, true), (0.1, false)]), Some(1.0));
        // Positives in places 2 and 4: (1/2 + 2/4) / 2.
        assert_eq!(of(&[(0.4, true), (0.9, false), (0.1, true), (0.3, false)]), Some(0.5));
        // All equal: the share of positives.
        assert_eq!(of(&[(0.5, true), (0.5, false), (0.5, false), (0.5, false)]), Some(0.25));
        assert_eq!(of(&[(0.5, false)]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn equal_to_scikit_learn_with_and_without_ties() {
        for case in cases() {
            let ours = mean_average_precision(&case.table());
            assert_eq!(ours.left_out, 1);
            for (ours, expected) in ours.per_label.iter().zip(&case.average_precision) {
                assert_eq!(ours.is_some(), expected.is_some());
                assert_near(ours.unwrap_or(0.0), expected.unwrap_or(0.0));
            }
            assert_near(ours.mean.unwrap(), case.mean_average_precision);
        }
    }
}
