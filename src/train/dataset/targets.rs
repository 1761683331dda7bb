//! What a model should answer: labels, points or values.

use serde::Serialize;

use super::Example;
use crate::model::Task;

/// What a data set's targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Any number of labels for each picture.
    MultiLabel,
    /// Exactly one label for each picture.
    SingleLabel,
    /// The places of named points.
    Points,
    /// Named numbers.
    Values,
}

impl TaskKind {
    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MultiLabel => "multi-label",
            Self::SingleLabel => "single-label",
            Self::Points => "points",
            Self::Values => "values",
        }
    }

    /// What a model of this kind answers with, in the plural.
    pub fn noun(self) -> &'static str {
        match self {
            Self::MultiLabel | Self::SingleLabel => "labels",
            Self::Points => "points",
            Self::Values => "values",
        }
    }
}

impl From<&Task> for TaskKind {
    fn from(task: &Task) -> Self {
        match task {
            Task::MultiLabel { .. } => Self::MultiLabel,
            Task::SingleLabel { .. } => Self::SingleLabel,
            Task::Points(_) => Self::Points,
            Task::Values(_) => Self::Values,
        }
    }
}

/// What a model should answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Any number of labels for each picture.
    MultiLabel {
        /// The vocabulary, sorted: every label of either split.
        labels: Vec<String>,
    },
    /// Exactly one label for each picture.
    SingleLabel {
        /// The vocabulary, sorted: every label of either split.
        labels: Vec<String>,
    },
    /// The places of named points.
    Points {
        /// The points' names, in their own order.
        names: Vec<String>,
    },
    /// Named numbers.
    Values {
        /// The numbers' names, in their own order.
        names: Vec<String>,
    },
}

/// What a model should answer for one picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Places in the vocabulary, ascending; empty for a picture without labels, one for a single-label data set.
    Labels(Vec<usize>),
    /// One for each name, in pixels of the picture as EXIF orients it; `None` where it is not labelled. A point may
    /// lie outside the picture.
    Points(Vec<Option<(f64, f64)>>),
    /// One for each name; `None` where it is not known.
    Values(Vec<Option<f64>>),
}

impl Targets {
    /// The number of labels, points or values.
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether there is nothing to answer; never so in a data set that was read.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// The labels', points' or values' names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::MultiLabel { labels } | Self::SingleLabel { labels } => labels,
            Self::Points { names } | Self::Values { names } => names,
        }
    }

    /// The place of a label, in a vocabulary that is sorted as that of a data set that was read.
    pub(super) fn place(&self, label: &str) -> Option<usize> {
        self.names().binary_search_by(|name| name.as_str().cmp(label)).ok()
    }

    /// How many of these examples have each label, or say where each point or what each value is.
    pub fn counts(&self, examples: &[Example]) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        for example in examples {
            match &example.target {
                Target::Labels(labels) => labels.iter().for_each(|&label| counts[label] += 1),
                Target::Points(points) => {
                    counts.iter_mut().zip(points).for_each(|(count, point)| *count += u64::from(point.is_some()));
                }
                Target::Values(values) => {
                    counts.iter_mut().zip(values).for_each(|(count, value)| *count += u64::from(value.is_some()));
                }
            }
        }
        counts
    }
}
