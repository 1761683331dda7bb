//! Pictures that are in the data set more than once.
//!
//! The same bytes under two names are found by their digest, other copies (another size, encoding or metadata) by their
//! likeness. They are warnings: real collections have some, and a validation picture that was trained on makes the
//! metrics a little too good, not the model worse. An error is one picture with two labels that exclude each other; that
//! people disagree on one of several labels, or on a point by a pixel, is ordinary.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::super::{TaskKind, pictures::Seen, table::Row, text::counted};
use super::{Finding, Involved, Kind, Looked, Severity};

/// More pictures than this that look alike are of one kind (blank pages, one scene), not copies of one picture.
const MOST_ALIKE: usize = 8;

pub(super) fn look(looked: &Looked<'_>) -> Vec<Finding> {
    let copies = groups(looked, |seen| Some(seen.digest));
    let (across, within): (Vec<_>, Vec<_>) = copies.iter().partition(|group| is_across(group));
    let contradict = copies.iter().filter(|group| group.iter().any(|row| row.cells != group[0].cells)).collect();
    let severity = if looked.task == TaskKind::SingleLabel { Severity::Error } else { Severity::Warning };
    let alike = alike_across(looked);
    let found = [
        listed_twice(&looked.repeated),
        about(
            contradict,
            (severity, Kind::Contradictions),
            "the same bytes under several names have different targets; correct them or keep one",
        ),
        about(
            across,
            (Severity::Warning, Kind::DuplicatesAcross),
            "the same bytes are in both splits, and what is measured on them is too good; keep one",
        ),
        about(
            alike.iter().collect(),
            (Severity::Warning, Kind::AlikeAcross),
            "pictures in both splits look alike: copies in another size or encoding, or frames of a film",
        ),
        about(within, (Severity::Warning, Kind::Duplicates), "the same bytes are under several names within a split"),
    ];
    found.into_iter().flatten().collect()
}

fn listed_twice(repeated: &[String]) -> Option<Finding> {
    let message = format!("listed more than once, and counting more than others: {}", counted(repeated.len(), "file"));
    let files = repeated.iter().map(|file| Involved::new(file));
    (!repeated.is_empty()).then(|| Finding::new(Severity::Warning, Kind::ListedTwice, message).about(files))
}

/// A finding about groups of rows, if there are any.
fn about(groups: Vec<&Vec<&Row>>, (severity, kind): (Severity, Kind), text: &str) -> Option<Finding> {
    let message = format!("{text}: {}", counted(groups.len(), "picture"));
    let files = groups.iter().map(|group| Involved::with(&group[0].file, others(group)));
    (!groups.is_empty()).then(|| Finding::new(severity, kind, message).about(files))
}

/// Groups that look alike in both splits and are not the same bytes.
fn alike_across<'a>(looked: &'a Looked<'_>) -> Vec<Vec<&'a Row>> {
    let digests: HashMap<&str, _> =
        looked.pairs().filter_map(|(row, seen)| Some((row.file.as_str(), seen?.digest))).collect();
    let digest_of = |row: &Row| digests.get(row.file.as_str());
    let mut alike = groups(looked, |seen| seen.likeness);
    alike.retain(|group| {
        let differ = group.iter().any(|row| digest_of(row) != digest_of(group[0]));
        group.len() <= MOST_ALIKE && is_across(group) && differ
    });
    alike
}

/// Rows of different files that have the same key, in the order of the rows.
fn groups<'a, K: Hash + Eq>(looked: &'a Looked<'_>, key: impl Fn(&Seen) -> Option<K>) -> Vec<Vec<&'a Row>> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    let mut files = HashSet::new();
    for (row, seen) in looked.pairs() {
        let Some(key) = seen.and_then(&key).filter(|_| files.insert(row.file.as_str())) else { continue };
        let place = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(row);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn is_across(group: &[&Row]) -> bool {
    group.iter().any(|row| Looked::side(row) != Looked::side(group[0]))
}

/// The other files of a group, with their split where the first one's is another.
fn others(group: &[&Row]) -> String {
    let name = |row: &&Row| match (is_across(group), Looked::side(row)) {
        (false, _) => row.file.clone(),
        (true, 0) => format!("{} (training)", row.file),
        (true, _) => format!("{} (validation)", row.file),
    };
    let first = if is_across(group) { ["(training) ", "(validation) "][Looked::side(group[0])] } else { "" };
    format!("{first}= {}", group[1..].iter().map(name).collect::<Vec<_>>().join(", "))
}
