//! Hamming loss: the share of (picture, label) cells that are wrong.

use super::Judgement;

/// The share of cells in which what is said differs from what is true; `None` for an empty table.
pub fn hamming_loss(judgement: &Judgement) -> Option<f64> {
    let counts = judgement.micro();
    let wrong = counts.false_positives + counts.false_negatives;
    let all = wrong + counts.true_positives + counts.true_negatives;
    (all > 0).then(|| wrong as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::super::{
        ScoreTable,
        fixture::{assert_near, reference},
        judge,
    };
    use super::*;

    #[test]
    fn hand_computed_case() {
        let mut table = ScoreTable::new(2);
        table.extend(&[0.9, 0.9, 0.1, 0.2], &[1.0, 0.0, 1.0, 0.0]);
        assert_eq!(hamming_loss(&judge(&table, &[0.5, 0.5])), Some(0.5));
        assert_eq!(hamming_loss(&judge(&ScoreTable::new(2), &[0.5, 0.5])), None);
    }

    #[test]
    fn equal_to_scikit_learn() {
        for case in reference().multi_label {
            assert_near(hamming_loss(&judge(&case.table(), &case.thresholds)).unwrap(), case.hamming_loss);
        }
    }
}
