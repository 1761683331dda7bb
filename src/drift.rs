//! Drift: how far live scores lie from those of validation, label by label.
//!
//! The trainer counts validation scores in bins ([`reference()`]), the server live ones in the same bins ([`bin`]), and
//! [`stability_index`] is what lies between the two. Pure numbers: nothing here knows HTTP or a clock.
//!
//! The population stability index is of credit scoring (N. Siddiqi, *Credit Risk Scorecards*, Wiley 2006, where below .1
//! nothing has changed and above .25 much). What it is worth depends on the number of pictures: see [`by_chance`].

use crate::{
    answer::named,
    model::{LabelScores, MOST_BINS, ScoreReference, Task},
};

/// What is added to the count of each bin, on both sides, so that an empty bin gives a large index and not an infinite one.
const SMOOTHING: f64 = 0.5;
/// The narrowest bin. What ONNX Runtime computes here may differ from what the trainer computed by as much
/// ([`crate::infer::Tolerance`]), and no two such scores are different to anybody.
const NARROWEST: f32 = 0.001;
/// The 99 % quantiles of the χ² distribution with 1, 2, … 9 degrees of freedom.
const CHI_SQUARE_99: [f64; MOST_BINS - 1] = [6.635, 9.210, 11.345, 13.277, 15.086, 16.812, 18.475, 20.090, 21.666];

/// Counts the scores of validation pictures, [pictures, labels] row-major, in bins between their deciles. None for points
/// and values, and without a picture.
pub fn reference(task: &Task, scores: &[f32]) -> Option<ScoreReference> {
    let labels = task.labels().len();
    if labels == 0 || scores.len() < labels || !scores.iter().all(|score| score.is_finite()) {
        return None;
    }
    let mut counted: Vec<LabelScores> = (0..labels).map(|place| empty_bins(scores, place, labels)).collect();
    let mut pictures = 0;
    for row in scores.chunks_exact(labels) {
        pictures += 1;
        for ((label, &score), is_named) in counted.iter_mut().zip(row).zip(named(task, row)) {
            label.counts[bin(&label.edges, score)] += 1;
            label.named += u64::from(is_named);
        }
    }
    Some(ScoreReference { pictures, labels: counted })
}

/// The bins of a label's column of scores: between the deciles, but for those that would make a bin too narrow.
fn empty_bins(scores: &[f32], place: usize, labels: usize) -> LabelScores {
    let mut column: Vec<f32> = scores.iter().skip(place).step_by(labels).copied().collect();
    column.sort_by(f32::total_cmp);
    let largest = column.last().copied().unwrap_or_default();
    let mut edges = Vec::with_capacity(MOST_BINS - 1);
    let mut below = 0.0;
    for part in 1..MOST_BINS {
        // The last score of the lower part.
        let last = (part * column.len()).div_ceil(MOST_BINS).saturating_sub(1);
        let Some(&edge) = column.get(last) else { continue };
        // Above the largest score there is nothing to count.
        if edge < largest && edge - below >= NARROWEST && 1.0 - edge >= NARROWEST {
            edges.push(edge);
            below = edge;
        }
    }
    let counts = vec![0; edges.len() + 1];
    LabelScores { named: 0, edges, counts }
}

/// The bin that a score lies in; one that equals an edge lies below it.
pub fn bin(edges: &[f32], score: f32) -> usize {
    edges.partition_point(|edge| *edge < score)
}

/// The population stability index of live counts against those of validation, bin by bin:
/// Σ (live share − validation share) · ln(live share / validation share). 0 where all shares are equal.
///
/// Half a picture is added to every bin of either side before shares are taken (Krichevsky and Trofimov's estimate).
pub fn stability_index(validation: &[u64], live: &[u64]) -> f64 {
    let total = |counts: &[u64]| counts.iter().map(|&count| count as f64 + SMOOTHING).sum::<f64>();
    let (all_of_validation, all_live) = (total(validation), total(live));
    let terms = validation.iter().zip(live).map(|(&validation, &live)| {
        let validation = (validation as f64 + SMOOTHING) / all_of_validation;
        let live = (live as f64 + SMOOTHING) / all_live;
        (live - validation) * (live / validation).ln()
    });
    terms.sum()
}

