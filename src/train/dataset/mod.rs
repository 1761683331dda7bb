//! A data set: which pictures train, which validate, and what a model should answer for each.
//!
//! [`read`] takes a table, a folder or an annotation file ([`Format`]), and reads every picture before it returns: what
//! cannot be read is an error that names every such row, never a picture that is silently left out. [`inspect`] does the
//! same and tells what it found ([`Findings`]): duplicates, labels in one split only, points outside the frame.
//!
//! Reading order: the format's reader in `formats` gives a `Table` → `split` says which rows validate → `pictures` looks
//! at each file, or `cache` knows it from the last run → `findings` → [`Dataset`].

mod cache;
mod error;
pub mod findings;
mod formats;
mod options;
mod orientation;
mod pictures;
pub mod points;
mod read;
mod split;
mod table;
mod targets;
mod text;

use std::path::PathBuf;

pub use cache::cache_folder;
pub use error::{DatasetError, Origin, RowProblem};
pub use findings::Findings;
pub use formats::Format;
pub use options::{DataOptions, Needed, PointFrame};
pub use read::{Inspection, inspect, read};
pub use targets::{Target, Targets, TaskKind};

use crate::model::Digest;
use crate::picture::PictureSize;

/// Pictures with their targets, in a training and a validation split; neither is empty where both are [`Needed`].
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder that the examples' files are relative to.
    pub root: PathBuf,
    /// What a model should answer.
    pub targets: Targets,
    /// The training split, in the order of the data set.
    pub train: Vec<Example>,
    /// The validation split, in the order of the data set.
    pub valid: Vec<Example>,
    /// SHA-256 over the rows (file, targets, split) in order and the files' contents.
    pub fingerprint: Digest,
}

/// One picture and what a model should answer for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// As the data set names it, relative to its root.
    pub file: PathBuf,
    /// Its line in the table, whose header is line 1; its place from 1 on in other formats.
    pub row: u64,
    /// The size of the whole picture as EXIF orients it.
    pub size: PictureSize,
    /// What a model should answer.
    pub target: Target,
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
}
