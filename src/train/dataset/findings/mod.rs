//! What a look at a data set finds before any training: errors that stop it, warnings, and what is good to know.

mod duplicates;
mod finding;
mod labels;
mod points;
mod report;
mod splits;

use serde::Serialize;

pub use self::finding::{Finding, Involved, Kind, Severity};
pub(super) use self::points::placeholders;
use super::table::{Cells, Row};
use super::{Format, Needed, RowProblem, Targets, TaskKind, pictures::Seen};
use crate::{model::name_mistakes, picture::PictureSize};

/// What was found in a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// How the data set is written.
    pub format: Format,
    /// What its targets are.
    pub task: TaskKind,
    /// The pictures, counted.
    pub pictures: PictureCounts,
    /// The labels, points or values, with how many pictures say something of each.
    pub targets: Vec<TargetCount>,
    /// Multi-label only: the pairs of labels that occur together, the most frequent first.
    pub together: Vec<Pair>,
    /// In order of severity.
    pub list: Vec<Finding>,
}

/// The pictures, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PictureCounts {
    /// Rows of the training split.
    pub train: u64,
    /// Rows of the validation split.
    pub valid: u64,
    /// Pictures that EXIF turns or mirrors.
    pub turned: u64,
    /// The smallest by number of pixels, as width and height.
    pub smallest: Option<(u32, u32)>,
    /// The largest by number of pixels, as width and height.
    pub largest: Option<(u32, u32)>,
}

/// A label, a point or a value, and how many pictures of each split have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetCount {
    /// Its name.
    pub name: String,
    /// Pictures of the training split.
    pub train: u64,
    /// Pictures of the validation split.
    pub valid: u64,
}

/// Two labels that some pictures have both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// In sorted order.
    pub labels: [String; 2],
    /// Pictures of either split.
    pub count: u64,
}

/// All that findings are made from: rows with their split, and what was seen of their pictures.
pub(super) struct Looked<'a> {
    pub(super) format: Format,
    pub(super) task: TaskKind,
    /// Which splits have to have pictures.
    pub(super) needed: Needed,
    pub(super) targets: &'a Targets,
    pub(super) rows: &'a [Row],
    /// `None` where a picture cannot be read.
    pub(super) seen: &'a [Option<Seen>],
    /// Whether coordinates are taken as pixels of the picture that EXIF turns.
    pub(super) points_are_oriented: bool,
    /// Files that are listed twice.
    pub(super) repeated: Vec<String>,
    /// Files whose points look like placeholders.
    pub(super) placeholders: Vec<String>,
    pub(super) problems: &'a [RowProblem],
    /// What the reader left out.
    pub(super) notes: Vec<String>,
}

impl Looked<'_> {
    /// Each row with what was seen of its picture.
    fn pairs(&self) -> impl Iterator<Item = (&Row, Option<&Seen>)> {
        self.rows.iter().zip(self.seen.iter().map(Option::as_ref))
    }

    /// Whether a model is to learn from it, and not only to be judged.
    fn is_to_learn_from(&self) -> bool {
        self.needed == Needed::Both
    }

    /// Whether a row validates, as a place in an array.
    fn side(row: &Row) -> usize {
        usize::from(row.is_valid == Some(true))
    }
}

impl Findings {
    pub(super) fn of(mut looked: Looked<'_>) -> Self {
        let problems = looked.problems.iter().map(|problem| {
            Finding::new(Severity::Error, Kind::Row, problem.to_string()).about([Involved::new(&problem.file)])
        });
        let mut list: Vec<Finding> = problems.collect();
        list.extend(wrong_names(looked.targets));
        list.extend(splits::look(&looked));
        list.extend(duplicates::look(&looked));
        list.extend(labels::look(&looked));
        list.extend(points::look(&looked));
        let notes = std::mem::take(&mut looked.notes);
        list.extend(notes.into_iter().map(|note| Finding::new(Severity::Note, Kind::LeftOut, note)));
        list.sort_by_key(|finding| finding.severity);
        Self {
            format: looked.format,
            task: looked.task,
            pictures: PictureCounts::of(&looked),
            targets: target_counts(&looked),
            together: labels::together(&looked),
            list,
        }
    }

    /// Adds one at its place.
    pub(super) fn add(&mut self, severity: Severity, kind: Kind, message: String) {
        self.list.push(Finding::new(severity, kind, message));
        self.list.sort_by_key(|finding| finding.severity);
    }

    /// The findings of one severity.
    pub fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.list.iter().filter(move |finding| finding.severity == severity)
    }

    /// The findings of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Finding> {
        self.list.iter().filter(move |finding| finding.kind == kind)
    }
}

impl PictureCounts {
    fn of(looked: &Looked<'_>) -> Self {
        let mut counts = Self::default();
        for row in looked.rows {
            *[&mut counts.train, &mut counts.valid][Looked::side(row)] += 1;
        }
        let sizes = || looked.seen.iter().flatten().map(|seen| seen.size);
        let pixels = |size: &PictureSize| (u64::from(size.width) * u64::from(size.height), size.width);
        counts.turned = looked.seen.iter().flatten().filter(|seen| seen.orientation != 1).count() as u64;
        counts.smallest = sizes().min_by_key(pixels).map(|size| (size.width, size.height));
        counts.largest = sizes().max_by_key(pixels).map(|size| (size.width, size.height));
        counts
    }
}

/// Names that no model file may have: its outputs are told apart by them.
fn wrong_names(targets: &Targets) -> Vec<Finding> {
    let one = match targets {
        Targets::MultiLabel { .. } | Targets::SingleLabel { .. } => "label",
        Targets::Points { .. } => "point",
        Targets::Values { .. } => "value",
    };
    // That there is none at all is a finding of its own.
    let mistakes = if targets.is_empty() { Vec::new() } else { name_mistakes(one, targets.names()) };
    mistakes.into_iter().map(|mistake| Finding::new(Severity::Error, Kind::Name, mistake)).collect()
}

fn target_counts(looked: &Looked<'_>) -> Vec<TargetCount> {
    let new = |name: &String| TargetCount { name: name.clone(), train: 0, valid: 0 };
    let mut counts: Vec<TargetCount> = looked.targets.names().iter().map(new).collect();
    for row in looked.rows {
        let mut add = |place: usize| {
            if let Some(count) = counts.get_mut(place) {
                *[&mut count.train, &mut count.valid][Looked::side(row)] += 1;
            }
        };
        match &row.cells {
            Cells::Labels(labels) => labels.iter().filter_map(|label| looked.targets.place(label)).for_each(add),
            Cells::Points(points) => (0..points.len()).filter(|&place| points[place].is_some()).for_each(&mut add),
            Cells::Values(values) => (0..values.len()).filter(|&place| values[place].is_some()).for_each(&mut add),
        }
    }
    counts
}
