//! The task of a model, from its data set and the names given on the command line.

use super::{
    TrainError,
    dataset::{Dataset, Targets, TaskKind, points::ibug68},
};
use crate::model::{Label, Points, Task, Values, YRange};

/// Points may lie somewhat outside the frame: faces are cut off, and augmentation moves them.
const POINT_RANGE: YRange = YRange { low: -1.2, high: 1.2 };

/// What the data set does not say about points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointSettings {
    /// Whether the points are iBUG's 68 facial points, whose names and pairs are known.
    pub ibug68: bool,
    /// Whether training pictures are mirrored.
    pub flips: bool,
    /// Pairs that change places in a mirror image, as `a:b`, by name or place; `none` alone where there are none.
    pub flip_pairs: Vec<String>,
    /// The pair that normalises the error, as `a:b`, by name or place.
    pub nme_pair: Option<String>,
}

/// The data set's task, thresholds not yet fitted.
///
/// # Errors
/// Pairs that name no points, or a known set of points that the data set does not have.
pub fn task_of(dataset: &Dataset, y_ranges: &[YRange], settings: &PointSettings) -> Result<Task, TrainError> {
    match &dataset.targets {
        Targets::MultiLabel { labels } | Targets::SingleLabel { labels } => {
            let single = dataset.kind() == TaskKind::SingleLabel;
            let train = dataset.targets.counts(&dataset.train);
            let valid = dataset.targets.counts(&dataset.valid);
            let label = |(place, name): (usize, &String)| Label {
                name: name.clone(),
                thresholds: if single { [].into() } else { [(Label::DEFAULT_OPERATING_POINT.to_owned(), 0.5)].into() },
                train_count: train[place],
                valid_count: valid[place],
            };
            let labels = labels.iter().enumerate().map(label).collect();
            Ok(if single { Task::SingleLabel { labels } } else { Task::MultiLabel { labels } })
        }
        Targets::Points { names } => match y_ranges {
            [] => points(names, POINT_RANGE, settings).map(Task::Points).map_err(TrainError::Recipe),
            &[y_range] => points(names, y_range, settings).map(Task::Points).map_err(TrainError::Recipe),
            _ => Err(TrainError::Recipe(format!("points have one y-range, not {}", y_ranges.len()))),
        },
        Targets::Values { names } => {
            if !matches!(y_ranges.len(), 0 | 1) && y_ranges.len() != names.len() {
                let (ranges, names) = (y_ranges.len(), names.len());
                return Err(TrainError::Recipe(format!("{ranges} y-ranges for {names} values: give one, or one each")));
            }
            Ok(Task::Values(Values { names: names.clone(), y_ranges: y_ranges.to_vec() }))
        }
    }
}

fn points(names: &[String], y_range: YRange, settings: &PointSettings) -> Result<Points, String> {
    let (names, mut flip_pairs, mut nme_pair) = if settings.ibug68 {
        let known = ibug68::names();
        if names.len() != known.len() {
            return Err(format!("the data set has {} points, ibug68 has {}", names.len(), known.len()));
        }
        (known, ibug68::flip_pairs(), Some(ibug68::OUTER_EYE_CORNERS))
    } else {
        (names.to_vec(), Vec::new(), None)
    };
    let none = settings.flip_pairs == ["none"];
    if !none {
        for pair in &settings.flip_pairs {
            let (a, b) = parse_pair(pair, &names)?;
            if !flip_pairs.contains(&(a, b)) && !flip_pairs.contains(&(b, a)) {
                flip_pairs.push((a, b));
            }
        }
    }
    if settings.flips && flip_pairs.is_empty() && names.len() > 1 && !none {
        return Err("a mirrored picture shows left points on the right: name the pairs that change places with \
                    --flip-pairs a:b,c:d, say --flip-pairs none where there are none, or train with --no-flip and without \
                    --flip-vertical"
            .to_owned());
    }
    if let Some(pair) = &settings.nme_pair {
        nme_pair = Some(parse_pair(pair, &names)?);
    }
    let points = Points { names, flip_pairs, y_range, nme_pair };
    match points.in_two_pairs() {
        Some(name) => {
            Err(format!("point {name:?} is in two flip pairs: in a mirror image each changes places with one"))
        }
        None => Ok(points),
    }
}

/// `a:b`, each a point's name or its place from 0.
fn parse_pair(text: &str, names: &[String]) -> Result<(usize, usize), String> {
    let place = |part: &str| {
        let part = part.trim();
        let by_name = names.iter().position(|name| name == part);
        by_name.or_else(|| part.parse().ok().filter(|&place: &usize| place < names.len()))
    };
    text.split_once(':').and_then(|(a, b)| Some((place(a)?, place(b)?))).filter(|(a, b)| a != b).ok_or_else(|| {
        format!("{text:?} is not a pair of two of the {} points: write a:b, by name or place from 0", names.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrored_pictures_of_several_points_need_pairs_or_a_word_that_there_are_none() {
        let names = ["left", "right"].map(str::to_owned);
        let range = YRange { low: -1.0, high: 1.0 };
        let with = |flips, pairs: &[&str]| {
            let flip_pairs = pairs.iter().map(|&pair| pair.to_owned()).collect();
            points(&names, range, &PointSettings { flips, flip_pairs, ..PointSettings::default() })
        };
        assert!(with(true, &[]).unwrap_err().contains("--flip-pairs"));
        assert_eq!(with(true, &["left:right"]).unwrap().flip_pairs, [(0, 1)]);
        assert_eq!(with(true, &["none"]).unwrap().flip_pairs, []);
        assert_eq!(with(false, &[]).unwrap().flip_pairs, []);
    }

    #[test]
    fn a_pair_that_is_named_twice_counts_once_and_a_point_in_two_pairs_is_refused() {
        let range = YRange { low: -1.0, high: 1.0 };
        let with = |ibug68, names: &[String], pairs: &[&str]| {
            let flip_pairs = pairs.iter().map(|&pair| pair.to_owned()).collect();
            points(names, range, &PointSettings { ibug68, flips: true, flip_pairs, ..PointSettings::default() })
        };
        let names = ["left", "right", "nose"].map(str::to_owned);
        assert_eq!(with(false, &names, &["left:right", "1:0", "0:1"]).unwrap().flip_pairs, [(0, 1)]);
        let faces: Vec<String> = (0..68).map(|place: usize| place.to_string()).collect();
        assert_eq!(with(true, &faces, &["36:45", "45:36"]).unwrap().flip_pairs, ibug68::flip_pairs());
        let error = with(false, &names, &["left:right", "right:nose"]).unwrap_err();
        assert!(error.contains("\"right\" is in two flip pairs"), "{error}");
    }

    #[test]
    fn pairs_are_given_by_name_or_place() {
        let names = ["nose", "left_eye", "right_eye"].map(str::to_owned);
        assert_eq!(parse_pair("left_eye:right_eye", &names), Ok((1, 2)));
        assert_eq!(parse_pair("0: 2", &names), Ok((0, 2)));
        for wrong in ["left_eye", "0:3", "1:1", "ear:nose"] {
            assert!(parse_pair(wrong, &names).unwrap_err().contains(wrong));
        }
    }
}
