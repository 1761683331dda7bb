//! The formats that data sets come in, each read into the same [`Table`].

mod coco;
mod csv;
mod files;
mod folders;
mod pattern;
mod pts;
mod voc;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

pub(super) use self::pattern::Pattern;
use super::table::{Cells, Table};
use super::{DataOptions, DatasetError, PointFrame, TaskKind};

/// How a data set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A table with a header and one line for each picture.
    Csv,
    /// Folders named after the label of the pictures in them.
    Folders,
    /// Pictures whose names hold their label.
    FileNames,
    /// Pascal VOC: Annotations/*.xml, ImageSets/Main and JPEGImages.
    Voc,
    /// A COCO file, or a folder with one for each split.
    Coco,
    /// Pictures with their points in a .pts file beside each.
    Pts,
}

impl Format {
    const ALL: [Self; 6] = [Self::Csv, Self::Folders, Self::FileNames, Self::Voc, Self::Coco, Self::Pts];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Folders => "folders",
            Self::FileNames => "file-names",
            Self::Voc => "voc",
            Self::Coco => "coco",
            Self::Pts => "pts",
        }
    }

    /// Refuses flags that say nothing of data in this format, or of this task, with what to do instead.
    fn check_flags(self, options: &DataOptions) -> Result<(), String> {
        if options.group_column.is_some() && self != Self::Csv {
            return Err(format!("the format {self} has no columns: name groups with --group-pattern"));
        }
        if options.label_pattern.is_some() && self != Self::FileNames {
            return Err(format!("the format {self} says the labels itself: leave --label-pattern away"));
        }
        if options.difficult && self != Self::Voc {
            return Err(format!("the format {self} calls no object difficult: leave --difficult away"));
        }
        let of_points = options.point_frame == PointFrame::Stored || options.point_shift.is_some();
        if of_points && options.task != TaskKind::Points {
            let noun = options.task.noun();
            return Err(format!("{noun} have no coordinates: leave --point-frame and --point-shift away"));
        }
        Ok(())
    }

    /// Refuses what the format does not hold, with what to say instead.
    fn check_task(self, task: TaskKind) -> Result<(), String> {
        let has_labels = matches!(task, TaskKind::MultiLabel | TaskKind::SingleLabel);
        match self {
            Self::Csv => Ok(()),
            Self::Coco if task != TaskKind::Values => Ok(()),
            Self::Coco => Err("a COCO file has labels and points, no values: put values into a table".to_owned()),
            Self::Pts if task == TaskKind::Points => Ok(()),
            Self::Pts => Err("a folder of .pts files has points: say --task points".to_owned()),
            Self::Folders | Self::FileNames | Self::Voc if has_labels => Ok(()),
            Self::Folders | Self::FileNames | Self::Voc => Err(format!(
                "data sets of the format {self} have labels, no {}: say --task single-label or multi-label",
                task.noun()
            )),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no format: {names} are")
        })
    }
}

/// Reads what the options name, in its format.
pub(super) fn read(options: &DataOptions) -> Result<(Format, Table), DatasetError> {
    let error = |path: &PathBuf, reason| DatasetError::Source { path: path.clone(), reason };
    let format = match options.format {
        Some(format) => format,
        None => recognise(&options.data, options.label_pattern.is_some()).map_err(|e| error(&options.data, e))?,
    };
    let checked = format.check_task(options.task).and_then(|()| format.check_flags(options));
    checked.map_err(|reason| error(&options.data, reason))?;
    let mut table = read_one(&options.data, format, options).map_err(|reason| error(&options.data, reason))?;
    if let Some(path) = &options.valid_data {
        if table.has_split {
            let reason = "it says already which pictures validate: leave --valid-data away".to_owned();
            return Err(error(&options.data, reason));
        }
        let valid = read_one(path, format, options).map_err(|reason| error(path, reason))?;
        if valid.has_split && valid.rows.iter().any(|row| row.is_valid == Some(false)) {
            let reason = "it says itself that some of its pictures train: give it as --data without --valid-data, \
                          or only those that validate"
                .to_owned();
            return Err(error(path, reason));
        }
        table = table.with_valid(valid).map_err(|reason| error(path, reason))?;
    }
    if options.task == TaskKind::SingleLabel {
        report_other_than_one_label(&mut table);
    }
    Ok((format, table))
}

fn read_one(path: &Path, format: Format, options: &DataOptions) -> Result<Table, String> {
    match format {
        Format::Csv => csv::read(path, options),
        Format::Folders | Format::FileNames => folders::read(path, format, options),
        Format::Voc => voc::read(path, options),
        Format::Coco => coco::read(path, options),
        Format::Pts => pts::read(path, options),
    }
}

/// The format of a file or a folder, from its name and what lies in it.
fn recognise(path: &Path, has_label_pattern: bool) -> Result<Format, String> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(|error| error.to_string())?;
        return match files::extension(&path.to_string_lossy()).as_str() {
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Coco),
            _ => Err("neither a .csv table nor a COCO .json nor a folder: say what it is with --format".to_owned()),
        };
    }
    if has_label_pattern {
        return Ok(Format::FileNames);
    }
    if path.join(voc::ANNOTATIONS).is_dir() {
        return Ok(Format::Voc);
    }
    let found = files::below(path)?;
    let any = |wanted: fn(&String) -> bool| found.iter().find(|file| wanted(file));
    if any(|file| coco::is_split_file(file)).is_some() {
        Ok(Format::Coco)
    } else if any(|file| files::extension(file) == "pts").is_some() {
        Ok(Format::Pts)
    } else if any(|file| file.contains('/') && files::is_picture(file) && !file.starts_with("images/")).is_some() {
        Ok(Format::Folders)
    } else if let Some(table) = any(|file| matches!(files::extension(file).as_str(), "csv" | "json")) {
        Err(format!("a folder without folders for labels: is its table meant, --data {}?", path.join(table).display()))
    } else if any(|file| files::is_picture(file)).is_some() {
        Err("its pictures have no labels: put them into a folder for each label, take the label out of the file name \
             with --label-pattern, or write a table"
            .to_owned())
    } else {
        Err("there is no picture in this folder".to_owned())
    }
}

/// A picture of a single-label data set has exactly one label. Tables have said so with their column.
fn report_other_than_one_label(table: &mut Table) {
    for row in &table.rows {
        if let Cells::Labels(labels) = &row.cells
            && labels.len() > 1
        {
            let text = format!("{} labels ({}) where --task single-label takes one", labels.len(), labels.join(", "));
            table.problems.push(row.problem(None, text));
        } else if row.cells == Cells::Labels(Vec::new()) {
            table.problems.push(row.problem(None, "no label: every picture has exactly one"));
        }
    }
}
