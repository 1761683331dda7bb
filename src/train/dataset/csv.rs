//! A data set from a CSV table and a folder of pictures.
//!
//! Tables: `fname,labels[,is_valid]` with a delimiter between labels; `fname,cat,dog,…[,is_valid]` with 0 or 1 in each
//! label's column; `fname,label[,is_valid]` with one label for each picture; `fname,x0,y0,x1,y1,…[,is_valid]` or
//! `fname,nose_x,nose_y,…[,is_valid]` with points in pixels; `fname,age,weight,…[,is_valid]` with numbers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::columns::{self, Columns, TargetColumns};
use super::error::{DatasetError, RowProblem};
use super::pictures::{self, Seen};
use super::rows::{Cells, Row, RowReader, report_files_in_both_splits};
use super::{Dataset, Example, Target, Targets, TaskKind, orientation, split};
use crate::model::Digest;

/// Which table, and how to read it.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// The table: UTF-8, commas, a header line.
    pub csv: PathBuf,
    /// The folder that file names are relative to; by default the table's, or its `images` subfolder if files are there.
    pub pictures: Option<PathBuf>,
    /// Between the labels of one cell.
    pub label_delimiter: char,
    /// The fraction of pictures that validate, above 0 and below 1; needed where the table has no `is_valid` column.
    pub valid_pct: Option<f64>,
    /// Draws the split of `valid_pct`.
    pub seed: u64,
    /// What the table's targets are.
    pub task: TaskKind,
    /// What the coordinates of points are pixels of.
    pub point_frame: PointFrame,
}

impl CsvOptions {
    /// A table with the defaults: its own folder, a space between labels, the split as the table says, oriented points.
    pub fn new(csv: impl Into<PathBuf>, task: TaskKind) -> Self {
        Self {
            csv: csv.into(),
            pictures: None,
            label_delimiter: ' ',
            valid_pct: None,
            seed: 0,
            task,
            point_frame: PointFrame::Oriented,
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

/// Reads a table and decodes every picture in it once, on all cores.
///
/// # Errors
/// [`DatasetError::Rows`] with everything that cannot be read, at once; see there for the rest.
pub fn read_csv(options: &CsvOptions) -> Result<Dataset, DatasetError> {
    let table_error = |reason| DatasetError::Table { path: options.csv.clone(), reason };
    let text = std::fs::read_to_string(&options.csv).map_err(|error| table_error(error.to_string()))?;
    let mut problems = Vec::new();
    let (columns, mut rows) = read_table(&text, options, &mut problems).map_err(table_error)?;
    report_files_in_both_splits(&rows, &columns.names[columns.file], &mut problems);
    let is_valid = split::split(&rows, columns.is_valid.is_some(), options.valid_pct, options.seed)
        .map_err(DatasetError::Split)?;
    rows.iter_mut().zip(is_valid).for_each(|(row, is_valid)| row.is_valid = Some(is_valid));

    let root = options.pictures.clone().unwrap_or_else(|| pictures::find_folder(&options.csv, &rows));
    let seen = look_at_pictures(&root, &rows, &columns, &mut problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.row);
        return Err(DatasetError::Rows(problems));
    }
    let dataset = assemble(root, &columns, rows, &seen, options);
    for (name, split) in [("training", &dataset.train), ("validation", &dataset.valid)] {
        if split.is_empty() {
            return Err(DatasetError::Split(format!("the {name} split is empty: no row of the table is in it")));
        }
    }
    if dataset.targets.is_empty() {
        return Err(table_error("no row has a label".to_owned()));
    }
    Ok(dataset)
}

/// Every row that could be read; problems with the others are added.
fn read_table(text: &str, options: &CsvOptions, problems: &mut Vec<RowProblem>) -> Result<(Columns, Vec<Row>), String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?;
    let columns = columns::read(header.iter().map(|name| name.trim().to_owned()).collect(), options.task)?;
    let mut rows = Vec::new();
    let mut row_reader = RowReader { columns: &columns, delimiter: options.label_delimiter, problems };
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let fields: Vec<&str> = record.iter().collect();
        let line = record.position().map_or(0, |position| first_line(text, position));
        rows.extend(row_reader.read(line, &fields));
    }
    Ok((columns, rows))
}

