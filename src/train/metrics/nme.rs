//! Normalised mean error (NME): point error as a share of the distance between two chosen points, such as the outer
//! corners of the eyes.

use super::{PointSample, distance, mean};

/// The mean over pictures of their mean point distance divided by the distance between the pair's labelled points.
///
/// Pictures in which a point of the pair is not labelled, or the two lie on each other, have no measure and are left
/// out; `None` where that is all of them.
pub fn normalised_mean_error(samples: &[PointSample], pair: (usize, usize)) -> Option<f64> {
    mean(picture_errors(samples, pair))
}

/// The normalised error of each picture that has a measure.
pub(super) fn picture_errors(samples: &[PointSample], pair: (usize, usize)) -> impl Iterator<Item = f64> + '_ {
    samples.iter().filter_map(move |sample| {
        let point = |place: usize| sample.truth.get(place).copied().flatten();
        let measure = distance(point(pair.0)?, point(pair.1)?);
        (measure > 0.0).then_some(mean(sample.distances())? / measure)
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn hand_computed_case() {
        let truth = [Some((0.0, 0.0)), Some((10.0, 0.0)), None];
        // Distances 5 and 0 over 10: .25.
        let first = sample(&[(3.0, 4.0), (10.0, 0.0), (7.0, 7.0)], &truth);
        // Distances 1 and 0 over 10: .05.
        let second = sample(&[(0.0, 1.0), (10.0, 0.0), (7.0, 7.0)], &truth);
        let unmeasured = sample(&[(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], &[Some((5.0, 5.0)), None, Some((1.0, 1.0))]);
        let degenerate = sample(&[(0.0, 0.0), (0.0, 0.0)], &[Some((5.0, 5.0)), Some((5.0, 5.0))]);
        let error = normalised_mean_error(&[first, second, unmeasured.clone(), degenerate], (0, 1)).unwrap();
        assert!((error - 0.15).abs() < 1e-12, "{error}");
        assert_eq!(normalised_mean_error(&[unmeasured], (0, 1)), None);
    }
}
