//! Thresholds from corrected answers: each with the interval that it would lie in, were other pictures corrected.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::{Goal, OperatingPoint, Outcome, threshold};
use crate::model::Label;

/// Pictures with a label, and pictures without it, that a threshold is fitted on at least.
pub const LEAST: usize = 5;
/// Samples of the pictures, drawn with replacement, that an interval comes from.
const ROUNDS: usize = 500;

/// A label's thresholds after a refit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RefittedLabel {
    /// The label.
    #[schema(example = "cat")]
    pub label: String,
    /// Corrected pictures that have it.
    #[schema(example = 42)]
    pub positives: usize,
    /// Corrected pictures that do not.
    #[schema(example = 101)]
    pub negatives: usize,
    /// By operating point. Where there are fewer than five pictures of either kind, those that held before.
    pub thresholds: BTreeMap<String, FittedThreshold>,
}

/// A threshold and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FittedThreshold {
    /// A label is said where `score >= threshold`.
    #[schema(example = 0.37)]
    pub threshold: f32,
    /// The lower end of the 95 % interval (bootstrap); none for a threshold that stayed as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.31)]
    pub low: Option<f32>,
    /// Its upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.45)]
    pub high: Option<f32>,
}

/// Fits a label's thresholds on (score, whether the label is right) of corrected pictures, for each of these points that
/// the label has. Others stay as they are.
pub fn refit(label: &Label, column: &[(f32, bool)], points: &[OperatingPoint]) -> RefittedLabel {
    let positives = column.iter().filter(|(_, truth)| *truth).count();
    let negatives = column.len() - positives;
    let enough = positives >= LEAST && negatives >= LEAST;
    let fit = |(name, &before): (&String, &f32)| {
        let point = points.iter().find(|point| point.name == *name).filter(|_| enough);
        let fitted = match point {
            Some(point) => fitted(column, point.goal),
            None => FittedThreshold { threshold: before, low: None, high: None },
        };
        (name.clone(), fitted)
    };
    let thresholds = label.thresholds.iter().map(fit).collect();
    RefittedLabel { label: label.name.clone(), positives, negatives, thresholds }
}

fn fitted(column: &[(f32, bool)], goal: Goal) -> FittedThreshold {
    let mut drawn: Vec<f32> = Vec::with_capacity(ROUNDS);
    let mut draws = Draws(column.len() as u64);
    for _ in 0..ROUNDS {
        let sample = (0..column.len()).map(|_| column[draws.below(column.len())]);
        let found = threshold(sample, goal);
        if found.outcome != Outcome::NoExample {
            drawn.push(found.threshold);
        }
    }
    drawn.sort_by(f32::total_cmp);
    let at = |share: f64| drawn.get(((drawn.len().saturating_sub(1)) as f64 * share).round() as usize).copied();
    let threshold = threshold(column.iter().copied(), goal).threshold;
    FittedThreshold { threshold, low: at(0.025), high: at(0.975) }
}

/// SplitMix64: small, and the same on every machine, so that the same corrections give the same interval.
struct Draws(u64);

impl Draws {
    /// A number from 0 up to, but not including, `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // The upper half of the product: even, but for one part in 2^64 / end.
        ((u128::from(z) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(points: &[(&str, f32)]) -> Label {
        let thresholds = points.iter().map(|(name, threshold)| ((*name).to_owned(), *threshold)).collect();
        Label { name: "cat".to_owned(), thresholds, train_count: 9, valid_count: 9 }
    }

    #[test]
    fn separable_scores_give_the_middle_of_the_gap_and_an_interval_around_it() {
        let low = (0..20).map(|i| (0.01 * i as f32, false));
        let high = (0..20).map(|i| (0.40 + 0.02 * i as f32, true));
        let column: Vec<_> = low.chain(high).collect();
        let found = refit(&label(&[("balanced", 0.5), ("own", 0.7)]), &column, &OperatingPoint::standard());
        assert_eq!((found.positives, found.negatives), (20, 20));
        let balanced = found.thresholds["balanced"];
        // Halfway between .19 and .40.
        assert!((balanced.threshold - 0.295).abs() < 1e-6, "{balanced:?}");
        let (low, high) = (balanced.low.unwrap(), balanced.high.unwrap());
        assert!(low <= balanced.threshold && balanced.threshold <= high && low > 0.2 && high < 0.45, "{balanced:?}");
        assert_eq!(found.thresholds["own"], FittedThreshold { threshold: 0.7, low: None, high: None });
        assert_eq!(found, refit(&label(&[("balanced", 0.5), ("own", 0.7)]), &column, &OperatingPoint::standard()));
    }

    #[test]
    fn more_pictures_make_a_narrower_interval() {
        // Scores of both kinds overlap; (i * 7919) mod 1000 goes through all thousandths.
        let column = |count: usize| -> Vec<(f32, bool)> {
            let score = |i: usize| ((i * 7919) % 1000) as f32 / 1000.0;
            (0..count).map(|i| (score(i), score(i) + score(i * 31 + 7) * 0.6 > 0.8)).collect()
        };
        let width = |count| {
            let found =
                refit(&label(&[("balanced", 0.5)]), &column(count), &OperatingPoint::standard()).thresholds["balanced"];
            found.high.unwrap() - found.low.unwrap()
        };
        assert!(width(1000) < width(60), "{} {}", width(1000), width(60));
    }

    #[test]
    fn too_few_pictures_change_nothing() {
        let column = [(0.9, true), (0.8, true), (0.2, false), (0.1, false), (0.3, false), (0.3, false), (0.3, false)];
        let found = refit(&label(&[("balanced", 0.5)]), &column, &OperatingPoint::standard());
        assert_eq!(found.thresholds["balanced"], FittedThreshold { threshold: 0.5, low: None, high: None });
    }
}
