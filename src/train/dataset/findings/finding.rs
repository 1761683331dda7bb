//! One finding: how bad it is, what it is, and the pictures that it is about.

use serde::Serialize;

/// One thing that a user should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub kind: Kind,
    /// What it is and what to do, for people.
    pub message: String,
    /// The pictures that it is about.
    pub files: Vec<Involved>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// There is no training with it.
    Error,
    /// The result may mislead or be worse than it could be.
    Warning,
    /// Nothing is wrong.
    Note,
}

/// What a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A row or a picture that cannot be read, or contradicts another.
    Row,
    /// A split without a picture.
    EmptySplit,
    /// Every answer would be the same.
    NothingToLearn,
    /// A label, point or value without a name of its own.
    Name,
    /// A file that is listed twice with the same targets.
    ListedTwice,
    /// Files with the same bytes within a split.
    Duplicates,
    /// Files with the same bytes in both splits.
    DuplicatesAcross,
    /// Files with the same bytes and different targets.
    Contradictions,
    /// Different files that look alike in both splits.
    AlikeAcross,
    /// A group that is in both splits.
    GroupAcross,
    /// A label that one of the splits does not have.
    LabelInOneSplit,
    /// A label, or a value, that is the same everywhere.
    Constant,
    /// One label for each picture in a multi-label data set.
    OneLabelEach,
    /// Pictures without any label, point or value.
    Unlabelled,
    /// Points or values that are not given.
    Missing,
    /// Points outside their picture.
    OutsideFrame,
    /// Points that look like a placeholder.
    Placeholder,
    /// Pictures that EXIF turns.
    Turned,
    /// What the reader of the format left out.
    LeftOut,
    /// The look at the pictures could not be kept.
    NotKept,
}

/// A picture that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Involved {
    /// As the data set names it.
    pub file: String,
    /// What it is about this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

impl Finding {
    pub(super) fn new(severity: Severity, kind: Kind, message: impl Into<String>) -> Self {
        Self { severity, kind, message: message.into(), files: Vec::new() }
    }

    pub(super) fn about(mut self, files: impl IntoIterator<Item = Involved>) -> Self {
        self.files.extend(files);
        self
    }
}

impl Involved {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), what: None }
    }

    pub(super) fn with(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: Some(what.into()) }
    }
}
