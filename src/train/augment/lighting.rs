//! Brightness and contrast in logit space, by a table.

/// Table entries for each half of the scale.
const STEPS: usize = 512;
/// Black and white are this far from 0 and 1, where a logit is infinite.
const MARGIN: f64 = 1e-7;

/// A change of lighting: `sigmoid(contrast · (logit(value) + logit(brightness)))`, within .02 of 255.
///
/// The curve is steep next to black and white, so the tables' steps are even in the root of the distance to the nearer
/// of the two.
pub struct Curve {
    /// From black to the middle.
    dark: [f32; STEPS + 1],
    /// From white to the middle.
    light: [f32; STEPS + 1],
}

impl Curve {
    /// `brightness` is between 0 and 1, .5 for none; `contrast` is above 0, 1 for none.
    pub fn new(brightness: f64, contrast: f64) -> Self {
        let shift = logit(brightness);
        let change = |value: f64| 255.0 / (1.0 + (-contrast * (logit(value) + shift)).exp());
        let distance = |step: usize| (step as f64 / STEPS as f64).powi(2) / 2.0;
        Self {
            dark: std::array::from_fn(|step| change(distance(step)) as f32),
            light: std::array::from_fn(|step| change(1.0 - distance(step)) as f32),
        }
    }

    /// Changes values 0…255.
    pub fn apply(&self, values: &mut [f32]) {
        values.iter_mut().for_each(|value| *value = self.at(*value));
    }

    fn at(&self, value: f32) -> f32 {
        let value = value / 255.0;
        let (table, distance) = if value <= 0.5 { (&self.dark, value) } else { (&self.light, 1.0 - value) };
        let place = (2.0 * distance.max(0.0)).sqrt() * STEPS as f32;
        let step = (place as usize).min(STEPS - 1);
        table[step] + (place - step as f32) * (table[step + 1] - table[step])
    }
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
            let mut values: Vec<f32> = (0..=510).map(|i| i as f32 / 2.0).collect();
            Curve::new(case.brightness, case.contrast).apply(&mut values);
            assert_eq!(values.len(), case.values.len());
            for (i, (ours, fastai)) in values.iter().zip(&case.values).enumerate() {
                assert!((ours - fastai).abs() < 0.02, "{} {}, {i}: {ours} {fastai}", case.brightness, case.contrast);
            }
        }
    }

    #[test]
    fn the_table_is_close_to_the_formula_everywhere() {
        for (brightness, contrast) in [(0.4, 0.8), (0.6, 1.25), (0.3, 0.6), (0.7, 1.6)] {
            let curve = Curve::new(brightness, contrast);
            for i in 0..=100_000 {
                let value = i as f64 / 100_000.0;
                let exact = 255.0 / (1.0 + (-contrast * (logit(value) + logit(brightness))).exp());
                let ours = f64::from(curve.at((value * 255.0) as f32));
                assert!((ours - exact).abs() < 0.02, "{brightness} {contrast} {value}: {ours} {exact}");
            }
        }
    }
}