/// The line that a record starts on: its recorded position lies before the empty lines in front of it.
fn first_line(text: &str, position: &::csv::Position) -> u64 {
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
    position.line() + empty.count() as u64
}

fn look_at_pictures(root: &Path, rows: &[Row], columns: &Columns, problems: &mut Vec<RowProblem>) -> Vec<Seen> {
    let mut all = Vec::with_capacity(rows.len());
    for (row, seen) in rows.iter().zip(pictures::look_at_all(root, rows)) {
        match seen {
            Ok(seen) => all.push(seen),
            Err(problem) => problems.push(RowProblem {
                file: row.file.clone(),
                row: row.line,
                column: columns.names[columns.file].clone(),
                problem,
            }),
        }
    }
    all
}

/// Rows and what was seen of their pictures, both complete and in the same order, as a data set.
fn assemble(root: PathBuf, columns: &Columns, rows: Vec<Row>, seen: &[Seen], options: &CsvOptions) -> Dataset {
    let targets = vocabulary(columns, &rows, options.task);
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    let mut fingerprint = targets.names().join("\t") + "\n";
    for (row, seen) in rows.into_iter().zip(seen) {
        let is_valid = row.is_valid == Some(true);
        let target = match row.cells {
            Cells::Labels(labels) => Target::Labels(places(&labels, &targets)),
            Cells::Points(points) => {
                let orientation =
                    if options.point_frame == PointFrame::Stored { seen.orientation } else { orientation::UPRIGHT };
                let turn = |point| orientation::orient(point, orientation, seen.size);
                Target::Points(points.into_iter().map(|point| point.map(turn)).collect())
            }
            Cells::Values(values) => Target::Values(values),
        };
        fingerprint.push_str(&format!("{}\t{}\t{is_valid}\t{}\n", row.file, canonical(&target), seen.digest));
        let split = if is_valid { &mut valid } else { &mut train };
        split.push(Example { file: row.file.into(), row: row.line, size: seen.size, target });
    }
    Dataset { root, targets, train, valid, fingerprint: Digest::of(fingerprint.as_bytes()) }
}

/// The vocabulary in sorted order, or the points in the order of the columns.
fn vocabulary(columns: &Columns, rows: &[Row], task: TaskKind) -> Targets {
    let labels: BTreeSet<&String> = match &columns.targets {
        TargetColumns::Points(points) => {
            return Targets::Points { names: points.iter().map(|(name, ..)| name.clone()).collect() };
        }
        TargetColumns::Values(values) => {
            return Targets::Values { names: values.iter().map(|&column| columns.names[column].clone()).collect() };
        }
        TargetColumns::OneHot(labels) => labels.iter().map(|&column| &columns.names[column]).collect(),
        TargetColumns::Delimited(_) | TargetColumns::Label(_) => {
            let labels = rows.iter().filter_map(|row| match &row.cells {
                Cells::Labels(labels) => Some(labels),
                Cells::Points(_) | Cells::Values(_) => None,
            });
            labels.flatten().collect()
        }
    };
    let labels = labels.into_iter().cloned().collect();
    if task == TaskKind::SingleLabel { Targets::SingleLabel { labels } } else { Targets::MultiLabel { labels } }
}

/// The labels' places in the vocabulary, ascending.
fn places(labels: &[String], targets: &Targets) -> Vec<usize> {
    let names = targets.names();
    (0..names.len()).filter(|&place| labels.contains(&names[place])).collect()
}

/// A target as the fingerprint's text, which must not change between versions.
fn canonical(target: &Target) -> String {
    let fields: Vec<String> = match target {
        Target::Labels(places) => places.iter().map(usize::to_string).collect(),
        Target::Points(points) => {
            points.iter().map(|point| point.map_or_else(|| "-".to_owned(), |(x, y)| format!("{x} {y}"))).collect()
        }
        Target::Values(values) => {
            values.iter().map(|value| value.map_or_else(|| "-".to_owned(), |value| value.to_string())).collect()
        }
    };
    fields.join(",")
}
