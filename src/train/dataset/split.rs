//! Which pictures validate: as the table says, or a fraction drawn with a seed.

use std::collections::{HashMap, HashSet};

use rand::seq::SliceRandom as _;

use super::rows::Row;
use crate::train::random::{Purpose, draws};

/// Says for each row whether it validates.
///
/// A drawn split keeps rows with the same file together, and depends on the seed and the order of the files alone.
///
/// # Errors
/// A sentence on what to do.
pub(super) fn split(rows: &[Row], from_column: bool, fraction: Option<f64>, seed: u64) -> Result<Vec<bool>, String> {
    match (from_column, fraction) {
        (true, None) => Ok(rows.iter().map(|row| row.is_valid == Some(true)).collect()),
        (true, Some(_)) => Err("the table has an is_valid column: leave --valid-pct away, or the column".to_owned()),
        (false, None) => {
            Err("nothing says which pictures validate: add an is_valid column (True or False) to the table, or draw a \
             fraction of the pictures with --valid-pct 0.2"
                .to_owned())
        }
        (false, Some(fraction)) if fraction > 0.0 && fraction < 1.0 => Ok(draw(rows, fraction, seed)),
        (false, Some(fraction)) => Err(format!("--valid-pct {fraction} is not between 0 and 1")),
    }
}

fn draw(rows: &[Row], fraction: f64, seed: u64) -> Vec<bool> {
    let mut seen = HashSet::new();
    let mut files: Vec<&str> = rows.iter().map(|row| row.file.as_str()).filter(|file| seen.insert(*file)).collect();
    files.shuffle(&mut draws(seed, Purpose::Split, 0, 0));
    let count = (fraction * files.len() as f64) as usize;
    let place: HashMap<&str, usize> = files.iter().enumerate().map(|(i, file)| (*file, i)).collect();
    rows.iter().map(|row| place[row.file.as_str()] < count).collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::Cells;
    use super::*;

    fn rows(files: impl Iterator<Item = u64>) -> Vec<Row> {
        files
            .map(|i| Row { file: format!("{i}.jpg"), line: i + 2, cells: Cells::Labels(Vec::new()), is_valid: None })
            .collect()
    }

    #[test]
    fn a_drawn_split_has_the_fraction_and_follows_the_seed() {
        let rows = rows(0..100);
        let first = split(&rows, false, Some(0.25), 1).unwrap();
        assert_eq!(first.iter().filter(|valid| **valid).count(), 25);
        assert_eq!(first, split(&rows, false, Some(0.25), 1).unwrap());
        assert_ne!(first, split(&rows, false, Some(0.25), 2).unwrap());
    }

    #[test]
    fn rows_with_the_same_file_are_drawn_together() {
        let rows = rows((0..40).chain(0..40));
        let valid = split(&rows, false, Some(0.5), 3).unwrap();
        assert_eq!(valid[..40], valid[40..]);
    }

    #[test]
    fn a_split_that_nothing_or_two_things_define_is_refused() {
        assert!(split(&[], false, None, 0).unwrap_err().contains("--valid-pct"));
        assert!(split(&[], true, Some(0.2), 0).unwrap_err().contains("is_valid"));
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(split(&[], false, Some(fraction), 0).unwrap_err().contains("between 0 and 1"));
        }
    }
}
