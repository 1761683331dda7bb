//! Which way a metric is better.

use crate::model::Task;

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Such as mAP.
    Larger,
    /// Such as the loss.
    Smaller,
}

impl Direction {
    /// Whether a value is better than another.
    pub fn is_better(self, value: f64, than: f64) -> bool {
        match self {
            Self::Larger => value > than,
            Self::Smaller => value < than,
        }
    }
}

/// Which way a metric is better, by its name.
pub fn direction(metric: &str) -> Direction {
    let smaller = ["loss", "point_error_px", "nme", "mae", "rmse", "hamming_loss"];
    if smaller.contains(&metric) { Direction::Smaller } else { Direction::Larger }
}

/// The metric that says which epoch is the best, unless the user names another.
pub fn default_metric(task: &Task) -> &'static str {
    match task {
        Task::MultiLabel { .. } => "map",
        Task::SingleLabel { .. } => "accuracy",
        Task::Points(points) if points.nme_pair.is_some() => "nme",
        Task::Points(_) => "point_error_px",
        Task::Values(_) => "rmse",
    }
}
