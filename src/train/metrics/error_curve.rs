//! The area under the cumulative error curve: how many pictures have at most each error, up to a cut.

use super::{PointSample, nme::picture_errors};

/// The area under the curve "share of pictures with a normalised error of at most e", e from 0 to `cut`, divided by
/// `cut` (usually .08); 1 is perfect, and a picture at or beyond the cut adds nothing.
///
/// Each picture adds the part of the axis to the right of its error, so the area is the mean of `1 − error / cut`, with
/// no steps to choose. `None` where no picture has a measure, as in [`super::normalised_mean_error`].
pub fn error_curve_area(samples: &[PointSample], pair: (usize, usize), cut: f64) -> Option<f64> {
    // A picture whose error is not a number adds nothing: `max` gives its other operand.
    super::mean(picture_errors(samples, pair).map(|error| (1.0 - error / cut).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::super::{fixture::assert_near, sample};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let truth = [Some((0.0, 0.0)), Some((100.0, 0.0))];
        // Mean distances of 4, 0 and 50 pixels over 100.
        let samples = [(8.0, 0.0), (0.0, 0.0), (100.0, 0.0)].map(|first| sample(&[first, (100.0, 0.0)], &truth));
        assert_near(error_curve_area(&samples, (0, 1), 0.08).unwrap(), (0.5 + 1.0) / 3.0);
        let broken = sample(&[(f64::NAN, 0.0), (100.0, 0.0)], &truth);
        assert_eq!(error_curve_area(&[broken], (0, 1), 0.08), Some(0.0));
        assert_eq!(error_curve_area(&[], (0, 1), 0.08), None);
    }

    #[test]
    fn it_is_the_area_under_the_curve() {
        let truth = [Some((0.0, 0.0)), Some((100.0, 0.0))];
        let samples: Vec<_> = (0..40).map(|i| sample(&[(0.5 * f64::from(i), 0.0), (100.0, 0.0)], &truth)).collect();
        let errors: Vec<f64> = picture_errors(&samples, (0, 1)).collect();
        let steps = 100_000;
        let share = |e: f64| errors.iter().filter(|error| **error <= e).count() as f64 / errors.len() as f64;
        let sum: f64 = (0..steps).map(|i| share(0.08 * (f64::from(i) + 0.5) / f64::from(steps))).sum();
        let ours = error_curve_area(&samples, (0, 1), 0.08).unwrap();
        assert!((ours - sum / f64::from(steps)).abs() < 1e-4, "{ours}");
    }
}
