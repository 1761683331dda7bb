//! Splits: neither is empty, and no group is in both.

use std::collections::BTreeMap;

use super::super::table::{Cells, Row};
use super::super::text::{counted, some_of};
use super::{Finding, Involved, Kind, Looked, Severity};

pub(super) fn look(looked: &Looked<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = [false, true].into_iter().filter_map(|valid| empty(looked, valid)).collect();
    found.extend(groups_in_both(looked.rows));
    found.extend(without_targets(looked));
    found
}

fn empty(looked: &Looked<'_>, valid: bool) -> Option<Finding> {
    let is_empty =
        looked.needed.includes(valid) && !looked.rows.iter().any(|row| Looked::side(row) == usize::from(valid));
    let name = if valid { "validation" } else { "training" };
    let message = format!("the {name} split is empty: none of the {} rows is in it", looked.rows.len());
    is_empty.then(|| Finding::new(Severity::Error, Kind::EmptySplit, message))
}

fn groups_in_both(rows: &[Row]) -> Option<Finding> {
    let mut groups: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
    for row in rows {
        if let Some(group) = &row.group {
            groups.entry(group).or_default()[Looked::side(row)].push(&row.file);
        }
    }
    let both: Vec<(&str, &str)> = groups
        .iter()
        .filter(|(_, files)| files.iter().all(|files| !files.is_empty()))
        .flat_map(|(group, files)| files[1].iter().map(|file| (*file, *group)))
        .collect();
    let mut names: Vec<&str> = both.iter().map(|(_, group)| *group).collect();
    names.dedup();
    let message = format!(
        "{} in both splits ({}): what is measured on these validation pictures is too good",
        if names.len() == 1 { "1 group is".to_owned() } else { format!("{} groups are", names.len()) },
        some_of(&names, 5)
    );
    let files = both.iter().map(|(file, group)| Involved::with(file, format!("group {group}")));
    (!names.is_empty()).then(|| Finding::new(Severity::Warning, Kind::GroupAcross, message).about(files))
}

/// Pictures without any target: rightly so for labels, useless for points and values.
fn without_targets(looked: &Looked<'_>) -> Option<Finding> {
    let has_none = |row: &&Row| match &row.cells {
        Cells::Labels(labels) => labels.is_empty(),
        Cells::Points(points) => points.iter().all(Option::is_none),
        Cells::Values(values) => values.iter().all(Option::is_none),
    };
    let files: Vec<&Row> = looked.rows.iter().filter(has_none).collect();
    let count = counted(files.len(), "picture");
    let (severity, message) = match looked.targets {
        super::Targets::MultiLabel { .. } => {
            (Severity::Note, format!("{count} without a label: examples of none of the labels"))
        }
        super::Targets::SingleLabel { .. } => return None,
        _ => (Severity::Warning, format!("{count} without any {}: nothing is learnt from them", looked.task.noun())),
    };
    let files = files.into_iter().map(|row| Involved::new(&row.file)).collect::<Vec<_>>();
    (!files.is_empty()).then(|| Finding::new(severity, Kind::Unlabelled, message).about(files))
}
