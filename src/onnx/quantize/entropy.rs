//! The range in which a distribution loses least by rounding to 256 steps (Migacz, "8-bit Inference with TensorRT",
//! 2017), for values of either sign.

use super::{Histogram, Range};

/// The steps of a byte.
const LEVELS: usize = 256;
/// Candidates: the whole range times 1, 1 − 1/STEPS, … down to LEAST/STEPS.
const STEPS: u32 = 128;
const LEAST: u32 = 16;

/// The narrowing of `whole` whose rounded distribution diverges least from the true one; of equals the widest.
pub(super) fn range(histogram: &Histogram, whole: Range) -> Range {
    let mut best = (f64::INFINITY, whole);
    for step in (LEAST..=STEPS).rev() {
        let share = step as f32 / STEPS as f32;
        let candidate = Range { low: whole.low * share, high: whole.high * share };
        let (below, bins, above) = histogram.within(candidate.low, candidate.high);
        if bins.len() < 2 * LEVELS {
            break;
        }
        let divergence = divergence(below, bins, above);
        if divergence < best.0 {
            best = (divergence, candidate);
        }
    }
    best.1
}

/// How far the distribution within a range, rounded to [`LEVELS`] steps, is from the true one, whose values outside of
/// the range were moved to its ends: Σ p ln(p / q).
fn divergence(below: u64, bins: &[u64], above: u64) -> f64 {
    // What a step stands for may not vanish, and what is moved to an end may be all that lies there.
    const LEAST_SHARE: f64 = 1e-9;
    let inside: u64 = bins.iter().sum();
    let total = (below + inside + above) as f64;
    if inside == 0 {
        return f64::INFINITY;
    }
    let mut sum = 0.0;
    for level in 0..LEVELS {
        let (first, end) = (level * bins.len() / LEVELS, (level + 1) * bins.len() / LEVELS);
        let step = &bins[first..end];
        let filled = step.iter().filter(|count| **count > 0).count();
        // A step's values are spread evenly over those of its bins that have any.
        let rounded = step.iter().sum::<u64>() as f64 / filled.max(1) as f64 / inside as f64;
        for (place, &count) in (first..end).zip(step) {
            let moved = if place == 0 { below } else { 0 } + if place + 1 == bins.len() { above } else { 0 };
            let p = (count + moved) as f64 / total;
            if p > 0.0 {
                let q = if count > 0 { rounded } else { 0.0 };
                sum += p * (p / q.max(LEAST_SHARE)).ln();
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_divergence() {
        // 512 bins, two for each step; all values in the first step: 3 in one bin, 1 in the other.
        let mut bins = vec![0; 512];
        (bins[0], bins[1]) = (3, 1);
        // Rounded, both bins have 1/2: 3/4 ln(3/2) + 1/4 ln(1/2).
        let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
        assert!((divergence(0, &bins, 0) - expected).abs() < 1e-12);
        // Even bins lose nothing by rounding.
        (bins[0], bins[1]) = (2, 2);
        assert_eq!(divergence(0, &bins, 0), 0.0);
        // Four more values below are moved to the first bin: 6/8 and 2/8 against 1/2 and 1/2.
        assert!((divergence(4, &bins, 0) - expected).abs() < 1e-12);
        // And at the upper end, where the range has no values of its own, they have nothing to stand for them.
        assert!(divergence(0, &bins, 4) > 5.0);
    }

    #[test]
    fn lone_values_far_out_are_cut_off_and_a_plain_distribution_is_kept() {
        let mut histogram = Histogram::default();
        let even: Vec<f32> = (0..100_000).map(|i| i as f32 / 100_000.0).collect();
        histogram.add(&even);
        let whole = Range { low: 0.0, high: 1.0 };
        assert_eq!(range(&histogram, whole), whole);
        // A bell around 0 with a few values ten deviations out.
        let mut bell = Histogram::default();
        let normal = |i: u32| {
            (0..12).map(|k| ((i * 12 + k).wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0).sum::<f32>() - 6.0
        };
        bell.add(&(0..50_000).map(normal).collect::<Vec<_>>());
        bell.add(&[40.0, -40.0]);
        let found = range(&bell, Range { low: -40.0, high: 40.0 });
        assert!((2.5..12.0).contains(&found.high) && found.low == -found.high, "{found:?}");
    }
}
