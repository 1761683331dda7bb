//! Errors of numbers: mean absolute error, root mean squared error, and the share of the variance that is explained.
//!
//! All take pairs (predicted, true) of the pictures whose true value is known, and give `None` where there are none. A
//! prediction that is not a number makes them not a number.

use super::mean;

/// Mean absolute error (MAE), in the value's own unit.
pub fn mean_absolute_error(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(predicted, truth)| (predicted - truth).abs()))
}

/// Root mean squared error (RMSE), in the value's own unit.
pub fn root_mean_squared_error(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(predicted, truth)| (predicted - truth).powi(2))).map(f64::sqrt)
}

/// R²: 1 minus the squared error's share of the variance of what is true. 1 is perfect, 0 is as good as always saying
/// the mean, and worse than that is negative. `None` where the true values do not differ: there is nothing to explain.
pub fn r_squared(pairs: &[(f64, f64)]) -> Option<f64> {
    let middle = mean(pairs.iter().map(|(_, truth)| *truth))?;
    let spread: f64 = pairs.iter().map(|(_, truth)| (truth - middle).powi(2)).sum();
    let error: f64 = pairs.iter().map(|(predicted, truth)| (predicted - truth).powi(2)).sum();
    (spread > 0.0).then(|| 1.0 - error / spread)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{assert_near, reference};
    use super::*;

    #[test]
    fn hand_computed_case() {
        let pairs = [(1.0, 2.0), (5.0, 2.0), (2.0, 5.0)];
        assert_near(mean_absolute_error(&pairs).unwrap(), 7.0 / 3.0);
        assert_near(root_mean_squared_error(&pairs).unwrap(), (19.0_f64 / 3.0).sqrt());
        // The mean of what is true is 3, the sum of squares about it 6.
        assert_near(r_squared(&pairs).unwrap(), 1.0 - 19.0 / 6.0);
    }

    #[test]
    fn nothing_known_has_no_error_and_what_does_not_differ_explains_nothing() {
        assert_eq!((mean_absolute_error(&[]), root_mean_squared_error(&[]), r_squared(&[])), (None, None, None));
        assert_eq!(r_squared(&[(1.0, 2.0), (2.0, 2.0)]), None);
        assert_eq!(r_squared(&[(2.0, 2.0)]), None);
        assert!(mean_absolute_error(&[(f64::NAN, 1.0)]).unwrap().is_nan());
    }

    #[test]
    fn equal_to_scikit_learn() {
        for value in reference().values {
            let pairs: Vec<_> = value.predicted.iter().copied().zip(value.truth.iter().copied()).collect();
            assert_near(mean_absolute_error(&pairs).unwrap(), value.mae);
            assert_near(root_mean_squared_error(&pairs).unwrap(), value.rmse);
            assert_near(r_squared(&pairs).unwrap(), value.r2);
        }
    }
}
