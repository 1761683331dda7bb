//! Where a tensor's values lie, collected batch by batch in one pass.

/// Bins of a histogram, half of them below 0. A range that keeps an eighth of the values' extent still has more than
/// twice the 256 steps of a byte.
const BINS: usize = 8192;

/// Counts of values in bins of equal width around 0, with the exact extremes. It grows with the values: where one lies
/// beyond its reach, the reach doubles and neighbouring bins become one, so the order of the batches does not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bins: Vec<u64>,
    /// Exact zeros, which a rectifier gives by the million and every range of a byte holds exactly: they stand in no bin.
    zeros: u64,
    /// The bins cover −reach…reach; a power of two.
    reach: f32,
    min: f32,
    max: f32,
    not_finite: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        // The smallest reach: it grows to what the values need.
        Self {
            bins: vec![0; BINS],
            zeros: 0,
            reach: f32::powi(2.0, -40),
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            not_finite: 0,
        }
    }
}

impl Histogram {
    /// Counts values. What is not finite is counted by itself.
    pub fn add(&mut self, values: &[f32]) {
        for &value in values.iter().filter(|value| value.is_finite()) {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
        self.reach_to(self.min.abs().max(self.max.abs()));
        let per_unit = (BINS / 2) as f32 / self.reach;
        for &value in values {
            if value == 0.0 {
                self.zeros += 1;
            } else if value.is_finite() {
                let place = ((value + self.reach) * per_unit) as usize;
                self.bins[place.min(BINS - 1)] += 1;
            } else {
                self.not_finite += 1;
            }
        }
    }

    /// Doubles the reach until it covers a distance from 0.
    fn reach_to(&mut self, distance: f32) {
        while distance.is_finite() && distance > self.reach {
            let mut merged = vec![0; BINS];
            for (pair, sum) in self.bins.chunks_exact(2).zip(&mut merged[BINS / 4..]) {
                *sum = pair[0] + pair[1];
            }
            self.bins = merged;
            self.reach *= 2.0;
        }
    }

    /// The smallest and the largest value; `None` before the first one.
    pub fn extremes(&self) -> Option<(f32, f32)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// How many values were not finite.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// The number of finite values.
    pub fn count(&self) -> u64 {
        self.zeros + self.bins.iter().sum::<u64>()
    }

    /// The value below which a share (0…1) of all lies, to a bin's width; `None` before the first one.
    pub fn quantile(&self, share: f64) -> Option<f32> {
        let (min, max) = self.extremes()?;
        let wanted = share * self.count() as f64;
        let mut seen = 0.0;
        for (place, &count) in self.bins.iter().enumerate() {
            if place == BINS / 2 {
                seen += self.zeros as f64;
                if self.zeros > 0 && seen >= wanted {
                    return Some(0.0);
                }
            }
            if count > 0 && seen + count as f64 >= wanted {
                // Within the bin as if its values were spread evenly.
                let part = ((wanted - seen) / count as f64).clamp(0.0, 1.0) as f32;
                return Some((self.lower_edge(place) + part * self.width()).clamp(min, max));
            }
            seen += count as f64;
        }
        Some(max)
    }

    /// The bins that a range covers at least in part, and the counts below and above them.
    pub(super) fn within(&self, low: f32, high: f32) -> (u64, &[u64], u64) {
        let place = |value: f32| (((value + self.reach) / self.width()) as usize).min(BINS - 1);
        let (first, last) = (place(low), place(high));
        let sum = |bins: &[u64]| bins.iter().sum();
        (sum(&self.bins[..first]), &self.bins[first..=last], sum(&self.bins[last + 1..]))
    }

    fn width(&self) -> f32 {
        2.0 * self.reach / BINS as f32
    }

    fn lower_edge(&self, place: usize) -> f32 {
        place as f32 * self.width() - self.reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_batches_does_not_matter() {
        let batches: [&[f32]; 3] = [&[0.25, -0.5, 0.0], &[100.0, 3.0], &[-7.5]];
        let mut forth = Histogram::default();
        batches.iter().for_each(|batch| forth.add(batch));
        let mut back = Histogram::default();
        batches.iter().rev().for_each(|batch| back.add(batch));
        assert_eq!(forth, back);
        assert_eq!(forth.extremes(), Some((-7.5, 100.0)));
        assert_eq!((forth.count(), forth.reach), (6, 128.0));
    }

    #[test]
    fn quantiles_of_evenly_spread_values_are_their_shares() {
        let mut histogram = Histogram::default();
        let values: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        histogram.add(&values);
        for share in [0.1, 0.5, 0.999] {
            let found = histogram.quantile(share).unwrap();
            assert!((f64::from(found) - share).abs() < 3e-4, "{share}: {found}");
        }
        assert_eq!(histogram.quantile(0.0), Some(0.0));
        assert_eq!(histogram.quantile(1.0), Some(0.9999));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn zeros_count_in_quantiles_and_lie_in_no_bin() {
        let mut histogram = Histogram::default();
        histogram.add(&[-1.0, 0.0, -0.0, 0.0, 1.0, 2.0]);
        let (below, bins, above) = histogram.within(-2.0, 2.0);
        assert_eq!((below, bins.iter().sum::<u64>(), above, histogram.count()), (0, 3, 0, 6));
        assert_eq!(histogram.quantile(0.4), Some(0.0));
        assert!(histogram.quantile(0.1).unwrap() < -0.9 && histogram.quantile(0.75).unwrap() > 0.9);
    }

    #[test]
    fn what_is_not_finite_is_counted_by_itself() {
        let mut histogram = Histogram::default();
        histogram.add(&[1.0, f32::NAN, f32::INFINITY]);
        assert_eq!((histogram.not_finite(), histogram.count(), histogram.extremes()), (2, 1, Some((1.0, 1.0))));
    }
}
