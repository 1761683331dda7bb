//! The split by a list of files.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::super::table::Row;
use crate::lines;

/// How many unknown names a message spells out.
const SHOWN: usize = 5;

/// Reads a list with a file on each line, as the data set names it or by its bare name where that names one file only;
/// these validate.
pub(super) fn split(rows: &[Row], path: &Path) -> Result<Vec<bool>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut by_path: HashSet<&str> = HashSet::new();
    let mut by_name: HashMap<&str, HashSet<&str>> = HashMap::new();
    for row in rows {
        by_path.insert(&row.file);
        by_name.entry(row.file.rsplit('/').next().unwrap_or(&row.file)).or_default().insert(&row.file);
    }
    let (mut valid, mut unknown): (HashSet<&str>, Vec<&str>) = (HashSet::new(), Vec::new());
    for line in lines::listed(&text) {
        let file = line.strip_prefix("./").unwrap_or(line);
        match (by_path.contains(file), by_name.get(file)) {
            (true, _) => drop(valid.insert(file)),
            (false, Some(files)) if files.len() == 1 => valid.extend(files),
            _ => unknown.push(line),
        }
    }
    if !unknown.is_empty() {
        let shown = unknown.iter().take(SHOWN).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let count = unknown.len();
        return Err(format!(
            "{}: {count} of its lines name no file of the data set, or several: {shown}",
            path.display()
        ));
    }
    Ok(rows.iter().map(|row| valid.contains(row.file.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::dataset::{Origin, table::Cells};

    fn listed(text: &str) -> Result<Vec<bool>, String> {
        let row = |file: &&str| Row {
            file: (*file).to_owned(),
            origin: Origin::Path,
            cells: Cells::Labels(Vec::new()),
            is_valid: None,
            group: None,
        };
        let rows: Vec<Row> = ["cat/1.jpg", "dog/1.jpg", "dog/2.jpg"].iter().map(row).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        split(&rows, file.path())
    }

    #[test]
    fn files_are_listed_by_path_or_by_a_name_that_is_theirs_alone() {
        assert_eq!(listed("cat/1.jpg\r\n\r\n2.jpg\n").unwrap(), [true, false, true]);
        assert_eq!(listed("./dog/1.jpg").unwrap(), [false, true, false]);
    }

    #[test]
    fn names_of_none_or_several_files_are_refused() {
        let error = listed("1.jpg\ncat/9.jpg\ndog/2.jpg\n").unwrap_err();
        assert!(error.contains("2 of its lines") && error.contains("\"cat/9.jpg\""), "{error}");
    }
}
