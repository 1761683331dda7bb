//! Which range of an activation's values the 256 steps of a byte are spread over.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Histogram, entropy};

/// A range of values that contains 0: what lies outside is moved to its ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// At most 0.
    pub low: f32,
    /// At least 0.
    pub high: f32,
}

impl Range {
    /// From one value to another, and 0.
    pub fn with_zero(low: f32, high: f32) -> Self {
        Self { low: low.min(0.0), high: high.max(0.0) }
    }
}

/// How a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// All values.
    MinMax,
    /// All but so many percent of the values: half of those are cut off at each end.
    Percentile(f64),
    /// The range in which the values' distribution loses least by rounding, by Kullback-Leibler divergence.
    Entropy,
}

impl Method {
    /// Those that are tried unless others are named.
    pub const ALL: [Self; 5] =
        [Self::MinMax, Self::Percentile(99.999), Self::Percentile(99.99), Self::Percentile(99.9), Self::Entropy];

    /// The range of values as a histogram has them; 0 alone where it has none.
    pub fn range(self, histogram: &Histogram) -> Range {
        let (min, max) = histogram.extremes().unwrap_or((0.0, 0.0));
        match self {
            Self::MinMax => Range::with_zero(min, max),
            Self::Percentile(percent) => {
                let tail = (1.0 - percent / 100.0) / 2.0;
                let at = |share| histogram.quantile(share).unwrap_or(0.0);
                Range::with_zero(at(tail), at(1.0 - tail))
            }
            Self::Entropy => entropy::range(histogram, Range::with_zero(min, max)),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.pad("minmax"),
            Self::Percentile(percent) => f.pad(&format!("percentile:{percent}")),
            Self::Entropy => f.pad("entropy"),
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = |text: &str| text.parse().ok().filter(|percent| (50.0..=100.0).contains(percent));
        match text.split_once(':') {
            None if text == "minmax" => Ok(Self::MinMax),
            None if text == "entropy" => Ok(Self::Entropy),
            Some(("percentile", text)) if percent(text).is_some() => {
                Ok(Self::Percentile(percent(text).unwrap_or(100.0)))
            }
            _ => Err(format!("{text:?} is not minmax, entropy or percentile:99.99 (50 to 100)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_hand_made_values() {
        let mut histogram = Histogram::default();
        // 998 values in 0…1, one at −4 and one at 8.
        histogram.add(&(0..998).map(|i| i as f32 / 998.0).collect::<Vec<_>>());
        histogram.add(&[-4.0, 8.0]);
        assert_eq!(Method::MinMax.range(&histogram), Range { low: -4.0, high: 8.0 });
        // One percent: half a percent, five values, at each end.
        let cut = Method::Percentile(99.0).range(&histogram);
        assert!((cut.high - 0.996).abs() < 4e-3, "{cut:?}");
        assert_eq!(cut.low, 0.0, "the range contains 0 whatever is cut off");
        assert_eq!(Method::MinMax.range(&Histogram::default()), Range { low: 0.0, high: 0.0 });
    }

    #[test]
    fn methods_are_read_from_text_and_written_to_it() {
        for method in Method::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        for wrong in ["max", "percentile", "percentile:101", "percentile:nan", "entropy:1"] {
            assert!(wrong.parse::<Method>().unwrap_err().contains("percentile:99.99"), "{wrong}");
        }
    }
}
