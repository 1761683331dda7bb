//! Brightness and contrast in logit space, by a table.

use std::sync::LazyLock;

use super::{at_most, rounded};

/// Table entries from one of the 256 levels to the next. An odd number has none in the middle, which would always be rounded up.
const STEPS: usize = 15;
/// The table's last entry.
const LAST: usize = 255 * STEPS;
/// A power of two, so that a place needs no check; what is beyond the last entry is never asked for.
const SIZE: usize = (LAST + 1).next_power_of_two();
/// Black and white are this far from 0 and 1, where a logit is infinite.
const MARGIN: f64 = 1e-7;

/// The logits of the table's entries.
static LOGITS: LazyLock<Vec<f32>> =
    LazyLock::new(|| (0..=LAST).map(|entry| logit(entry as f64 / LAST as f64) as f32).collect());

/// A change of lighting: `sigmoid(contrast · (logit(value) + logit(brightness)))`, rounded to whole levels.
///
/// Values are rounded to fifteenth parts of a level first; a picture's own 256 levels stay exact.
pub struct Curve {
    table: Box<[u8; SIZE]>,
}

impl Curve {
    /// `brightness` is between 0 and 1, .5 for none; `contrast` is above 0, 1 for none.
    pub fn new(brightness: f64, contrast: f64) -> Self {
        let (shift, contrast) = (logit(brightness) as f32, contrast as f32);
        let level = |logit: &f32| (255.0 / (1.0 + (-contrast * (logit + shift)).exp()) + 0.5) as u8;
        let mut table = Box::new([0; SIZE]);
        table.iter_mut().zip(LOGITS.iter()).for_each(|(entry, logit)| *entry = level(logit));
        Self { table }
    }

    /// What a value becomes that is at this place.
    #[inline(always)]
    pub(super) fn level(&self, place: u32) -> u8 {
        self.table[place as usize % SIZE]
    }
}

/// The place in a curve's table of a value 0…255.
#[inline(always)]
pub(super) fn place(value: f32) -> u32 {
    rounded(at_most(LAST as f32, value * STEPS as f32)).1
}

fn logit(value: f64) -> f64 {
    let value = value.clamp(MARGIN, 1.0 - MARGIN);
    (value / (1.0 - value)).ln()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        brightness: f64,
        contrast: f64,
        /// For values from 0 to 255 in steps of .5.
        values: Vec<f32>,
    }

    #[test]
    fn lighting_is_fastais() {
        let text = include_str!("../../../tests/fixtures/training/lighting.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        for case in cases {
            let curve = Curve::new(case.brightness, case.contrast);
            assert_eq!(case.values.len(), 511);
            // The whole levels; what lies between them is rounded before it is looked up.
            for (i, fastai) in case.values.iter().enumerate().step_by(2) {
                let ours = curve.level(place(i as f32 / 2.0));
                let difference = (f32::from(ours) - fastai).abs();
                assert!(difference < 0.52, "{} {}, {i}: {ours} {fastai}", case.brightness, case.contrast);
            }
        }
    }

    #[test]
    fn no_lighting_rounds_to_the_nearest_level() {
        let curve = Curve::new(0.5, 1.0);
        for level in 0..=255_u8 {
            let value = f32::from(level);
            assert_eq!([value - 0.45, value, value + 0.45].map(|value| curve.level(place(value))), [level; 3]);
        }
    }

    /// The curve rises, so what is rounded to a fifteenth part of a level lies between the levels on either side.
    #[test]
    fn the_table_is_the_formula_everywhere() {
        for (brightness, contrast) in [(0.4, 0.8), (0.6, 1.25), (0.3, 0.6), (0.7, 1.6)] {
            let curve = Curve::new(brightness, contrast);
            let exact = |value: f64| 255.0 / (1.0 + (-contrast * (logit(value) + logit(brightness))).exp());
            for i in 0..=100_000 {
                let value = i as f64 / 100_000.0;
                let ours = f64::from(curve.level(place((value * 255.0) as f32)));
                let half = 0.5001 / LAST as f64;
                let allowed = exact(value - half) - 0.501..=exact(value + half) + 0.501;
                assert!(allowed.contains(&ours), "{brightness} {contrast} {value}: {ours} {allowed:?}");
            }
        }
    }
}
