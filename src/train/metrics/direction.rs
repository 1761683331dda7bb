//! Which way each metric is better, as data: what keeping the best epoch and stopping early go by.

use crate::model::Task;

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Such as mAP.
    Larger,
    /// Such as a loss.
    Smaller,
}

use Direction::{Larger, Smaller};

/// Every metric that an evaluation can have. Those of one label, point or value are called `METRIC/NAME`,
/// and those of a label at another operating point than the default one `METRIC@POINT/NAME`.
pub const METRICS: [(&str, Direction); 29] = [
    ("loss", Smaller),
    ("map", Larger),
    ("average_precision", Larger),
    ("accuracy_multi", Larger),
    ("hamming_loss", Smaller),
    ("precision", Larger),
    ("recall", Larger),
    ("f1", Larger),
    ("precision_micro", Larger),
    ("recall_micro", Larger),
    ("f1_micro", Larger),
    ("precision_macro", Larger),
    ("recall_macro", Larger),
    ("f1_macro", Larger),
    ("roc_auc", Larger),
    ("roc_auc_micro", Larger),
    ("roc_auc_macro", Larger),
    ("ece", Smaller),
    ("ece_uncalibrated", Smaller),
    ("ece_cross_validated", Smaller),
    ("accuracy", Larger),
    ("top_5_accuracy", Larger),
    ("point_error_px", Smaller),
    ("nme", Smaller),
    ("nme_auc_08", Larger),
    ("pck_05", Larger),
    ("rmse", Smaller),
    ("mae", Smaller),
    ("r2", Larger),
];

/// The direction of a metric by its name, such as `map` or `average_precision/cat`; `None` for a name that is no
/// metric's.
pub fn direction(name: &str) -> Option<Direction> {
    let family = name.split_once('/').map_or(name, |(family, _)| family);
    let family = family.split_once('@').map_or(family, |(family, _)| family);
    METRICS.iter().find(|(known, _)| *known == family).map(|&(_, direction)| direction)
}

/// The metric that a task is judged by unless another is named.
pub fn default_metric(task: &Task) -> &'static str {
    match task {
        Task::MultiLabel { .. } => "map",
        Task::SingleLabel { .. } => "accuracy",
        Task::Points(points) if points.nme_pair.is_some() => "nme",
        Task::Points(_) => "point_error_px",
        Task::Values(_) => "rmse",
    }
}

impl Direction {
    /// Whether `new` is better than `old`. What is not a number is never better, and anything is better than it.
    pub fn is_better(self, new: f64, old: f64) -> bool {
        match self {
            _ if new.is_nan() => false,
            _ if old.is_nan() => true,
            Larger => new > old,
            Smaller => new < old,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_by_name_those_of_one_label_too() {
        assert_eq!(direction("map"), Some(Larger));
        assert_eq!(direction("average_precision/a/b"), Some(Larger));
        assert_eq!(direction("recall@precise/a/b"), Some(Larger));
        assert_eq!(direction("nme"), Some(Smaller));
        assert_eq!(direction("mAP"), None);
    }

    #[test]
    fn what_is_not_a_number_is_never_better() {
        assert!(Larger.is_better(0.6, 0.5) && !Larger.is_better(0.5, 0.5));
        assert!(Smaller.is_better(0.4, 0.5) && !Smaller.is_better(0.6, 0.5));
        for direction in [Larger, Smaller] {
            assert!(direction.is_better(0.5, f64::NAN) && !direction.is_better(f64::NAN, 0.5));
            assert!(!direction.is_better(f64::NAN, f64::NAN));
        }
    }
}
