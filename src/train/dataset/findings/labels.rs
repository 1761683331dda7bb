//! Labels: counts, which occur together, which are in one split only, and whether there is anything to learn.

use std::collections::HashMap;

use super::super::table::Cells;
use super::super::{Targets, TaskKind};
use super::{Finding, Involved, Kind, Looked, Pair, Severity, TargetCount, target_counts};

pub(super) fn look(looked: &Looked<'_>) -> Vec<Finding> {
    let (Targets::MultiLabel { labels } | Targets::SingleLabel { labels }) = looked.targets else { return Vec::new() };
    if !looked.is_to_learn_from() {
        return Vec::new();
    }
    let counts = target_counts(looked);
    let rows = looked.rows.iter().filter(|row| Looked::side(row) == 0).count() as u64;
    let train: Vec<u64> = counts.iter().map(|count| count.train).collect();
    let mut found: Vec<Finding> = nothing_to_learn(looked.task, labels, &train, rows).into_iter().collect();
    let files = files_of_labels_in_one_split(looked, &counts);
    for (place, count) in counts.iter().enumerate() {
        let name = &count.name;
        let (kind, message) = match (count.train, count.valid) {
            (0, 0) => (Kind::LabelInOneSplit, format!("label {name:?} has no example: it cannot be learnt")),
            (0, _) => {
                let text = format!("label {name:?} is in the validation split only: it cannot be learnt");
                (Kind::LabelInOneSplit, text)
            }
            (_, 0) => {
                let text = "is in the training split only: it cannot be measured and is left out of the means";
                (Kind::LabelInOneSplit, format!("label {name:?} {text}"))
            }
            (train, _) if train == rows && looked.task == TaskKind::MultiLabel => {
                let text = "is on every training picture: its absence cannot be learnt";
                (Kind::Constant, format!("label {name:?} {text}"))
            }
            _ => continue,
        };
        let files = files.get(&place).into_iter().flatten().map(|file| Involved::new(file));
        found.push(Finding::new(Severity::Warning, kind, message).about(files));
    }
    let has_one = |cells: &Cells| matches!(cells, Cells::Labels(labels) if labels.len() == 1);
    if looked.task == TaskKind::MultiLabel && labels.len() > 1 && looked.rows.iter().all(|row| has_one(&row.cells)) {
        // One column of a table, which cannot be told from a column of labels.
        let text = if labels == &["0", "1"] {
            "every picture has exactly one of the labels \"0\" and \"1\": for one label that is there or not, write its \
             name in place of 1, and nothing in place of 0"
        } else {
            "every picture has exactly one label: --task single-label makes a model that always answers one"
        };
        found.push(Finding::new(Severity::Note, Kind::OneLabelEach, text));
    }
    found
}

/// The pictures of each label, by its place, that one of the splits does not have.
fn files_of_labels_in_one_split<'a>(looked: &'a Looked<'_>, counts: &[TargetCount]) -> HashMap<usize, Vec<&'a str>> {
    let mut files: HashMap<usize, Vec<&str>> = HashMap::new();
    for row in looked.rows {
        let Cells::Labels(labels) = &row.cells else { continue };
        let places = labels.iter().filter_map(|label| looked.targets.place(label));
        let in_one = |place: &usize| counts[*place].train == 0 || counts[*place].valid == 0;
        places.filter(in_one).for_each(|place| files.entry(place).or_default().push(&row.file));
    }
    files
}

/// Why no model could learn anything from these labels.
fn nothing_to_learn(task: TaskKind, labels: &[String], train: &[u64], rows: u64) -> Option<Finding> {
    let message = match (task, labels) {
        (_, []) => "no row has a label: there is nothing to learn".to_owned(),
        (TaskKind::SingleLabel, [only]) => format!(
            "every picture has the label {only:?}: a single-label data set needs two labels or more; for one label \
             that is there or not, use --task multi-label with pictures that do not have it"
        ),
        // An empty split is a finding of its own.
        _ if rows == 0 => return None,
        _ if train.iter().all(|&count| count == 0) => {
            "no training picture has a label: there is nothing to learn".to_owned()
        }
        (TaskKind::MultiLabel, _) if train.iter().all(|&count| count == rows) => format!(
            "every training picture has {}: there is nothing to learn without pictures that do not have {}",
            if labels.len() == 1 { format!("the label {:?}", labels[0]) } else { "every label".to_owned() },
            if labels.len() == 1 { "it" } else { "them" },
        ),
        _ => return None,
    };
    Some(Finding::new(Severity::Error, Kind::NothingToLearn, message))
}

/// How many pictures have both labels of each pair that occurs, the most frequent first.
pub(super) fn together(looked: &Looked<'_>) -> Vec<Pair> {
    if looked.task != TaskKind::MultiLabel {
        return Vec::new();
    }
    // A table of all pairs would be too large for a vocabulary of many thousand tags.
    let mut counts: HashMap<[&String; 2], u64> = HashMap::new();
    for row in looked.rows {
        let Cells::Labels(labels) = &row.cells else { continue };
        for (place, one) in labels.iter().enumerate() {
            labels[place + 1..].iter().for_each(|other| *counts.entry([one, other]).or_insert(0) += 1);
        }
    }
    let mut pairs: Vec<Pair> =
        counts.into_iter().map(|(labels, count)| Pair { labels: labels.map(String::clone), count }).collect();
    pairs.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.labels.cmp(&b.labels)));
    pairs
}
