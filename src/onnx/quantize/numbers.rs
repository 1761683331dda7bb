//! From real numbers to integers: scales and zero points, rounding as ONNX's QuantizeLinear rounds.

use super::Range;

/// Scale and zero point of an activation: byte b stands for `scale · (b − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Above 0.
    pub scale: f32,
    /// The byte that stands for 0.
    pub zero_point: u8,
}

impl Params {
    /// Spreads the 256 bytes over a range, in which 0 has a byte of its own.
    pub fn of(range: Range) -> Self {
        let width = f64::from(range.high) - f64::from(range.low);
        // A tensor that is 0 throughout needs a scale too.
        let scale = if width > 1e-12 { (width / 255.0) as f32 } else { 1.0 };
        let zero_point = (-f64::from(range.low) / f64::from(scale)).round_ties_even().clamp(0.0, 255.0) as u8;
        Self { scale, zero_point }
    }

    /// The byte that stands for a number.
    pub fn quantise(self, value: f32) -> u8 {
        ((value / self.scale).round_ties_even() + f32::from(self.zero_point)).clamp(0.0, 255.0) as u8
    }

    /// The number that a byte stands for.
    pub fn dequantise(self, byte: u8) -> f32 {
        self.scale * (f32::from(byte) - f32::from(self.zero_point))
    }
}

/// How large a quantised weight may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightRange {
    /// −127…127.
    #[default]
    Full,
    /// −63…63, for processors whose products of bytes saturate: the sum of two products then fits into 16 bits.
    Reduced,
}

impl WeightRange {
    fn largest(self) -> f32 {
        match self {
            Self::Full => 127.0,
            Self::Reduced => 63.0,
        }
    }
}

/// Symmetric signed weights with a scale for each channel; zero points are 0.
///
/// `values` are row-major with the channel at `axis` of `dims`. No scale is below its channel's of `least_scales`.
pub fn quantise_weights(
    values: &[f32],
    dims: &[usize],
    axis: usize,
    range: WeightRange,
    least_scales: &[f32],
) -> (Vec<i8>, Vec<f32>) {
    let channels = dims[axis];
    let inner: usize = dims[axis + 1..].iter().product();
    let channel = |place: usize| place / inner.max(1) % channels.max(1);
    let mut scales = vec![0.0_f32; channels];
    for (place, value) in values.iter().enumerate() {
        let scale = &mut scales[channel(place)];
        *scale = scale.max(value.abs() / range.largest());
    }
    for (scale, least) in scales.iter_mut().zip(least_scales) {
        // A channel of zeros needs a scale too.
        *scale = scale.max(*least).max(f32::MIN_POSITIVE * 1e10);
    }
    let limit = range.largest();
    let quantise =
        |(place, value): (usize, &f32)| (value / scales[channel(place)]).round_ties_even().clamp(-limit, limit) as i8;
    (values.iter().enumerate().map(quantise).collect(), scales)
}

/// Weight scales below which a channel's bias would not fit into 31 bits.
pub(super) fn least_scales(bias: &[f32], input_scale: f32) -> Vec<f32> {
    bias.iter().map(|bias| bias.abs() / input_scale / (1_u32 << 30) as f32).collect()
}

/// int32 biases, in units of input scale times the channel's weight scale, and those units.
pub fn quantise_bias(bias: &[f32], input_scale: f32, weight_scales: &[f32]) -> (Vec<i32>, Vec<f32>) {
    let units: Vec<f32> = weight_scales.iter().map(|scale| input_scale * scale).collect();
    // A cast from float to int saturates.
    let quantise = |(bias, unit): (&f32, &f32)| (f64::from(*bias) / f64::from(*unit)).round_ties_even() as i32;
    (bias.iter().zip(&units).map(quantise).collect(), units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_scales_and_zero_points() {
        let relu6 = Params::of(Range { low: 0.0, high: 6.0 });
        assert_eq!(relu6, Params { scale: 6.0 / 255.0, zero_point: 0 });
        // Width 2.55 in 255 steps of .01; −.55 is 55 steps below 0.
        let mixed = Params::of(Range { low: -0.55, high: 2.0 });
        assert!((mixed.scale - 0.01).abs() < 1e-9 && mixed.zero_point == 55, "{mixed:?}");
        assert_eq!(mixed.quantise(0.0), 55);
        assert_eq!(
            (mixed.quantise(1.004), mixed.quantise(-0.5), mixed.quantise(9.0), mixed.quantise(-9.0)),
            (155, 5, 255, 0)
        );
        assert!((mixed.dequantise(155) - 1.0).abs() < 1e-6);
        assert_eq!(mixed.dequantise(55), 0.0);
        assert_eq!(Params::of(Range { low: -1.0, high: 0.0 }).zero_point, 255);
        assert_eq!(Params::of(Range { low: 0.0, high: 0.0 }), Params { scale: 1.0, zero_point: 0 });
    }

    #[test]
    fn every_channel_of_the_weights_has_a_scale_of_its_own() {
        let values = [1.0, -0.5, 0.25, 0.0, 12.7, -6.35];
        let (bytes, scales) = quantise_weights(&values, &[3, 2], 0, WeightRange::Full, &[]);
        // .5 · 127 = 63.5 is half way and goes to the even neighbour.
        assert_eq!(bytes, [127, -64, 127, 0, 127, -64]);
        assert!((scales[2] - 0.1).abs() < 1e-7);
        // The same by columns.
        let (bytes, scales) = quantise_weights(&values, &[3, 2], 1, WeightRange::Reduced, &[]);
        assert_eq!(bytes, [5, -5, 1, 0, 63, -63]);
        assert!((scales[1] - 6.35 / 63.0).abs() < 1e-7);
    }

    #[test]
    fn a_channel_of_zeros_keeps_its_bias() {
        let bias = [3.0, -1.0];
        let least = least_scales(&bias, 0.5);
        let (bytes, scales) = quantise_weights(&[0.0, 0.5], &[2, 1], 0, WeightRange::Full, &least);
        assert_eq!(bytes, [0, 127]);
        let (steps, units) = quantise_bias(&bias, 0.5, &scales);
        for ((step, unit), bias) in steps.iter().zip(units).zip(bias) {
            assert!((*step as f32 * unit - bias).abs() < 2e-3, "{step} · {unit} is not {bias}");
        }
    }
}
