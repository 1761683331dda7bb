//! Mean point error: the mean distance between predicted and labelled points.

use super::{PointSample, mean};

/// The mean over all labelled points, in pixels of the original pictures; `None` where none is labelled.
pub fn mean_point_error(samples: &[PointSample]) -> Option<f64> {
    mean(samples.iter().flat_map(PointSample::distances))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn hand_computed_case() {
        let samples = [
            sample(&[(3.0, 4.0), (9.0, 9.0)], &[Some((0.0, 0.0)), None]),
            sample(&[(1.0, 1.0), (2.0, 3.0)], &[Some((1.0, 1.0)), Some((2.0, 2.0))]),
        ];
        assert_eq!(mean_point_error(&samples), Some(2.0));
        assert_eq!(mean_point_error(&[sample(&[(0.0, 0.0)], &[None])]), None);
    }
}
