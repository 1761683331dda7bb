//! Labels from where a picture lies (`cat/1.jpg`, `train/cat/1.jpg`) or from its name, by a regular expression.

use std::path::Path;

use super::{Format, Pattern, files};
use crate::train::dataset::error::Origin;
use crate::train::dataset::table::{Cells, Names, Row, Table};
use crate::train::dataset::text::counted;
use crate::train::dataset::{DataOptions, TaskKind};

/// Where a picture's label stands.
enum LabelFrom {
    /// Its first folder.
    Folder,
    /// Its file name.
    Name { pattern: Pattern, delimiter: Option<char> },
}

impl LabelFrom {
    fn new(format: Format, options: &DataOptions) -> Result<Self, String> {
        match (format, &options.label_pattern) {
            (Format::FileNames, Some(text)) => {
                let pattern = Pattern::new(text, "label", "--label-pattern")?;
                let delimiter = (options.task == TaskKind::MultiLabel).then_some(options.label_delimiter);
                Ok(Self::Name { pattern, delimiter })
            }
            (Format::FileNames, None) => {
                Err("labels in file names need --label-pattern, such as '^(.+)_[0-9]+\\.jpg$'".to_owned())
            }
            _ => Ok(Self::Folder),
        }
    }

    /// The labels of a picture, by its path below the folder of its split.
    fn labels(&self, within: &str) -> Result<Cells, String> {
        match self {
            Self::Folder => match within.split_once('/') {
                Some((label, _)) => Ok(Cells::labels([label])),
                None => Err("it lies in no folder that would be its label".to_owned()),
            },
            Self::Name { pattern, delimiter } => {
                let name = within.rsplit('/').next().unwrap_or(within);
                let captured = pattern.capture(name);
                let captured = captured.ok_or_else(|| "--label-pattern finds no label in its name".to_owned())?;
                Ok(match delimiter {
                    Some(delimiter) => {
                        Cells::labels(captured.split(*delimiter).map(str::trim).filter(|label| !label.is_empty()))
                    }
                    None => Cells::labels([captured]),
                })
            }
        }
    }
}

/// Reads a folder of pictures.
pub(super) fn read(folder: &Path, format: Format, options: &DataOptions) -> Result<Table, String> {
    let label_from = LabelFrom::new(format, options)?;
    let root = options.pictures.clone().unwrap_or_else(|| folder.to_owned());
    let found = files::below(&root)?;
    let pictures: Vec<&str> = found.iter().map(String::as_str).filter(|file| files::is_picture(file)).collect();
    if pictures.is_empty() {
        return Err("there is no picture in this folder".to_owned());
    }
    let (split, left_out) = files::split(&pictures)?;
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!(
            "left out: {} outside the folders for training and validation",
            counted(left_out, "picture")
        ));
    }
    let others = found.len() - pictures.len();
    if others > 0 {
        notes.push(format!("left out: {} without a name of a picture", counted(others, "file")));
    }
    let (mut rows, mut problems) = (Vec::with_capacity(split.len()), Vec::new());
    for file in &split {
        let labels = label_from.labels(file.within);
        let mut row = Row {
            file: file.file.to_owned(),
            origin: Origin::Path,
            cells: Cells::Labels(Vec::new()),
            is_valid: file.is_valid,
            group: None,
        };
        match labels {
            Ok(cells) => {
                row.cells = cells;
                rows.push(row);
            }
            Err(problem) => problems.push(row.problem(None, problem)),
        }
    }
    let has_split = split.iter().any(|file| file.is_valid.is_some());
    Ok(Table { root, names: Names::Labels(Vec::new()), rows, problems, notes, has_split, point_shift: 0.0 })
}
