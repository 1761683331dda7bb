//! A CSV table and a folder of pictures.
//!
//! Tables: `fname,labels[,is_valid]` with a delimiter between labels; `fname,cat,dog,…[,is_valid]` with 0 or 1 in each
//! label's column; `fname,label[,is_valid]` with one label for each picture; `fname,x0,y0,x1,y1,…[,is_valid]` or
//! `fname,nose_x,nose_y,…[,is_valid]` with points in pixels; `fname,age,weight,…[,is_valid]` with numbers.

mod columns;
mod rows;

use std::path::{Path, PathBuf};

use self::columns::{Columns, TargetColumns};
use self::rows::RowReader;
use crate::train::dataset::DataOptions;
use crate::train::dataset::error::RowProblem;
use crate::train::dataset::pictures::{folder_of, most_files};
use crate::train::dataset::table::{Names, Row, Table};

/// Reads every row of a table.
pub(super) fn read(path: &Path, options: &DataOptions) -> Result<Table, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("it is not UTF-8 from line {} on: save it as UTF-8", line + 1)
    })?;
    let mut problems = Vec::new();
    let (columns, rows) = read_table(&text, options, &mut problems)?;
    let has_split = columns.is_valid.is_some();
    let root = options.pictures.clone().unwrap_or_else(|| find_pictures(path, &rows));
    Ok(Table { root, names: names(&columns), rows, problems, notes: Vec::new(), has_split, point_shift: 0.0 })
}

/// Every row that could be read; problems with the others are added.
fn read_table(
    text: &str,
    options: &DataOptions,
    problems: &mut Vec<RowProblem>,
) -> Result<(Columns, Vec<Row>), String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?;
    let header = header.iter().map(|name| name.trim().to_owned()).collect();
    let columns = columns::read(header, options.task, options.group_column.as_deref())?;
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

fn names(columns: &Columns) -> Names {
    let name = |column: &usize| columns.names[*column].clone();
    match &columns.targets {
        TargetColumns::OneHot(labels) => Names::Labels(labels.iter().map(name).collect()),
        TargetColumns::Delimited(_) | TargetColumns::Label(_) => Names::Labels(Vec::new()),
        TargetColumns::Points(points) => Names::Points(points.iter().map(|(name, ..)| name.clone()).collect()),
        TargetColumns::Values(values) => Names::Values(values.iter().map(name).collect()),
    }
}

/// The table's folder, or its `images` subfolder if more of the files are there.
fn find_pictures(table: &Path, rows: &[Row]) -> PathBuf {
    let beside = folder_of(table);
    most_files(&[beside.clone(), beside.join("images")], rows).unwrap_or(beside)
}
