//! What every format is read into: rows with a file, targets as written, and perhaps a split and a group.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::error::{Origin, RowProblem};

/// The rows of a data set before any picture was looked at.
#[derive(Debug)]
pub(super) struct Table {
    /// The folder that the rows' files are relative to.
    pub(super) root: PathBuf,
    pub(super) names: Names,
    pub(super) rows: Vec<Row>,
    /// What is wrong with single rows.
    pub(super) problems: Vec<RowProblem>,
    /// What a user should know of the reading: what was left out, and why.
    pub(super) notes: Vec<String>,
    /// Whether the data set says itself which rows validate.
    pub(super) has_split: bool,
    /// Added to each coordinate, so that 0 is the picture's left or upper edge and pixel i covers [i, i + 1).
    pub(super) point_shift: f64,
}

/// What the rows' cells are.
#[derive(Debug, PartialEq)]
pub(super) enum Names {
    /// Labels; those that are known before any row is read.
    Labels(Vec<String>),
    Points(Vec<String>),
    Values(Vec<String>),
}

/// One picture and its targets, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Relative to the table's root.
    pub(super) file: String,
    pub(super) origin: Origin,
    pub(super) cells: Cells,
    /// What the data set says of its split.
    pub(super) is_valid: Option<bool>,
    /// Rows of one group belong into one split.
    pub(super) group: Option<String>,
}

/// A row's targets, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cells {
    /// Sorted, each once.
    Labels(Vec<String>),
    /// In pixels of the frame that the data set is written in.
    Points(Vec<Option<(f64, f64)>>),
    /// `None` for an empty cell.
    Values(Vec<Option<f64>>),
}

impl Cells {
    /// Labels, sorted and each once.
    pub(super) fn labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Labels(labels.into_iter().collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect())
    }
}

impl Row {
    /// What is wrong with this row.
    pub(super) fn problem(&self, column: Option<&str>, problem: impl Into<String>) -> RowProblem {
        RowProblem {
            file: self.file.clone(),
            origin: self.origin.clone(),
            column: column.map(str::to_owned),
            problem: problem.into(),
        }
    }
}

impl Table {
    /// These rows to train, and those of `valid` to validate.
    ///
    /// # Errors
    /// Where one of the two has points or values that the other has not.
    pub(super) fn with_valid(mut self, mut valid: Self) -> Result<Self, String> {
        match (&mut self.names, &valid.names) {
            (Names::Labels(ours), Names::Labels(theirs)) => ours.extend(theirs.iter().cloned()),
            (ours, theirs) if *ours == *theirs => {}
            (ours, theirs) => {
                return Err(format!("its columns are not those of the training data: {theirs:?}, and {ours:?}"));
            }
        }
        let root = common_folder(&self.root, &valid.root);
        for (table, is_valid) in [(&mut self, false), (&mut valid, true)] {
            let prefix = table.root.strip_prefix(&root).unwrap_or(&table.root).to_owned();
            for row in &mut table.rows {
                row.file = under(&prefix, &row.file);
                row.is_valid = Some(is_valid);
            }
            table.problems.iter_mut().for_each(|problem| problem.file = under(&prefix, &problem.file));
        }
        self.root = root;
        self.rows.append(&mut valid.rows);
        self.problems.append(&mut valid.problems);
        self.notes.append(&mut valid.notes);
        self.has_split = true;
        Ok(self)
    }

    /// Reports files that are listed twice: in both splits, since what a model has seen says nothing about what it has
    /// not; or with other targets, since a picture has one answer. Returns the files listed twice with the same targets.
    pub(super) fn report_repeated_files(&mut self) -> Vec<String> {
        let mut first_seen: HashMap<&str, &Row> = HashMap::new();
        let (mut problems, mut repeated) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let first = *first_seen.entry(&row.file).or_insert(row);
            if std::ptr::eq(first, row) {
                continue;
            }
            let before = match first.origin {
                Origin::Line(line) => format!("row {line}"),
                _ => "before".to_owned(),
            };
            if first.is_valid != row.is_valid {
                let split = if first.is_valid == Some(true) { "validation" } else { "training" };
                problems.push(row.problem(None, format!("the same file is in the {split} split, {before}")));
            } else if first.cells != row.cells {
                let text = format!("the same file has other targets, {before}: a picture has one row with all of them");
                problems.push(row.problem(None, text));
            } else {
                repeated.push(row.file.clone());
            }
        }
        self.problems.append(&mut problems);
        repeated
    }
}

