//! Thresholds from validation scores: for each label the one that serves a goal best.
//!
//! The trainer fits on the validation split, the server's tools on corrections of answers. Candidates are the midpoints between neighbouring distinct scores, where 0 lies below all.

mod counts;
mod refit;

use std::{fmt, str::FromStr};

pub use counts::Counts;
pub use refit::{FittedThreshold, LEAST, RefittedLabel, refit};

use crate::model::Label;

/// What a threshold is chosen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// The largest F-beta; of equally good thresholds the nearest to .5. Written `f1`, `f2`, `f0.5`.
    FBeta(f64),
    /// The smallest threshold with at least this precision, so that as much as possible is said. Written `precision:.9`.
    Precision(f64),
    /// The largest threshold with at least this recall, so that as little as possible is said. Written `recall:.9`.
    Recall(f64),
}

/// A goal under the name that requests call it by.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// What its thresholds are chosen for.
    pub goal: Goal,
}

/// A label's threshold and what it is worth on the scores that it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelThreshold {
    /// A label is said where `score >= threshold`.
    pub threshold: f32,
    /// What it gets right on these scores.
    pub counts: Counts,
    /// Whether the goal was reached.
    pub outcome: Outcome,
}

/// Whether a threshold does what it was chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Reached,
    /// No threshold has this precision or recall: it has the best F0.5 (for precision) or F2 (for recall) instead.
    OutOfReach,
    /// The label has no positive example with a score, so the threshold is .5 for want of a better one.
    NoExample,
}

impl OperatingPoint {
    /// What every model gets unless told otherwise: `balanced` (best F1), `precise` (precision .9), `sensitive`
    /// (recall .9).
    pub fn standard() -> Vec<Self> {
        let point = |name: &str, goal| Self { name: name.to_owned(), goal };
        vec![
            point(Label::DEFAULT_OPERATING_POINT, Goal::FBeta(1.0)),
            point("precise", Goal::Precision(0.9)),
            point("sensitive", Goal::Recall(0.9)),
        ]
    }

    /// The standard ones, with those of the same name replaced by `given`, and the rest of `given` after them.
    pub fn standard_and(given: &[Self]) -> Vec<Self> {
        let mut points = Self::standard();
        for new in given {
            match points.iter_mut().find(|point| point.name == new.name) {
                Some(point) => point.goal = new.goal,
                None => points.push(new.clone()),
            }
        }
        points
    }
}

impl FromStr for OperatingPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        let (name, goal) = text.split_once('=').ok_or("write NAME=GOAL, such as strict=precision:.95")?;
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!("{name:?} is not a name of lower-case letters, digits, '_' and '-'"));
        }
        Ok(Self { name: name.to_owned(), goal: goal.parse()? })
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let share = |text: &str| number(text).filter(|number| *number <= 1.0);
        let goal = match text.split_once(':') {
            Some(("precision", least)) => share(least).map(Self::Precision),
            Some(("recall", least)) => share(least).map(Self::Recall),
            Some(_) => None,
            None => text.strip_prefix(['f', 'F']).and_then(number).map(Self::FBeta),
        };
        goal.ok_or_else(|| format!("{text:?} is not a goal: f1, f2, f0.5, precision:.95 or recall:.9"))
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FBeta(beta) => write!(f, "f{beta}"),
            Self::Precision(least) => write!(f, "precision:{least}"),
            Self::Recall(least) => write!(f, "recall:{least}"),
        }
    }
}

