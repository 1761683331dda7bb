//! What a table's rows say: files, targets and splits, without a look at the pictures.

use super::columns::{Columns, TargetColumns};
use crate::train::dataset::error::{Origin, RowProblem};
use crate::train::dataset::table::{Cells, Row};

/// Reads the rows of a table one by one and gathers what is wrong with them.
pub(super) struct RowReader<'a> {
    pub(super) columns: &'a Columns,
    /// Between the labels of one cell.
    pub(super) delimiter: char,
    pub(super) problems: &'a mut Vec<RowProblem>,
}

impl RowReader<'_> {
    /// The row on this line as far as it can be read, so that its picture is looked at even where its targets are
    /// wrong; `None` where there is no file name.
    pub(super) fn read(&mut self, line: u64, fields: &[&str]) -> Option<Row> {
        let file = fields.get(self.columns.file).map_or("", |field| field.trim());
        let mut problem = |column: &str, problem: String| {
            let column = Some(column.to_owned());
            self.problems.push(RowProblem { file: file.to_owned(), origin: Origin::Line(line), column, problem });
        };
        let mut row = Row {
            file: file.to_owned(),
            origin: Origin::Line(line),
            cells: Cells::Labels(Vec::new()),
            is_valid: None,
            group: None,
        };
        let file_column = &self.columns.names[self.columns.file];
        if fields.len() != self.columns.names.len() {
            let counts = format!("{} fields where the header has {}", fields.len(), self.columns.names.len());
            let last = fields.len().min(self.columns.names.len()).saturating_sub(1);
            problem(&self.columns.names[last], counts);
            return (!file.is_empty()).then_some(row);
        }
        if file.is_empty() {
            problem(file_column, "no file name".to_owned());
        }
        row.is_valid = self.columns.is_valid.and_then(|column| {
            let value = parse_bool(fields[column]);
            if value.is_none() {
                let text = format!("{:?} is neither True nor False", fields[column]);
                problem(&self.columns.names[column], text);
            }
            value
        });
        if let Some(column) = self.columns.group {
            row.group = Some(fields[column].trim().to_owned()).filter(|group| !group.is_empty());
            if row.group.is_none() {
                problem(&self.columns.names[column], "no group: every picture belongs to one".to_owned());
            }
        }
        row.cells = match &self.columns.targets {
            TargetColumns::Delimited(column) => {
                let labels = fields[*column].split(self.delimiter).map(str::trim);
                Cells::labels(labels.filter(|label| !label.is_empty()))
            }
            TargetColumns::Label(column) => {
                let label = fields[*column].trim();
                Cells::labels((!label.is_empty()).then_some(label))
            }
            TargetColumns::Values(columns) => {
                let values = columns.iter().map(|&column| match parse_number(fields[column]) {
                    Ok(value) => value,
                    Err(text) => {
                        problem(&self.columns.names[column], text);
                        None
                    }
                });
                Cells::Values(values.collect())
            }
            TargetColumns::OneHot(columns) => {
                let mut labels = Vec::new();
                for &column in columns {
                    let name = &self.columns.names[column];
                    match fields[column].trim() {
                        "1" => labels.push(name.as_str()),
                        "0" => {}
                        other => problem(name, format!("{other:?} is neither 0 nor 1")),
                    }
                }
                Cells::labels(labels)
            }
            TargetColumns::Points(points) => {
                let points = points.iter().map(|&(_, x, y)| match parse_point(fields[x], fields[y]) {
                    Ok(point) => point,
                    Err((of_y, text)) => {
                        problem(&self.columns.names[if of_y { y } else { x }], text);
                        None
                    }
                });
                Cells::Points(points.collect())
            }
        };
        (!file.is_empty()).then_some(row)
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "True" | "true" | "TRUE" | "1" => Some(true),
        "False" | "false" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// `None` where both cells are empty; an error says whether it is the y that is wrong, and how.
fn parse_point(x: &str, y: &str) -> Result<Option<(f64, f64)>, (bool, String)> {
    match (parse_number(x), parse_number(y)) {
        (Ok(Some(x)), Ok(Some(y))) => Ok(Some((x, y))),
        (Ok(None), Ok(None)) => Ok(None),
        (Err(text), _) => Err((false, text)),
        (_, Err(text)) => Err((true, text)),
        (Ok(None), Ok(Some(_))) => Err((false, "empty, but its y is not".to_owned())),
        (Ok(Some(_)), Ok(None)) => Err((true, "empty, but its x is not".to_owned())),
    }
}

/// `None` for an empty cell.
fn parse_number(text: &str) -> Result<Option<f64>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        _ => Err(format!("{text:?} is not a number")),
    }
}
