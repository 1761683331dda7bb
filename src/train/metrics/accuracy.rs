//! fastai's `accuracy_multi`: the share of (picture, label) cells that a threshold gets right.

use super::{ScoreTable, mean};

/// The share of cells where `score >= threshold` says what is true; `None` for an empty table.
///
/// A model that says nothing scores high where labels are rare; report mAP beside it.
pub fn accuracy_multi(table: &ScoreTable, threshold: f32) -> Option<f64> {
    mean(table.cells().map(|(_, score, truth)| f64::from(u8::from((score >= threshold) == truth))))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, cases};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let mut table = ScoreTable::new(2);
        assert_eq!(accuracy_multi(&table, 0.5), None);
        table.extend(&[0.5, 0.4, 0.6, 0.9], &[1.0, 1.0, 0.0, 1.0]);
        assert_eq!(accuracy_multi(&table, 0.5), Some(0.5));
        assert_eq!(accuracy_multi(&table, 0.0), Some(0.75));
    }

    #[test]
    fn equal_to_the_reference() {
        for case in cases() {
            for (threshold, expected) in &case.accuracy_multi {
                assert_near(accuracy_multi(&case.table(), *threshold).unwrap(), *expected);
            }
        }
    }
}
