//! Expected calibration error (ECE): how far scores are from the frequencies that they promise.
//!
//! Guo et al. 2017, arXiv:1706.04599: pictures are binned by score, 15 bins of equal width, each open at its lower
//! end; ECE is the mean over pictures of |mean score − share of right ones| of their bin.

use super::{ScoreTable, best_label, mean, only_label};

/// Bins of equal width.
const BINS: usize = 15;

/// ECE of (score, whether it came true) pairs; `None` where there are none. A score that is not a number counts as 0.
pub fn calibration_error(pairs: impl Iterator<Item = (f32, bool)>) -> Option<f64> {
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    let mut count = 0.0;
    for (score, truth) in pairs {
        let score = if score.is_nan() { 0.0 } else { f64::from(score.clamp(0.0, 1.0)) };
        let bin = ((score * BINS as f64).ceil() as usize).saturating_sub(1).min(BINS - 1);
        let (scores, truths, members) = &mut bins[bin];
        *scores += score;
        *truths += f64::from(u8::from(truth));
        *members += 1.0;
        count += 1.0;
    }
    (count > 0.0)
        .then(|| bins.iter().map(|(scores, truths, _): &(f64, f64, f64)| (scores - truths).abs()).sum::<f64>() / count)
}

/// ECE of each label of a multi-label model, and their mean.
pub fn label_calibration_errors(table: &ScoreTable) -> (Vec<Option<f64>>, Option<f64>) {
    let per_label: Vec<_> = (0..table.labels()).map(|label| calibration_error(table.column(label))).collect();
    let mean = mean(per_label.iter().flatten().copied());
    (per_label, mean)
}

/// ECE of a single-label model: of its best score, and whether that label was the true one.
pub fn top_calibration_error(table: &ScoreTable) -> Option<f64> {
    calibration_error(table.rows().filter_map(|(scores, truth)| {
        let label = only_label(truth)?;
        let best = best_label(scores);
        Some((best.map_or(f32::NEG_INFINITY, |best| scores[best]), best == Some(label)))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, reference};
    use super::*;

    #[test]
    fn hand_computed_cases() {
        let of = |pairs: &[(f32, bool)]| calibration_error(pairs.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(1.0, true), (0.0, false)]), Some(0.0));
        // One bin holds both: mean score .75, half came true.
        assert_near(of(&[(0.75, true), (0.75, false)]).unwrap(), 0.25);
        // 1/15 belongs to the first bin, anything above to the second.
        assert_near(of(&[(1.0 / 15.0, true), (0.0, false)]).unwrap(), (1.0 - 1.0 / 15.0) / 2.0);
        assert_near(of(&[(f32::NEG_INFINITY, true), (f32::NAN, true)]).unwrap(), 1.0);
    }

    #[test]
    fn equal_to_the_definition_in_numpy() {
        for case in reference().multi_label {
            let (per_label, mean) = label_calibration_errors(&case.table());
            for (ours, expected) in per_label.iter().zip(&case.ece) {
                assert_near(ours.unwrap(), *expected);
            }
            assert_near(mean.unwrap(), case.ece.iter().sum::<f64>() / case.ece.len() as f64);
        }
        for case in reference().single_label {
            assert_near(top_calibration_error(&case.table()).unwrap(), case.ece);
        }
    }
}
