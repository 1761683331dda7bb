//! PCK, the share of correct keypoints.

use super::{PointSample, mean};

/// The share of labelled points that are predicted within `fraction` (usually .05) of the longer side of their picture;
/// `None` where none is labelled.
pub fn correct_keypoints(samples: &[PointSample], fraction: f64) -> Option<f64> {
    mean(samples.iter().flat_map(|sample| {
        let reach = fraction * f64::from(sample.size.width.max(sample.size.height));
        sample.distances().map(move |distance| f64::from(u8::from(distance <= reach)))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn hand_computed_case() {
        // The longer side is 200, so .05 reaches 10 pixels.
        let truth = [Some((50.0, 50.0)), Some((50.0, 50.0)), None, Some((50.0, 50.0)), Some((50.0, 50.0))];
        let sample = sample(&[(60.0, 50.0), (50.0, 60.1), (50.0, 50.0), (56.0, 58.0), (150.0, 50.0)], &truth);
        assert_eq!(correct_keypoints(&[sample], 0.05), Some(0.5));
        assert_eq!(correct_keypoints(&[], 0.05), None);
    }
}
