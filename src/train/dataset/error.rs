//! Why a data set cannot be read.

use std::fmt;
use std::path::PathBuf;

/// How many problems a message spells out.
const SHOWN: usize = 50;

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The table, the annotation file or the folder itself cannot be read.
    #[error("{path}: {reason}")]
    Source {
        /// The table, file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no telling which pictures validate.
    #[error("{0}")]
    Split(String),
    /// Everything that is wrong with single rows and pictures, in their order.
    #[error("{}", summary(.0))]
    Rows(Vec<RowProblem>),
    /// Every row can be read, but nothing can be learnt from them together: the sentences say why.
    #[error("{}", .0.join("; "))]
    Unusable(Vec<String>),
}

/// One thing that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The picture, as the data set names it.
    pub file: String,
    /// Where it is said.
    pub origin: Origin,
    /// The table's column, where there is one.
    pub column: Option<String>,
    /// What is wrong, in a few words.
    pub problem: String,
}

/// Where a data set speaks of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a table; the header is line 1.
    Line(u64),
    /// An image of a COCO file, by its id.
    Image(i64),
    /// A file about one picture, such as a VOC annotation.
    File(String),
    /// The picture's own path.
    Path,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Line(line) => write!(f, "row {line}, ")?,
            Origin::Image(id) => write!(f, "image {id}, ")?,
            Origin::File(path) => write!(f, "{path}, ")?,
            Origin::Path => {}
        }
        if let Some(column) = &self.column {
            write!(f, "column {column}, ")?;
        }
        write!(f, "picture {:?}: {}", self.file, self.problem)
    }
}

fn summary(problems: &[RowProblem]) -> String {
    let mut lines = vec![match problems.len() {
        1 => "1 problem in the data set:".to_owned(),
        count => format!("{count} problems in the data set:"),
    }];
    lines.extend(problems.iter().take(SHOWN).map(|problem| format!("  {problem}")));
    if problems.len() > SHOWN {
        lines.push(format!("  … and {} more (`check --json` lists all)", problems.len() - SHOWN));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_spells_out_fifty_problems_and_counts_all() {
        let problem = |line| RowProblem {
            file: "a.jpg".into(),
            origin: Origin::Line(line),
            column: Some("x0".into()),
            problem: "\"?\" is not a number".into(),
        };
        let text = DatasetError::Rows((2..62).map(problem).collect()).to_string();
        assert!(text.starts_with("60 problems"));
        assert_eq!(text.lines().count(), 52);
        assert!(text.contains("row 51, column x0, picture \"a.jpg\": \"?\" is not a number"));
        assert!(text.contains("… and 10 more"));
    }

    #[test]
    fn a_problem_names_its_place_in_every_format() {
        let problem = |origin| {
            let problem = RowProblem { file: "a.jpg".into(), origin, column: None, problem: "gone".into() };
            problem.to_string()
        };
        assert_eq!(problem(Origin::Line(3)), "row 3, picture \"a.jpg\": gone");
        assert_eq!(problem(Origin::Image(7)), "image 7, picture \"a.jpg\": gone");
        assert_eq!(problem(Origin::File("Annotations/a.xml".into())), "Annotations/a.xml, picture \"a.jpg\": gone");
        assert_eq!(problem(Origin::Path), "picture \"a.jpg\": gone");
    }
}
