//! What a data set is read from, and how.

use std::path::PathBuf;

use super::{Format, TaskKind};

/// Which data set, and how to read it.
#[derive(Clone, Debug)]
pub struct DataOptions {
    /// A table, a COCO file, or a folder.
    pub data: PathBuf,
    /// What the data set's targets are.
    pub task: TaskKind,
    /// How `data` is written; recognised where there is none.
    pub format: Option<Format>,
    /// The validation pictures, where they are a source of their own in the same format.
    pub valid_data: Option<PathBuf>,
    /// The folder that file names are relative to; by default found beside `data`.
    pub pictures: Option<PathBuf>,
    /// Between the labels of one cell, or of one name that `label_pattern` captures.
    pub label_delimiter: char,
    /// Takes the label out of a file's name: the capture group `label`, or the first one.
    pub label_pattern: Option<String>,
    /// Whether the objects that a VOC file calls difficult count.
    pub difficult: bool,
    /// What the coordinates of points are pixels of.
    pub point_frame: PointFrame,
    /// Added to each coordinate, so that 0 is the picture's left or upper edge; the format's own where there is none.
    pub point_shift: Option<f64>,
    /// The fraction of pictures that validate, above 0 and below 1; for a data set that does not say which ones do.
    pub valid_pct: Option<f64>,
    /// A list of the files that validate, one on each line; for a data set that does not say which ones do.
    pub valid_list: Option<PathBuf>,
    /// The column of a table that says which group a picture belongs to: no group is drawn into both splits.
    pub group_column: Option<String>,
    /// Takes the group out of a file's path: the capture group `group`, or the first one.
    pub group_pattern: Option<String>,
    /// Draws the split of `valid_pct`.
    pub seed: u64,
    /// Which splits have to have pictures.
    pub needed: Needed,
    /// The folder where what was seen of the pictures is kept, so that the next reading starts at once; none for a look
    /// at every picture.
    pub cache: Option<PathBuf>,
}

impl DataOptions {
    /// The defaults: a recognised format, a space between labels, the split as the data set says, to learn from, nothing
    /// kept.
    pub fn new(data: impl Into<PathBuf>, task: TaskKind) -> Self {
        Self {
            data: data.into(),
            task,
            format: None,
            valid_data: None,
            pictures: None,
            label_delimiter: ' ',
            label_pattern: None,
            difficult: false,
            point_frame: PointFrame::Oriented,
            point_shift: None,
            valid_pct: None,
            valid_list: None,
            group_column: None,
            group_pattern: None,
            seed: 0,
            needed: Needed::Both,
            cache: None,
        }
    }
}

/// What a data set is read for, by the splits that have to have pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Both, and something that can be learnt from them.
    Both,
    /// The training split, to judge a model on it.
    Train,
    /// The validation split, to judge a model on it.
    Valid,
    /// Either, to judge a model on all pictures: nothing has to say which ones validate.
    Any,
}

impl Needed {
    /// Whether the validation split, or the training split, has to have pictures.
    pub(super) fn includes(self, valid: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Train => !valid,
            Self::Valid => valid,
            Self::Any => false,
        }
    }
}

/// What the coordinates of points are pixels of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointFrame {
    /// The picture as EXIF orients it, as viewers show it.
    Oriented,
    /// The pixels as they are stored, for tools that ignore EXIF orientation.
    Stored,
}
