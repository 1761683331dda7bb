//! An axis: its range, its ticks, and where a value lies on it.

/// Ticks that a linear axis aims at.
const TICKS: f64 = 5.0;
/// Decades of a logarithmic axis that all have a label; of more, every second or third has.
const LABELLED_DECADES: i32 = 5;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// Evenly, with ticks at whole numbers only.
    Whole,
    /// By their logarithm; what is not above 0 has no place.
    Log,
}

/// A range of values with ticks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) label: String,
    scale: Scale,
    low: f64,
    high: f64,
    /// Value and label of each tick, ascending.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis that has room for the values that are numbers; 0…1 where there are none.
    pub(super) fn covering(label: &str, scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let sound = values.filter(|value| value.is_finite() && (scale != Scale::Log || *value > 0.0));
        let (low, high) = sound.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (if scale == Scale::Log { 0.1 } else { 0.0 }, 1.0) };
        match scale {
            Scale::Log => Self::log(label, low, high),
            Scale::Linear | Scale::Whole => Self::linear(label, scale, low, high),
        }
    }

    /// 0…1.
    pub(super) fn share(label: &str) -> Self {
        Self::linear(label, Scale::Linear, 0.0, 1.0)
    }

    fn linear(label: &str, scale: Scale, low: f64, high: f64) -> Self {
        // A range of nothing would have no step; the margin keeps a constant in the middle.
        let margin = if high - low > 1e-12 * low.abs().max(high.abs()) { 0.0 } else { low.abs().max(1.0) / 10.0 };
        let (low, high) = (low - margin, high + margin);
        let step = round_step((high - low) / TICKS);
        let step = if scale == Scale::Whole { step.max(1.0).round() } else { step };
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let tick = |place: f64| (place * step, tick_label(place * step, decimals));
        let count = (last - first).clamp(1.0, 50.0) as usize;
        let ticks = (0..=count).map(|i| tick(first + i as f64)).collect();
        Self { label: label.to_owned(), scale, low: first * step, high: last * step, ticks }
    }

    fn log(label: &str, low: f64, high: f64) -> Self {
        let first = low.log10().floor() as i32;
        let last = (high.log10().ceil() as i32).max(first + 1);
        let every = ((last - first) / LABELLED_DECADES).max(1) as usize;
        let ticks = (first..=last).step_by(every).map(|power| (10_f64.powi(power), power_label(power))).collect();
        Self { label: label.to_owned(), scale: Scale::Log, low: f64::from(first), high: f64::from(last), ticks }
    }

    /// Where a value lies, 0 at the low end and 1 at the high end; no number for what has no place.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => f64::NAN,
            Scale::Linear | Scale::Whole => value,
        };
        (value - self.low) / (self.high - self.low)
    }
}

/// The least of 1, 2, 5, 10, … times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999_999);
    factor.unwrap_or(10.0) * power
}

fn tick_label(value: f64, decimals: usize) -> String {
    if value != 0.0 && (value.abs() >= 1e6 || value.abs() < 1e-4) {
        return format!("{value:.1e}");
    }
    let label = format!("{value:.decimals$}");
    // A zero that came out of a subtraction.
    if label.trim_start_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { label }
}

fn power_label(power: i32) -> String {
    if (-3..=3).contains(&power) { format!("{}", 10_f64.powi(power)) } else { format!("1e{power}") }
}

/// A number for people: four significant digits, an en dash for none.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs().log10().floor();
    if !(-4.0..6.0).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = (3.0 - size).clamp(0.0, 7.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64) -> Vec<String> {
        Axis::covering("", scale, [low, high].into_iter()).ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        assert_eq!(labels(Scale::Linear, 0.13, 0.97), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map(zero));
        assert_eq!(labels(Scale::Whole, 1.0, 3.0), ["1", "2", "3"]);
        assert_eq!(labels(Scale::Log, 3e-4, 0.5), ["1e-4", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(Scale::Linear, -3.0, 7.0), ["-4", "-2", "0", "2", "4", "6", "8"]);
    }

    fn zero(label: &str) -> String {
        if label == "0.0" { "0".to_owned() } else { label.to_owned() }
    }

    #[test]
    fn constants_and_nothing_have_an_axis_too() {
        let constant = Axis::covering("", Scale::Linear, [3.0].into_iter());
        assert!((0.2..0.8).contains(&constant.place(3.0)));
        let none = Axis::covering("", Scale::Log, [f64::NAN, -1.0].into_iter());
        assert!(none.ticks.len() >= 2 && none.place(0.0).is_nan());
        let huge = Axis::covering("", Scale::Linear, [1e300, 1e300].into_iter());
        assert!((0.0..=1.0).contains(&huge.place(1e300)));
    }

    #[test]
    fn a_place_is_a_share_of_the_axis() {
        let axis = Axis::covering("", Scale::Log, [1e-4, 1.0].into_iter());
        assert!((axis.place(1e-2) - 0.5).abs() < 1e-12);
        assert_eq!(Axis::share("").place(0.25), 0.25);
    }

    #[test]
    fn numbers_have_four_digits() {
        assert_eq!(
            [0.93312, 12.3456, 1234.0, 0.000_012, f64::NAN, -0.5, 0.0].map(number),
            ["0.9331", "12.35", "1234", "1.20e-5", "–", "-0.5000", "0"]
        );
    }
}
