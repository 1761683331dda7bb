//! Which data set a command works on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use crate::import::TaskArg;
use crate::{
    output::say,
    train::{
        TrainError,
        dataset::{
            DataOptions, Dataset, Format, Needed, PointFrame, TaskKind, cache_folder, findings::Severity, inspect,
        },
    },
};

/// Warnings and notes that are spelt out.
const SHOWN: usize = 20;

/// The data set, and which of its pictures validate.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// A table (.csv), a COCO file (.json), or a folder: one folder for each label, Pascal VOC, or .pts files.
    #[arg(long)]
    pub data: PathBuf,
    /// How the data is written, where it is not recognised: csv, folders, file-names, voc, coco or pts.
    #[arg(long)]
    pub format: Option<Format>,
    /// The validation pictures, where they are a second table, file or folder of the same format.
    #[arg(long, value_name = "DATA")]
    pub valid_data: Option<PathBuf>,
    /// The folder of the pictures [default: found beside the data].
    #[arg(long)]
    pub pictures: Option<PathBuf>,
    /// Between the labels of one cell.
    #[arg(long, default_value_t = ' ')]
    pub label_delimiter: char,
    /// Takes the label out of each file name: the first group, or the one named label, such as '^(.+)_[0-9]+\.jpg$'.
    #[arg(long, value_name = "REGEX")]
    pub label_pattern: Option<String>,
    /// Pascal VOC: count objects that are marked as difficult.
    #[arg(long)]
    pub difficult: bool,
    /// The share of pictures that validate, drawn by --seed with nearly the same share of each label.
    #[arg(long)]
    pub valid_pct: Option<f64>,
    /// A list of the files that validate, one on each line.
    #[arg(long, value_name = "FILE")]
    pub valid_list: Option<PathBuf>,
    /// The table's column of groups, such as persons: a drawn split has no group in both parts.
    #[arg(long, value_name = "COLUMN")]
    pub group_column: Option<String>,
    /// Takes the group out of each file's path: the first group, or the one named group, such as '^(.+)_[0-9]+\.jpg$'.
    #[arg(long, value_name = "REGEX")]
    pub group_pattern: Option<String>,
    /// What coordinates are pixels of: the picture as EXIF orients it, or as it is stored.
    #[arg(long, value_enum, default_value_t = PointFrameArg::Oriented)]
    pub point_frame: PointFrameArg,
    /// Added to coordinates, so that 0 is the left or upper edge [default: 0 in a table, 0.5 in COCO, -0.5 in .pts].
    #[arg(long, allow_hyphen_values = true)]
    pub point_shift: Option<f64>,
}

/// See [`PointFrame`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PointFrameArg {
    /// As viewers show it.
    Oriented,
    /// As tools see it that ignore EXIF.
    Stored,
}

impl From<TaskArg> for TaskKind {
    fn from(task: TaskArg) -> Self {
        match task {
            TaskArg::MultiLabel => Self::MultiLabel,
            TaskArg::SingleLabel => Self::SingleLabel,
            TaskArg::Points => Self::Points,
            TaskArg::Values => Self::Values,
        }
    }
}

impl DataArgs {
    /// The options for reading the data set.
    pub fn options(&self, task: TaskKind, seed: u64) -> DataOptions {
        DataOptions {
            format: self.format,
            valid_data: self.valid_data.clone(),
            pictures: self.pictures.clone(),
            label_delimiter: self.label_delimiter,
            label_pattern: self.label_pattern.clone(),
            difficult: self.difficult,
            point_frame: match self.point_frame {
                PointFrameArg::Oriented => PointFrame::Oriented,
                PointFrameArg::Stored => PointFrame::Stored,
            },
            point_shift: self.point_shift,
            valid_pct: self.valid_pct,
            valid_list: self.valid_list.clone(),
            group_column: self.group_column.clone(),
            group_pattern: self.group_pattern.clone(),
            seed,
            cache: cache_folder(),
            ..DataOptions::new(&self.data, task)
        }
    }
}

/// Reads and checks the data set and every picture, and tells in a line each what a user should know.
pub(super) fn read(args: &DataArgs, task: TaskKind, seed: u64) -> Result<Dataset, TrainError> {
    read_with_notes(args, task, seed).map(|(dataset, _)| dataset)
}

/// As [`read`], for a model that is there already and needs these splits.
pub(super) fn read_for_model(
    args: &DataArgs,
    task: TaskKind,
    seed: u64,
    needed: Needed,
) -> Result<Dataset, TrainError> {
    tell(args, &DataOptions { needed, ..args.options(task, seed) }).map(|(dataset, _)| dataset)
}

/// As [`read`], and what it told, for a report.
pub(super) fn read_with_notes(
    args: &DataArgs,
    task: TaskKind,
    seed: u64,
) -> Result<(Dataset, Vec<String>), TrainError> {
    tell(args, &args.options(task, seed))
}

fn tell(args: &DataArgs, options: &DataOptions) -> Result<(Dataset, Vec<String>), TrainError> {
    let inspection = inspect(options)?;
    let dataset = inspection.dataset?;
    say!(
        "{}: {} training and {} validation pictures, {} {}",
        args.data.display(),
        dataset.train.len(),
        dataset.valid.len(),
        dataset.targets.len(),
        options.task.noun(),
    );
    let mut notes = Vec::new();
    for (severity, word) in [(Severity::Warning, "warning"), (Severity::Note, "note")] {
        let found: Vec<_> = inspection.findings.of_severity(severity).collect();
        found.iter().take(SHOWN).for_each(|finding| say!("{word}: {}", finding.line()));
        notes.extend(found.iter().map(|finding| finding.line()));
        if found.len() > SHOWN {
            say!("{word}: … and {} more; `tagpoint-train check` tells all", found.len() - SHOWN);
        }
    }
    Ok((dataset, notes))
}