/// The index that sampling alone exceeds once in a hundred times where nothing has drifted; none for one bin or none.
///
/// The index of N and M independent pictures in B bins is about (1/N + 1/M) times a χ² variable with B − 1 degrees of
/// freedom (B. Yurdakul, *Statistical Properties of Population Stability Index*, Western Michigan University 2018).
pub fn by_chance(bins: usize, validation: u64, live: u64) -> Option<f64> {
    let quantile = CHI_SQUARE_99.get(bins.checked_sub(2)?)?;
    (validation > 0 && live > 0).then(|| quantile * (1.0 / validation as f64 + 1.0 / live as f64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Label;

    fn label(name: &str, threshold: f32) -> Label {
        let thresholds = [("balanced".to_owned(), threshold)].into();
        Label { name: name.to_owned(), thresholds, train_count: 1, valid_count: 1 }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
    }

    #[test]
    fn hand_computed_indices() {
        // Shares of validation 10.5/21 = .5 each; live 10.5/41 = .2560976 and 30.5/41 = .7439024:
        // −.2439024 · ln .5121951 + .2439024 · ln 1.4878049 = .1631829 + .0969028.
        near(stability_index(&[10, 10], &[10, 30]), 0.260_085_7);
        // A bin that was empty: shares 5.5/11.5, 5.5/11.5, .5/11.5 against the same in reverse:
        // 2 · (5/11.5) · ln 11.
        near(stability_index(&[5, 5, 0], &[0, 5, 5]), 2.0 * 5.0 / 11.5 * 11.0_f64.ln());
        near(stability_index(&[9, 9], &[19, 19]), 0.0);
        near(stability_index(&[7], &[70]), 0.0);
    }

    #[test]
    fn hand_computed_chance() {
        // Ten bins: 21.666 · (1/300 + 1/100).
        near(by_chance(10, 300, 100).unwrap(), 0.288_88);
        near(by_chance(2, 100, 100).unwrap(), 0.1327);
        assert_eq!((by_chance(1, 9, 9), by_chance(11, 9, 9), by_chance(3, 9, 0)), (None, None, None));
    }

    #[test]
    fn bins_end_at_the_deciles_and_count_what_lies_in_them() {
        // Scores .00, .01, … .19 for a, and for b .5 but for one.
        let scores: Vec<f32> = (0..20).flat_map(|i| [i as f32 / 100.0, if i == 3 { 0.9 } else { 0.5 }]).collect();
        let task = Task::MultiLabel { labels: vec![label("a", 0.1), label("b", 0.6)] };
        let found = reference(&task, &scores).unwrap();
        let expected: Vec<f32> = (0..9).map(|i| (2 * i + 1) as f32 / 100.0).collect();
        assert_eq!(found.pictures, 20);
        assert_eq!(found.labels[0], LabelScores { named: 10, edges: expected, counts: vec![2; 10] });
        assert_eq!(found.labels[1], LabelScores { named: 1, edges: vec![0.5], counts: vec![19, 1] });
        let single = Task::SingleLabel { labels: vec![label("a", 0.1), label("b", 0.6)] };
        let found = reference(&single, &scores).unwrap();
        assert_eq!((found.labels[0].named, found.labels[1].named), (0, 20));
    }

    #[test]
    fn scores_too_near_to_each_other_share_a_bin() {
        let task = Task::MultiLabel { labels: vec![label("a", 0.5)] };
        let scores: Vec<f32> = (0..100).map(|i| i as f32 * 1e-6).collect();
        assert_eq!(reference(&task, &scores).unwrap().labels[0].counts, [100]);
        let scores: Vec<f32> = (0..100).map(|i| 1.0 - i as f32 * 1e-6).collect();
        assert_eq!(reference(&task, &scores).unwrap().labels[0].counts, [100]);
    }

    #[test]
    fn what_has_no_labels_or_no_pictures_has_no_reference() {
        let task = Task::MultiLabel { labels: vec![label("a", 0.5)] };
        assert_eq!(reference(&task, &[]), None);
        assert_eq!(reference(&task, &[0.5, f32::NAN]), None);
        let values = crate::model::Values { names: vec!["age".to_owned()], y_ranges: Vec::new() };
        assert_eq!(reference(&Task::Values(values), &[0.5]), None);
    }

    /// Counts of 0 to 999 in the same number of bins, twice.
    fn two_counts() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
        (1..=MOST_BINS).prop_flat_map(|bins| {
            let counts = || proptest::collection::vec(0_u64..1000, bins);
            (counts(), counts())
        })
    }

    proptest! {
        #[test]
        fn the_index_is_finite_never_below_0_and_the_same_both_ways((one, other) in two_counts()) {
            let index = stability_index(&one, &other);
            prop_assert!(index.is_finite() && index >= 0.0, "{index}");
            prop_assert!((index - stability_index(&other, &one)).abs() < 1e-9);
        }

        #[test]
        fn every_reference_is_one_that_a_manifest_may_have(
            scores in proptest::collection::vec(0.0_f32..=1.0, 1..200), round in any::<bool>(),
        ) {
            let task = Task::MultiLabel { labels: vec![label("a", 0.5)] };
            let scores: Vec<f32> = scores.iter().map(|s| if round { (s * 8.0).round() / 8.0 } else { *s }).collect();
            let found = reference(&task, &scores).unwrap();
            let LabelScores { edges, counts, named } = &found.labels[0];
            prop_assert_eq!(counts.iter().sum::<u64>(), scores.len() as u64);
            prop_assert!(counts.len() == edges.len() + 1 && counts.len() <= MOST_BINS);
            prop_assert!(edges.windows(2).all(|pair| pair[1] - pair[0] >= NARROWEST));
            prop_assert!(counts.iter().all(|&count| count > 0), "{:?}", counts);
            prop_assert_eq!(*named, scores.iter().filter(|score| **score >= 0.5).count() as u64);
        }
    }
}
