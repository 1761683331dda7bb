//! Which labels an answer names.

use std::num::NonZeroUsize;

/// A score that a label has to reach: a number in 0…1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Selection {
    /// Every label, whatever its score.
    pub all: bool,
    /// One threshold for every label, instead of each label's own.
    pub threshold: Option<Threshold>,
    /// At most so many labels, the best ones; cuts after the thresholds.
    pub top_k: Option<NonZeroUsize>,
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
