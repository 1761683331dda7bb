//! How a model's scores were distributed on its validation pictures: what live scores are held against.
//!
//! The trainer writes it ([`crate::drift::reference`]); models of points and values have none.

use serde::{Deserialize, Serialize};

/// The most bins of a label.
pub const MOST_BINS: usize = 10;

/// The validation scores of a model with labels, counted in bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreReference {
    /// Validation pictures.
    pub pictures: u64,
    /// Each label's scores, in the task's order.
    pub labels: Vec<LabelScores>,
}

/// The validation scores of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScores {
    /// Pictures that the label was named for: at its default threshold, or as the best one of a single-label model.
    pub named: u64,
    /// Where a bin ends and the next one begins, ascending, within 0…1. A score that equals an edge lies below it.
    pub edges: Vec<f32>,
    /// Pictures of each bin: one more than there are edges.
    pub counts: Vec<u64>,
}

impl ScoreReference {
    /// What contradicts itself, or the task's number of labels.
    pub(super) fn mistakes(&self, labels: usize) -> Vec<String> {
        let mut mistakes = Vec::new();
        if labels == 0 || self.labels.len() != labels {
            mistakes.push(format!("score_reference has {} labels, the task has {labels}", self.labels.len()));
        }
        let wrong = self.labels.iter().filter_map(|scores| scores.mistake(self.pictures));
        mistakes.extend(wrong.map(|mistake| format!("score_reference: {mistake}")));
        mistakes
    }
}

impl LabelScores {
    fn mistake(&self, pictures: u64) -> Option<String> {
        let Self { named, edges, counts } = self;
        if counts.len() != edges.len() + 1 || counts.len() > MOST_BINS {
            return Some(format!(
                "{} counts for {} edges: there is one more, and at most {MOST_BINS}",
                counts.len(),
                edges.len()
            ));
        }
        let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || !edges.iter().all(|edge| (0.0..=1.0).contains(edge)) {
            return Some(format!("edges {edges:?} do not ascend within 0…1"));
        }
        let counted: u128 = counts.iter().map(|&count| u128::from(count)).sum();
        (counted != u128::from(pictures) || *named > pictures)
            .then(|| format!("{counted} pictures counted and {named} named, of {pictures}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(named: u64, edges: &[f32], counts: &[u64]) -> LabelScores {
        LabelScores { named, edges: edges.to_vec(), counts: counts.to_vec() }
    }

    #[test]
    fn what_contradicts_itself_is_said() {
        let mistakes = |scores: LabelScores, labels: usize| {
            ScoreReference { pictures: 10, labels: vec![scores] }.mistakes(labels).join("; ")
        };
        assert_eq!(mistakes(scores(4, &[0.2, 0.5], &[3, 3, 4]), 1), "");
        assert_eq!(mistakes(scores(0, &[], &[10]), 1), "");
        for (wrong, labels, expected) in [
            (scores(4, &[0.2], &[3, 7]), 2, "has 1 labels, the task has 2"),
            (scores(4, &[0.2], &[3, 7]), 0, "the task has 0"),
            (scores(4, &[0.2], &[10]), 1, "1 counts for 1 edges"),
            (scores(4, &[0.0; 10], &[0; 11]), 1, "at most 10"),
            (scores(4, &[0.5, 0.5], &[3, 3, 4]), 1, "do not ascend"),
            (scores(4, &[f32::NAN], &[3, 7]), 1, "do not ascend"),
            (scores(4, &[1.5], &[3, 7]), 1, "do not ascend"),
            (scores(4, &[0.5], &[3, 8]), 1, "11 pictures counted"),
            (scores(11, &[0.5], &[3, 7]), 1, "11 named, of 10"),
            (scores(4, &[0.5], &[u64::MAX, u64::MAX]), 1, "pictures counted"),
        ] {
            let found = mistakes(wrong, labels);
            assert!(found.contains(expected), "{found:?}");
        }
    }
}
