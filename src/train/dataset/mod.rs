//! A data set: which pictures train, which validate, and what a model should answer for each.
//!
//! [`read_csv`] takes a table and a folder of pictures, and reads every one of both before it returns: what cannot be
//! read is an error that names every such row, never a picture that is silently left out.

mod columns;
mod csv;
mod error;
mod orientation;
mod pictures;
pub mod points;
mod rows;
mod split;

use std::path::PathBuf;

pub use csv::{CsvOptions, PointFrame, read_csv};
pub use error::{DatasetError, RowProblem};

use crate::model::{Digest, Task};
use crate::picture::PictureSize;

/// Pictures with their targets, in a training and a validation split; neither is empty.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder that the examples' files are relative to.
    pub root: PathBuf,
    /// What a model should answer.
    pub targets: Targets,
    /// The training split, in the order of the table.
    pub train: Vec<Example>,
    /// The validation split, in the order of the table.
    pub valid: Vec<Example>,
    /// SHA-256 over the rows (file, targets, split) in order and the files' contents.
    pub fingerprint: Digest,
}

/// What a data set's targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        /// The points' names, in the order of the columns.
        names: Vec<String>,
    },
    /// Named numbers.
    Values {
        /// The numbers' names, in the order of the columns.
        names: Vec<String>,
    },
}

/// One picture and what a model should answer for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// As the table names it, relative to the data set's root.
    pub file: PathBuf,
    /// Its line in the table; the header is line 1.
    pub row: u64,
    /// The size of the whole picture as EXIF orients it.
    pub size: PictureSize,
    /// What a model should answer.
    pub target: Target,
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

impl Dataset {
    /// The full path of an example's file.
    pub fn path(&self, example: &Example) -> PathBuf {
        self.root.join(&example.file)
    }

    /// What the targets are.
    pub fn kind(&self) -> TaskKind {
        match self.targets {
            Targets::MultiLabel { .. } => TaskKind::MultiLabel,
            Targets::SingleLabel { .. } => TaskKind::SingleLabel,
            Targets::Points { .. } => TaskKind::Points,
            Targets::Values { .. } => TaskKind::Values,
        }
    }

    /// What a user should know although nothing is wrong: labels without an example in either split.
    pub fn notices(&self) -> Vec<String> {
        let (Targets::MultiLabel { labels } | Targets::SingleLabel { labels }) = &self.targets else {
            return Vec::new();
        };
        let counts = self.targets.counts(&self.train).into_iter().zip(self.targets.counts(&self.valid));
        let notice = |(label, (train, valid)): (&String, (u64, u64))| match (train, valid) {
            (0, 0) => Some(format!("label {label:?} has no example")),
            (0, _) => Some(format!("label {label:?} is in the validation split only: it cannot be learnt")),
            (_, 0) => Some(format!("label {label:?} is in the training split only: it cannot be measured")),
            _ => None,
        };
        labels.iter().zip(counts).filter_map(notice).collect()
    }
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