/// The threshold of one label for a goal, from scores and truths.
pub fn threshold(column: impl Iterator<Item = (f32, bool)>, goal: Goal) -> LabelThreshold {
    let column: Vec<(f32, bool)> = column.collect();
    let candidates = candidates(&column);
    let best = |beta: f64| candidates.iter().copied().reduce(|best, other| better(best, other, beta));
    let (reached, fallback) = match goal {
        Goal::FBeta(beta) => (best(beta), None),
        Goal::Precision(least) => {
            (candidates.iter().rfind(|(_, counts)| counts.precision() >= least).copied(), best(0.5))
        }
        Goal::Recall(least) => (candidates.iter().find(|(_, counts)| counts.recall() >= least).copied(), best(2.0)),
    };
    match (reached, fallback) {
        (Some((threshold, counts)), _) => LabelThreshold { threshold, counts, outcome: Outcome::Reached },
        (None, Some((threshold, counts))) => LabelThreshold { threshold, counts, outcome: Outcome::OutOfReach },
        (None, None) => {
            let mut counts = Counts::default();
            column.iter().for_each(|&(score, truth)| counts.count(score >= 0.5, truth));
            LabelThreshold { threshold: 0.5, counts, outcome: Outcome::NoExample }
        }
    }
}

/// Every threshold that makes a difference, from the highest down, with what it gets right; none for a column without
/// a positive example.
fn candidates(column: &[(f32, bool)]) -> Vec<(f32, Counts)> {
    // A score that is no number is never said, whatever the threshold.
    let mut said: Vec<(f32, bool)> = column.iter().copied().filter(|(score, _)| *score >= 0.0).collect();
    said.sort_by(|a, b| b.0.total_cmp(&a.0));
    if !said.iter().any(|(_, truth)| *truth) {
        return Vec::new();
    }
    let mut counts = Counts::default();
    column.iter().for_each(|&(_, truth)| counts.count(false, truth));
    let mut found = Vec::new();
    let mut rest = said.as_slice();
    while let Some(&(score, _)) = rest.first() {
        let (equal, below) = rest.split_at(rest.partition_point(|(other, _)| *other >= score));
        for &(_, truth) in equal {
            if truth {
                counts.true_positives += 1;
                counts.false_negatives -= 1;
            } else {
                counts.false_positives += 1;
                counts.true_negatives -= 1;
            }
        }
        found.push((between(below.first().map_or(0.0, |&(next, _)| next), score), counts));
        rest = below;
    }
    found
}

/// The one with the larger F-beta; of equals the nearer to .5, and of equally near ones the first.
fn better(best: (f32, Counts), other: (f32, Counts), beta: f64) -> (f32, Counts) {
    let (known, new) = (best.1.f_beta(beta), other.1.f_beta(beta));
    let nearer = (other.0 - 0.5).abs() < (best.0 - 0.5).abs();
    if new > known || (new == known && nearer) { other } else { best }
}

