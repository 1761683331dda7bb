//! Which labels an answer names.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::model::Label;

/// A score that a label has to reach: a number in 0…1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Threshold(f32);

impl Threshold {
    /// The number.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f32>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a number from 0 to 1")),
        }
    }
}

/// Which labels an answer names; by default those that reach their own thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Every label, whatever its score.
    pub all: bool,
    /// One threshold for every label, instead of each label's own.
    pub threshold: Option<Threshold>,
    /// The operating point whose thresholds hold, instead of the default one's.
    pub operating_point: Option<String>,
    /// Only labels of these names.
    pub labels: Option<Vec<String>>,
    /// At most so many labels, the best ones; cuts after the thresholds.
    pub top_k: Option<NonZeroUsize>,
}

impl Selection {
    /// The score that a label has to reach; .5 where the model has no threshold for it.
    pub(super) fn threshold_of(&self, label: &Label) -> f32 {
        let point = self.operating_point.as_deref().unwrap_or(Label::DEFAULT_OPERATING_POINT);
        self.threshold.map_or_else(|| label.threshold_at(point).unwrap_or(0.5), Threshold::get)
    }

    /// Whether the answer may name a label.
    pub(super) fn names(&self, label: &Label) -> bool {
        self.labels.as_ref().is_none_or(|names| names.contains(&label.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_number_from_0_to_1() {
        for text in ["0", "1", ".5", "0.25"] {
            assert!(text.parse::<Threshold>().is_ok(), "{text}");
        }
        for text in ["", "-0.1", "1.01", "NaN", "inf", "half"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}
