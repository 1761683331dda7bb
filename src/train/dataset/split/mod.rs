//! Which pictures validate: as the data set says, by a list of files, or a fraction drawn with a seed.

mod list;
mod stratify;

use std::collections::{BTreeMap, HashMap};

use self::stratify::{Unit, stratify};
use super::table::{Cells, Row};
use super::{DataOptions, Needed};
use crate::train::random::{Purpose, draws};

/// Says for each row whether it validates.
///
/// A drawn split keeps rows of one group, and rows with the same file, together. It has nearly the same share of each
/// label on both sides, and depends on the rows and the seed alone.
///
/// # Errors
/// A sentence on what to do.
pub(super) fn split(rows: &[Row], has_split: bool, options: &DataOptions) -> Result<Vec<bool>, String> {
    match (has_split, options.valid_pct, &options.valid_list) {
        (true, None, None) => Ok(rows.iter().map(|row| row.is_valid == Some(true)).collect()),
        (true, ..) => Err("the data set says already which pictures validate (a column is_valid, folders train and \
                           valid, image sets): leave --valid-pct and --valid-list away, or what it says"
            .to_owned()),
        (false, None, None) if options.needed == Needed::Any => Ok(vec![true; rows.len()]),
        (false, None, None) => {
            let judged = if options.needed == Needed::Both { "" } else { "; --split all judges all of them" };
            Err(format!(
                "nothing says which pictures validate: add a column is_valid (True or False) to the table, name the \
                 files in a list with --valid-list, give them as a source of their own with --valid-data, or draw a \
                 share of the pictures with --valid-pct 0.2{judged}"
            ))
        }
        (false, Some(_), Some(_)) => Err("--valid-pct and --valid-list exclude each other".to_owned()),
        (false, None, Some(path)) => list::split(rows, path),
        (false, Some(fraction), None) if fraction > 0.0 && fraction < 1.0 => Ok(draw(rows, fraction, options.seed)),
        (false, Some(fraction), None) => Err(format!("--valid-pct {fraction} is not between 0 and 1")),
    }
}

fn draw(rows: &[Row], fraction: f64, seed: u64) -> Vec<bool> {
    let mut places = HashMap::new();
    let mut units: Vec<Unit> = Vec::new();
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unit_of_row = Vec::with_capacity(rows.len());
    for row in rows {
        // A group and a file of the same name are not the same.
        let key = (row.group.is_some(), row.group.as_deref().unwrap_or(&row.file));
        let unit = *places.entry(key).or_insert_with(|| {
            units.push(Unit::default());
            units.len() - 1
        });
        unit_of_row.push(unit);
        units[unit].rows += 1;
        if let Cells::Labels(names) = &row.cells {
            for name in names {
                let next = labels.len();
                let label = *labels.entry(name).or_insert(next);
                *units[unit].labels.entry(label).or_insert(0) += 1;
            }
        }
    }
    let valid = stratify(&units, labels.len(), fraction, &mut draws(seed, Purpose::Split, 0, 0));
    unit_of_row.into_iter().map(|unit| valid[unit]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::dataset::{Origin, TaskKind};

    fn row(file: u64, group: Option<u64>) -> Row {
        Row {
            file: format!("{file}.jpg"),
            origin: Origin::Line(file + 2),
            cells: Cells::Labels(Vec::new()),
            is_valid: None,
            group: group.map(|group| group.to_string()),
        }
    }

    fn drawn(rows: &[Row], fraction: f64, seed: u64) -> Result<Vec<bool>, String> {
        let options =
            DataOptions { valid_pct: Some(fraction), seed, ..DataOptions::new("train.csv", TaskKind::MultiLabel) };
        split(rows, false, &options)
    }

    #[test]
    fn a_drawn_split_has_the_fraction_and_follows_the_seed() {
        let rows: Vec<Row> = (0..100).map(|file| row(file, None)).collect();
        let first = drawn(&rows, 0.25, 1).unwrap();
        assert_eq!(first.iter().filter(|valid| **valid).count(), 25);
        assert_eq!(first, drawn(&rows, 0.25, 1).unwrap());
        assert_ne!(first, drawn(&rows, 0.25, 2).unwrap());
    }

    #[test]
    fn rows_with_the_same_file_or_group_are_drawn_together() {
        let rows: Vec<Row> = (0..40).chain(0..40).map(|file| row(file, None)).collect();
        let valid = drawn(&rows, 0.5, 3).unwrap();
        assert_eq!(valid[..40], valid[40..]);
        let rows: Vec<Row> = (0..60).map(|file| row(file, Some(file % 12))).collect();
        let valid = drawn(&rows, 0.25, 3).unwrap();
        assert!((12..60).all(|i| valid[i] == valid[i % 12]));
        assert_eq!(valid.iter().filter(|valid| **valid).count(), 15, "3 of 12 groups of 5");
    }

    #[test]
    fn a_split_that_nothing_or_two_things_define_is_refused() {
        let options = DataOptions::new("train.csv", TaskKind::MultiLabel);
        assert!(split(&[], false, &options).unwrap_err().contains("--valid-pct"));
        let both = DataOptions { valid_pct: Some(0.2), ..options };
        assert!(split(&[], true, &both).unwrap_err().contains("is_valid"));
        let both = DataOptions { valid_list: Some("list.txt".into()), ..both };
        assert!(split(&[], false, &both).unwrap_err().contains("exclude each other"));
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(drawn(&[], fraction, 0).unwrap_err().contains("between 0 and 1"));
        }
    }
}
