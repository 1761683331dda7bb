//! Learning rates suggested by a curve of losses over growing learning rates: fastai 2.8's four rules.
//!
//! Everything is computed in float32, as fastai does, so that suggestions on a recorded curve are the same numbers.

use serde::{Deserialize, Serialize};

/// Mini-batches of a whole curve.
pub const ITERATIONS: usize = 100;
/// The first learning rate.
const START: f64 = 1e-7;
/// The learning rate that the curve would reach after [`ITERATIONS`].
const END: f64 = 10.0;
/// Points at the end of a curve that the rules leave out, where the loss has already gone astray.
const TAIL: usize = 5;
/// The fewest points that the rules can work on.
const FEWEST: usize = 3;

/// The learning rate of a mini-batch, counted from 0: 1e-7 · (10 / 1e-7)^(i / 100).
///
/// ```
/// use tagpoint::train::lr_find::rate;
///
/// assert!((rate(0) - 1e-7).abs() < 1e-18);
/// assert!((rate(50) - 1e-3).abs() < 1e-12);
/// ```
pub fn rate(iteration: usize) -> f64 {
    START * (END / START).powf(iteration as f64 / ITERATIONS as f64)
}

/// One mini-batch of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The learning rate.
    pub lr: f64,
    /// The smoothed training loss.
    pub loss: f64,
}

/// What the four rules suggest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestions {
    /// Two thirds of the way along the longest fall: the default.
    pub valley: f64,
    /// Where the loss falls most steeply.
    pub steep: f64,
    /// A tenth of the rate with the smallest loss.
    pub minimum: f64,
    /// The interval slide rule: a wide way left of where the slope changes.
    pub slide: f64,
}

impl Suggestions {
    /// Names and rates, the default first.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [("valley", self.valley), ("steep", self.steep), ("minimum", self.minimum), ("slide", self.slide)]
    }
}

/// What the rules suggest for a curve, without its first tenth of [`ITERATIONS`], its last five points and what comes
/// after a loss that is no number; `None` where too little is left.
pub fn suggest(curve: &[CurvePoint]) -> Option<Suggestions> {
    let kept = curve.get(ITERATIONS / 10..curve.len().saturating_sub(TAIL))?;
    let kept: Vec<(f32, f32)> =
        kept.iter().map(|point| (point.lr as f32, point.loss as f32)).take_while(|(_, loss)| !loss.is_nan()).collect();
    if kept.len() < FEWEST {
        return None;
    }
    let (lrs, losses): (Vec<f32>, Vec<f32>) = kept.into_iter().unzip();
    Some(Suggestions {
        valley: f64::from(lrs[valley(&losses)]),
        steep: f64::from(lrs[steep(&lrs, &losses)]),
        minimum: f64::from(lrs[place_of_least(&losses)]) / 10.0,
        slide: f64::from(lrs[slide(&losses)]),
    })
}

/// The longest strictly falling subsequence; from its start, two thirds of its length along.
///
/// As in fastai, its start is its end less the length that first made it the longest, so that it may lie one before the
/// first point and a little right of the true start.
fn valley(losses: &[f32]) -> usize {
    let mut lengths = vec![1_usize; losses.len()];
    let (mut start, mut end) = (0_i64, 0_usize);
    for i in 1..losses.len() {
        for j in 0..i {
            if losses[i] < losses[j] && lengths[i] < lengths[j] + 1 {
                lengths[i] = lengths[j] + 1;
            }
            if lengths[end] < lengths[i] {
                (start, end) = (i as i64 - lengths[i] as i64, i);
            }
        }
    }
    let third = (end as i64 - start) as f64 / 3.0;
    let place = start + third as i64 + (third / 2.0) as i64;
    place.clamp(0, losses.len() as i64 - 1) as usize
}

/// The place with the smallest d loss / d ln lr, from each point to the next.
fn steep(lrs: &[f32], losses: &[f32]) -> usize {
    let slopes: Vec<f32> =
        (1..losses.len()).map(|i| (losses[i] - losses[i - 1]) / (lrs[i].ln() - lrs[i - 1].ln())).collect();
    place_of_least(&slopes)
}

/// Two gradients fifteen points apart slide left until they differ by less than .005; the left one's place.
fn slide(losses: &[f32]) -> usize {
    const APART: usize = 15;
    const ALIKE: f32 = 0.005;
    let slope = gradient(losses);
    let mut right = slope.len() - 1;
    let Some(mut left) = right.checked_sub(APART) else { return 0 };
    let mut place = left;
    while (slope[right] - slope[left]).abs() > ALIKE {
        place = left;
        let Some(next) = left.checked_sub(1) else { break };
        (left, right) = (next, right - 1);
    }
    place
}

/// Central differences, one-sided at the ends (numpy's `gradient`).
fn gradient(values: &[f32]) -> Vec<f32> {
    let last = values.len() - 1;
    let at = |i: usize| match i {
        0 => values[1] - values[0],
        i if i == last => values[last] - values[last - 1],
        i => (values[i + 1] - values[i - 1]) / 2.0,
    };
    (0..=last).map(at).collect()
}

/// The first of the smallest values.
fn place_of_least(values: &[f32]) -> usize {
    let mut least = 0;
    for (place, value) in values.iter().enumerate() {
        if value.total_cmp(&values[least]).is_lt() {
            least = place;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        losses: Vec<Option<f64>>,
        suggestions: Suggestions,
    }

    #[test]
    fn suggestions_on_recorded_curves_are_fastais() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../tests/fixtures/training/lr_find.json")).unwrap();
        assert!(cases.len() >= 8);
        for case in cases {
            let point = |(i, loss): (usize, &Option<f64>)| CurvePoint { lr: rate(i), loss: loss.unwrap_or(f64::NAN) };
            let curve: Vec<CurvePoint> = case.losses.iter().enumerate().map(point).collect();
            assert_eq!(suggest(&curve).unwrap(), case.suggestions, "{}", case.name);
        }
    }

    #[test]
    fn the_rates_grow_from_a_ten_millionth_towards_ten() {
        assert!((rate(0) - 1e-7).abs() < 1e-20 && (rate(ITERATIONS) - 10.0).abs() < 1e-9);
        assert!((rate(50) / rate(49) - rate(2) / rate(1)).abs() < 1e-12);
    }

    #[test]
    fn a_curve_that_ends_at_once_suggests_nothing() {
        let curve: Vec<CurvePoint> = (0..17).map(|i| CurvePoint { lr: rate(i), loss: 1.0 }).collect();
        assert_eq!(suggest(&curve), None);
        assert_eq!(suggest(&[]), None);
    }
}
