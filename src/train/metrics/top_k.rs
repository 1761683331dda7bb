//! Accuracy of single-label models: how often the true label is the best one, or among the best k.

use super::{ScoreTable, mean, only_label};

/// The share of pictures whose true label has the highest score; `None` where no picture has exactly one true label.
pub fn accuracy(table: &ScoreTable) -> Option<f64> {
    top_k_accuracy(table, 1)
}

/// The share of pictures whose true label is among the `k` highest scores.
///
/// Of equal scores the model's earlier label stands higher, as in an answer (scikit-learn puts the later one higher). A
/// true label whose score is not a number is missed. `None` where no picture has exactly one true label.
pub fn top_k_accuracy(table: &ScoreTable, k: usize) -> Option<f64> {
    mean(table.rows().filter_map(|(scores, truth)| {
        let label = only_label(truth)?;
        let own = scores[label];
        let above = scores.iter().enumerate().filter(|&(place, &score)| score > own || (score == own && place < label));
        Some(f64::from(u8::from(own > f32::NEG_INFINITY && above.count() < k)))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, reference};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let mut table = ScoreTable::new(3);
        assert_eq!(accuracy(&table), None);
        // Right; second of three; a tie that the earlier label wins; a picture with two true labels, which counts for
        // nothing; a score that is no number.
        table.extend(&[0.7, 0.2, 0.1], &[1.0, 0.0, 0.0]);
        table.extend(&[0.7, 0.2, 0.1], &[0.0, 1.0, 0.0]);
        table.extend(&[0.4, 0.4, 0.2], &[0.0, 1.0, 0.0]);
        table.extend(&[0.4, 0.4, 0.2], &[1.0, 1.0, 0.0]);
        table.extend(&[f32::NAN, f32::NAN, f32::NAN], &[1.0, 0.0, 0.0]);
        assert_eq!(accuracy(&table), Some(0.25));
        assert_eq!(top_k_accuracy(&table, 2), Some(0.75));
        assert_eq!(top_k_accuracy(&table, 9), Some(0.75));
    }

    #[test]
    fn equal_to_scikit_learn() {
        for case in reference().single_label {
            assert_near(accuracy(&case.table()).unwrap(), case.accuracy);
            for (k, expected) in case.top_k.iter().enumerate() {
                assert_near(top_k_accuracy(&case.table(), k + 1).unwrap(), *expected);
            }
        }
    }
}
