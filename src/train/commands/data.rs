//! Which data set a command works on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::train::{
    TrainError,
    dataset::{CsvOptions, Dataset, PointFrame, TaskKind, read_csv},
};

/// The table and its pictures.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// The table: `fname,labels[,is_valid]`, `fname,<one 0/1 column per label>[,is_valid]`, `fname,x0,y0,…[,is_valid]` or
    /// `fname,<one number per column>[,is_valid]`.
    #[arg(long)]
    pub data: PathBuf,
    /// The folder of the pictures [default: the table's folder, or `images` in it].
    #[arg(long)]
    pub pictures: Option<PathBuf>,
    /// Between the labels of one cell.
    #[arg(long, default_value_t = ' ')]
    pub label_delimiter: char,
    /// The share of pictures that validate, where the table has no is_valid column.
    #[arg(long)]
    pub valid_pct: Option<f64>,
    /// What coordinates are pixels of: the picture as EXIF orients it, or as it is stored.
    #[arg(long, value_enum, default_value_t = PointFrameArg::Oriented)]
    pub point_frame: PointFrameArg,
}

/// See [`PointFrame`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PointFrameArg {
    /// As viewers show it.
    Oriented,
    /// As tools see it that ignore EXIF.
    Stored,
}

/// What a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskArg {
    /// Any number of labels for each picture.
    MultiLabel,
    /// Exactly one label for each picture.
    SingleLabel,
    /// The places of named points.
    Points,
    /// One or more numbers.
    Values,
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
    /// The options for reading the table.
    pub fn options(&self, task: TaskKind, seed: u64) -> CsvOptions {
        CsvOptions {
            pictures: self.pictures.clone(),
            label_delimiter: self.label_delimiter,
            valid_pct: self.valid_pct,
            seed,
            point_frame: match self.point_frame {
                PointFrameArg::Oriented => PointFrame::Oriented,
                PointFrameArg::Stored => PointFrame::Stored,
            },
            ..CsvOptions::new(&self.data, task)
        }
    }
}

/// Reads and checks the table and every picture, and tells what a user should know.
#[allow(clippy::print_stdout, reason = "the output of the program")]
pub(super) fn read(args: &DataArgs, task: TaskKind, seed: u64) -> Result<Dataset, TrainError> {
    let dataset = read_csv(&args.options(task, seed))?;
    println!(
        "{}: {} training and {} validation pictures, {} {}",
        args.data.display(),
        dataset.train.len(),
        dataset.valid.len(),
        dataset.targets.len(),
        task.noun(),
    );
    dataset.notices().iter().for_each(|notice| println!("note: {notice}"));
    Ok(dataset)
}
