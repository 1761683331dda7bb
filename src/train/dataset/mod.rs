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

pub use csv::{CsvOptions, CsvTask, PointFrame, read_csv};
pub use error::{DatasetError, RowProblem};

use crate::model::Digest;
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

/// What a model should answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Any number of labels for each picture.
    MultiLabel {
        /// The vocabulary, sorted: every label of either split.
        labels: Vec<String>,
    },
    /// The places of named points.
    Points {
        /// The points' names, in the order of the columns.
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
    /// Places in the vocabulary, ascending; empty for a picture without labels.
    Labels(Vec<usize>),
    /// One for each name, in pixels of the picture as EXIF orients it; `None` where it is not labelled. A point may
    /// lie outside the picture.
    Points(Vec<Option<(f64, f64)>>),
}

impl Dataset {
    /// The full path of an example's file.
    pub fn path(&self, example: &Example) -> PathBuf {
        self.root.join(&example.file)
    }

    /// What a user should know although nothing is wrong: labels without an example in either split.
    pub fn notices(&self) -> Vec<String> {
        let Targets::MultiLabel { labels } = &self.targets else { return Vec::new() };
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
    /// The number of labels or points.
    pub fn len(&self) -> usize {
        self.names().len()
    }

    /// Whether there is neither label nor point; never so in a data set that was read.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// The labels' or points' names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::MultiLabel { labels } => labels,
            Self::Points { names } => names,
        }
    }

    /// How many of these examples have each label, or have each point labelled.
    pub fn counts(&self, examples: &[Example]) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        for example in examples {
            match &example.target {
                Target::Labels(labels) => labels.iter().for_each(|&label| counts[label] += 1),
                Target::Points(points) => {
                    counts.iter_mut().zip(points).for_each(|(count, point)| *count += u64::from(point.is_some()));
                }
            }
        }
        counts
    }
}
