//! Points in a `.pts` file beside each picture, as iBUG and 300-W give them.
//!
//! ```text
//! version: 1
//! n_points: 2
//! {
//! 446.000 91.000
//! 449.459 119.344
//! }
//! ```
//!
//! Coordinates count from 1 and name the centres of pixels, as in MATLAB, where the annotations were made: (1, 1) is the
//! middle of the first pixel (menpo's importer subtracts 1, to count those centres from 0, for the same reason). Here the
//! first pixel covers 0 to 1, so its middle is 0.5, and 0.5 is subtracted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use super::files;
use crate::lines;
use crate::train::dataset::DataOptions;
use crate::train::dataset::error::Origin;
use crate::train::dataset::table::{Cells, Names, Row, Table};
use crate::train::dataset::text::counted;

/// From centres that count from 1 to edges that count from 0.
const SHIFT: f64 = -0.5;

type Points = Vec<Option<(f64, f64)>>;

/// Reads a folder of pictures with `.pts` files.
pub(super) fn read(folder: &Path, options: &DataOptions) -> Result<Table, String> {
    let found = files::below(folder)?;
    let annotations: Vec<&str> =
        found.iter().map(String::as_str).filter(|file| files::extension(file) == "pts").collect();
    let root = options.pictures.clone().unwrap_or_else(|| folder.to_owned());
    let beside = if root == folder { found.clone() } else { files::below(&root)? };
    let pictures: HashMap<&str, &str> = beside
        .iter()
        .filter(|file| files::is_picture(file))
        .map(|file| (files::without_extension(file), file.as_str()))
        .collect();
    let (split, left_out) = files::split(&annotations)?;
    let read: Vec<Result<Points, String>> = split
        .par_iter()
        .map(|file| {
            let text = std::fs::read(folder.join(file.file)).map_err(|error| error.to_string())?;
            parse(&String::from_utf8_lossy(&text))
        })
        .collect();
    let Some(count) = read.iter().find_map(|points| points.as_ref().ok().map(Vec::len)) else {
        return Err(match (split.first(), read.into_iter().next()) {
            (Some(file), Some(Err(problem))) => format!("no .pts file can be read; {}: {problem}", file.file),
            _ => "there is no .pts file in this folder".to_owned(),
        });
    };
    let (mut rows, mut problems) = (Vec::with_capacity(split.len()), Vec::new());
    for (file, points) in split.iter().zip(read) {
        let stem = files::without_extension(file.file);
        let mut row = Row {
            file: pictures.get(stem).copied().unwrap_or(stem).to_owned(),
            origin: Origin::File(file.file.to_owned()),
            cells: Cells::Points(Vec::new()),
            is_valid: file.is_valid,
            group: None,
        };
        let points = match points {
            Ok(points) if points.len() == count => Ok(points),
            Ok(points) => Err(format!("{} points where the first file has {count}", points.len())),
            Err(problem) => Err(problem),
        };
        match points {
            _ if !pictures.contains_key(stem) => problems.push(row.problem(None, "there is no picture of this name")),
            Ok(points) => {
                row.cells = Cells::Points(points);
                rows.push(row);
            }
            Err(problem) => problems.push(row.problem(None, problem)),
        }
    }
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(format!(
            "left out: {} outside the folders for training and validation",
            counted(left_out, ".pts file")
        ));
    }
    let annotated: HashSet<&str> = annotations.iter().map(|file| files::without_extension(file)).collect();
    let without = pictures.keys().filter(|stem| !annotated.contains(*stem)).count();
    if without > 0 {
        notes.push(format!("left out: {} without a .pts file", counted(without, "picture")));
    }
    let names = Names::Points((0..count).map(|place| place.to_string()).collect());
    let has_split = split.iter().any(|file| file.is_valid.is_some());
    Ok(Table { root, names, rows, problems, notes, has_split, point_shift: SHIFT })
}

/// The points between the braces; `nan nan` is a point that is not labelled.
fn parse(text: &str) -> Result<Points, String> {
    let mut lines = lines::listed(text);
    let mut announced = None;
    loop {
        let line = lines.next().ok_or_else(|| "there is no { in front of its points".to_owned())?;
        if line == "{" {
            break;
        }
        if let Some(count) = line.strip_prefix("n_points:") {
            let count = count.trim();
            announced = Some(count.parse::<usize>().map_err(|_| format!("n_points is {count:?}"))?);
        }
    }
    let mut points = Vec::new();
    loop {
        let line = lines.next().ok_or_else(|| "there is no } after its points".to_owned())?;
        if line == "}" {
            break;
        }
        points.push(point(line)?);
    }
    match announced {
        Some(count) if count != points.len() => Err(format!("{} points where n_points says {count}", points.len())),
        _ if points.is_empty() => Err("it has no points".to_owned()),
        _ => Ok(points),
    }
}

fn point(line: &str) -> Result<Option<(f64, f64)>, String> {
    let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[x, y]) if x.is_finite() && y.is_finite() => Ok(Some((x, y))),
        Ok(&[x, y]) if x.is_nan() && y.is_nan() => Ok(None),
        _ => Err(format!("{line:?} is no point: two numbers are expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_ibug_writes_it_is_read() {
        let text = "version: 1\r\nn_points:  3\r\n{\r\n446.000 91.000\r\n449.459 119.344\r\nnan nan\r\n}\r\n";
        assert_eq!(parse(text).unwrap(), [Some((446.0, 91.0)), Some((449.459, 119.344)), None]);
        for bare in ["{\n1 2\n}", "\u{feff}{\n1 2\n}"] {
            assert_eq!(parse(bare).unwrap(), [Some((1.0, 2.0))]);
        }
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for (text, named) in [
            ("version: 1\nn_points: 2\n{\n1 2\n}\n", "n_points says 2"),
            ("n_points: 1\n1 2\n", "no {"),
            ("n_points: 1\n{\n1 2\n", "no }"),
            ("{\n1 2 3\n}", "\"1 2 3\""),
            ("{\n1 inf\n}", "\"1 inf\""),
            ("{\n}", "no points"),
            ("n_points: many\n{\n1 2\n}", "\"many\""),
        ] {
            assert!(parse(text).unwrap_err().contains(named), "{text}");
        }
    }
}