/// The deepest folder that both lie in; empty where there is none.
fn common_folder(one: &Path, other: &Path) -> PathBuf {
    let same = one.components().zip(other.components()).take_while(|(a, b)| a == b);
    same.map(|(component, _)| component).collect()
}

/// A file's path below a folder, with `/` between its parts; one that says itself where it lies stays as it is.
fn under(folder: &Path, file: &str) -> String {
    if Path::new(file).is_absolute() {
        return file.to_owned();
    }
    let parts = folder.components().filter(|part| *part != Component::CurDir);
    let mut path = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>();
    path.push(file.to_owned());
    // A root is a part of its own that already ends with the separator.
    path.join("/").replacen("//", "/", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(file: &str, label: &str, is_valid: bool) -> Row {
        let cells = Cells::labels([label]);
        Row { file: file.into(), origin: Origin::Path, cells, is_valid: Some(is_valid), group: None }
    }

    fn table(root: &str, rows: Vec<Row>) -> Table {
        let names = Names::Labels(Vec::new());
        let (problems, notes) = (Vec::new(), Vec::new());
        Table { root: root.into(), names, rows, problems, notes, has_split: false, point_shift: 0.0 }
    }

    #[test]
    fn two_sources_become_one_below_their_common_folder() {
        let both = |train: &str, valid: &str| {
            let merged =
                table(train, vec![row("a.jpg", "x", true)]).with_valid(table(valid, vec![row("b.jpg", "x", true)]));
            let merged = merged.unwrap();
            let files: Vec<String> = merged.rows.iter().map(|row| row.file.clone()).collect();
            assert_eq!(merged.rows.iter().map(|row| row.is_valid).collect::<Vec<_>>(), [Some(false), Some(true)]);
            (merged.root, files)
        };
        assert_eq!(both("/d/train", "/d/val"), ("/d".into(), vec!["train/a.jpg".into(), "val/b.jpg".into()]));
        assert_eq!(both("/d", "/d"), ("/d".into(), vec!["a.jpg".into(), "b.jpg".into()]));
        assert_eq!(both("/d", "/e/f"), ("/".into(), vec!["d/a.jpg".into(), "e/f/b.jpg".into()]));
        assert_eq!(both("train", "val"), ("".into(), vec!["train/a.jpg".into(), "val/b.jpg".into()]));
    }

    #[test]
    fn absolute_files_of_two_sources_stay_where_they_are() {
        let (train, valid) = (row("/photos/a.jpg", "x", true), row("/photos/b.jpg", "x", true));
        let mut train = table("/d/train", vec![train]);
        train.problems.push(train.rows[0].problem(None, "wrong"));
        let merged = train.with_valid(table("/d/val", vec![valid])).unwrap();
        let files: Vec<&str> = merged.rows.iter().map(|row| row.file.as_str()).collect();
        assert_eq!(files, ["/photos/a.jpg", "/photos/b.jpg"]);
        assert_eq!(merged.problems[0].file, "/photos/a.jpg");
    }

    #[test]
    fn a_file_listed_twice_has_one_split_and_one_target() {
        let rows = vec![row("a", "x", false), row("a", "x", true), row("b", "x", false), row("b", "y", false)];
        let mut twice = table("", [rows, vec![row("c", "x", true), row("c", "x", true)]].concat());
        assert_eq!(twice.report_repeated_files(), ["c"]);
        assert_eq!(twice.problems.len(), 2);
        assert!(twice.problems[0].problem.contains("in the training split"));
        assert!(twice.problems[1].problem.contains("other targets"));
    }
}