/// The midpoint, or the higher score where no number lies between the two.
fn between(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle > low { middle } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F1: Goal = Goal::FBeta(1.0);

    /// Expects this threshold with this precision and recall.
    fn assert_found(column: &[(f32, bool)], goal: Goal, (expected, precision, recall): (f32, f64, f64)) {
        let found = threshold(column.iter().copied(), goal);
        assert_eq!((found.counts.precision(), found.counts.recall()), (precision, recall), "{goal}");
        assert!((found.threshold - expected).abs() < 1e-6, "{goal}: {}", found.threshold);
    }

    #[test]
    fn hand_computed_best_f1() {
        let separable = [(0.9, true), (0.7, true), (0.3, false), (0.1, false)];
        assert_found(&separable, F1, (0.5, 1.0, 1.0));
        // Saying all of them: 3 of 4, F1 6/7; the best cut above says 2 of 3 right at most.
        let mostly_true = [(0.1, true), (0.2, true), (0.8, false), (0.9, true)];
        assert_found(&mostly_true, F1, (0.05, 0.75, 1.0));
        // Equal scores stand or fall together: with the three 0.6 alone F1 is 1/3, with 0.2 as well it is 3/4.
        let ties = [(0.6, true), (0.6, false), (0.6, false), (0.2, true), (0.2, true), (0.1, false)];
        let chosen = threshold(ties.into_iter(), F1);
        assert_eq!(chosen.counts.f1(), 0.75);
        assert!(chosen.threshold > 0.1 && chosen.threshold <= 0.2);
    }

    #[test]
    fn hand_computed_precision_and_recall() {
        let column = [(0.9, true), (0.8, false), (0.7, true), (0.6, true), (0.5, true), (0.4, false), (0.3, true)];
        // From above: precision 1, 1/2, 2/3, 3/4, 4/5, 4/6, 5/7; recall 1/5, 1/5, 2/5, 3/5, 4/5, 4/5, 1.
        assert_found(&column, Goal::Precision(0.8), (0.45, 0.8, 0.8));
        assert_found(&column, Goal::Precision(0.9), (0.85, 1.0, 0.2));
        assert_found(&column, Goal::Recall(0.7), (0.45, 0.8, 0.8));
        assert_found(&column, Goal::Recall(0.9), (0.15, 5.0 / 7.0, 1.0));
        assert_found(&column, Goal::Recall(0.2), (0.85, 1.0, 0.2));
    }

    #[test]
    fn a_precision_out_of_reach_gives_the_best_f_one_half_and_says_so() {
        let column = [(0.9, false), (0.8, true), (0.7, true), (0.2, false)];
        let chosen = threshold(column.into_iter(), Goal::Precision(0.9));
        assert_eq!(chosen.outcome, Outcome::OutOfReach);
        assert!((chosen.counts.precision() - 2.0 / 3.0).abs() < 1e-12 && chosen.counts.recall() == 1.0);
        // A positive picture without a score is never found.
        let unseen = threshold([(f32::NAN, true), (0.4, true), (0.2, false)].into_iter(), Goal::Recall(0.9));
        assert_eq!((unseen.outcome, unseen.counts.recall()), (Outcome::OutOfReach, 0.5));
    }

    #[test]
    fn a_label_without_a_positive_example_gets_one_half_and_says_so() {
        for goal in [F1, Goal::Precision(0.9), Goal::Recall(0.9)] {
            for column in [&[(0.9, false), (0.1, false)][..], &[(f32::NAN, true)], &[]] {
                let chosen = threshold(column.iter().copied(), goal);
                assert_eq!((chosen.threshold, chosen.outcome), (0.5, Outcome::NoExample));
            }
        }
        let judged = threshold([(0.9, false), (0.1, false)].into_iter(), F1).counts;
        assert_eq!((judged.false_positives, judged.true_negatives), (1, 1));
    }

    #[test]
    fn a_label_that_every_picture_has_is_said_of_every_picture() {
        let chosen = threshold([(0.9, true), (0.4, true)].into_iter(), F1);
        assert_eq!((chosen.threshold, chosen.counts.recall()), (0.2, 1.0));
    }

    #[test]
    fn neighbouring_floats_are_still_told_apart() {
        let high = 0.3_f32;
        let low = f32::from_bits(high.to_bits() - 1);
        assert_found(&[(high, true), (low, false)], F1, (high, 1.0, 1.0));
    }

    #[test]
    fn goals_and_points_are_written_as_text() {
        let point: OperatingPoint = "strict=precision:.95".parse().unwrap();
        assert_eq!(point, OperatingPoint { name: "strict".into(), goal: Goal::Precision(0.95) });
        for text in ["f1", "f0.5", "precision:0.9", "recall:1"] {
            assert_eq!(text.parse::<Goal>().unwrap().to_string(), text);
        }
        for wrong in ["x", "=f1", "a b=f1", "x=", "x=f", "x=f0", "x=fNaN", "x=precision:1.1", "x=recall:0", "x=f1:2"] {
            assert!(wrong.parse::<OperatingPoint>().is_err(), "{wrong}");
        }
        let points = OperatingPoint::standard_and(&[point, "precise=f0.5".parse().unwrap()]);
        let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
        assert_eq!(names, ["balanced", "precise", "sensitive", "strict"]);
        assert_eq!(points[1].goal, Goal::FBeta(0.5));
    }
}
