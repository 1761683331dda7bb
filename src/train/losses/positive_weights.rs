//! How much more a label counts where it is present.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Label;

/// The weight of each label's positive term in binary cross-entropy; 1 for every label by default.
///
/// Labels are named, never counted, so weights cannot come in the wrong order or number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PositiveWeights {
    /// Weighs labels by their training pictures, those without the label over those with it, but no more than this cap
    /// and no less than its inverse; 1 where a label has no picture.
    pub auto_cap: Option<f64>,
    /// Weights of single labels; they have the last word.
    pub labels: BTreeMap<String, f64>,
}

impl PositiveWeights {
    /// The cap of `auto`: beyond it a few pictures would decide.
    pub const DEFAULT_CAP: f64 = 10.0;

    /// Whether every label weighs 1.
    pub fn is_none(&self) -> bool {
        self.auto_cap.is_none() && self.labels.is_empty()
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if let Some(cap) = self.auto_cap.filter(|cap| !(1.0..=1000.0).contains(cap)) {
            return Err(format!("positive weights: the cap {cap} is not in 1…1000"));
        }
        let wrong = self.labels.iter().find(|(_, weight)| !(**weight > 0.0 && **weight <= 1000.0));
        wrong.map_or(Ok(()), |(name, weight)| Err(format!("positive weights: {name}={weight} is not in 0…1000")))
    }

    /// A weight for each label, in their order, over this many training pictures; empty where all are 1.
    pub(super) fn of(&self, labels: &[Label], pictures: u64) -> Result<Vec<f32>, String> {
        if let Some(name) = self.labels.keys().find(|name| labels.iter().all(|label| label.name != **name)) {
            let known: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
            return Err(format!("positive weights: there is no label {name:?}; there are {}", known.join(", ")));
        }
        if self.is_none() {
            return Ok(Vec::new());
        }
        let weight = |label: &Label| {
            let counted = self.auto_cap.map_or(1.0, |cap| by_count(label.train_count, pictures, cap));
            self.labels.get(&label.name).copied().unwrap_or(counted) as f32
        };
        Ok(labels.iter().map(weight).collect())
    }
}

fn by_count(positive: u64, pictures: u64, cap: f64) -> f64 {
    if positive == 0 {
        return 1.0;
    }
    (pictures.saturating_sub(positive) as f64 / positive as f64).clamp(1.0 / cap, cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<Label> {
        let label = |(name, train_count): (&str, u64)| Label {
            name: name.to_owned(),
            thresholds: BTreeMap::new(),
            train_count,
            valid_count: 0,
        };
        [("rare", 1), ("third", 25), ("everywhere", 100), ("never", 0)].map(label).into()
    }

    #[test]
    fn auto_weighs_absent_over_present_within_its_cap() {
        let auto = PositiveWeights { auto_cap: Some(10.0), ..PositiveWeights::default() };
        assert_eq!(auto.of(&labels(), 100).unwrap(), [10.0, 3.0, 0.1, 1.0]);
        assert!(PositiveWeights::default().of(&labels(), 100).unwrap().is_empty());
    }

    #[test]
    fn a_named_label_has_the_last_word_and_an_unknown_one_is_refused() {
        let named = |name: &str, auto_cap| PositiveWeights { auto_cap, labels: [(name.to_owned(), 2.5)].into() };
        assert_eq!(named("rare", None).of(&labels(), 100).unwrap(), [2.5, 1.0, 1.0, 1.0]);
        assert_eq!(named("rare", Some(10.0)).of(&labels(), 100).unwrap(), [2.5, 3.0, 0.1, 1.0]);
        let message = named("rat", None).of(&labels(), 100).unwrap_err();
        assert!(message.contains("\"rat\"") && message.contains("rare, third"), "{message}");
    }
}
