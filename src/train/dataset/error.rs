//! Why a data set cannot be read.

use std::fmt;
use std::path::PathBuf;

/// How many problems a message spells out.
const SHOWN: usize = 50;

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The table itself cannot be read.
    #[error("{path}: {reason}")]
    Table {
        /// The table.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no telling which pictures validate.
    #[error("{0}")]
    Split(String),
    /// Everything that is wrong with the table's rows and the pictures, in the order of the rows.
    #[error("{}", summary(.0))]
    Rows(Vec<RowProblem>),
}

/// One thing that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The picture, as the table names it.
    pub file: String,
    /// The line in the table; the header is line 1.
    pub row: u64,
    /// The column's name.
    pub column: String,
    /// What is wrong, in a few words.
    pub problem: String,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}, column {}, picture {:?}: {}", self.row, self.column, self.file, self.problem)
    }
}

fn summary(problems: &[RowProblem]) -> String {
    let mut lines = vec![match problems.len() {
        1 => "1 problem in the data set:".to_owned(),
        count => format!("{count} problems in the data set:"),
    }];
    lines.extend(problems.iter().take(SHOWN).map(|problem| format!("  {problem}")));
    if problems.len() > SHOWN {
        lines.push(format!("  … and {} more", problems.len() - SHOWN));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_spells_out_fifty_problems_and_counts_all() {
        let problem = |row| RowProblem {
            file: "a.jpg".into(),
            row,
            column: "x0".into(),
            problem: "\"?\" is not a number".into(),
        };
        let text = DatasetError::Rows((2..62).map(problem).collect()).to_string();
        assert!(text.starts_with("60 problems"));
        assert_eq!(text.lines().count(), 52);
        assert!(text.contains("row 51, column x0, picture \"a.jpg\": \"?\" is not a number"));
        assert!(text.ends_with("… and 10 more"));
    }
}
