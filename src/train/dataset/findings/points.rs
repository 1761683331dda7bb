//! Points and values: missing ones, points outside their picture or at a placeholder's place, values that never change,
//! and pictures that EXIF turns.

use super::super::table::{Cells, Row};
use super::super::text::{counted, some_of};
use super::super::{Targets, TaskKind, pictures::Seen};
use super::{Finding, Involved, Kind, Looked, Severity, target_counts};

/// Places that programs write for a point that is not there.
const PLACEHOLDERS: [(f64, f64); 2] = [(0.0, 0.0), (-1.0, -1.0)];

pub(super) fn look(looked: &Looked<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = turned(looked).into_iter().collect();
    let (Targets::Points { names } | Targets::Values { names }) = looked.targets else { return found };
    let rows = [0, 1].map(|side| looked.rows.iter().filter(|row| Looked::side(row) == side).count() as u64);
    let noun = looked.task.noun();
    let counts = if looked.is_to_learn_from() { target_counts(looked) } else { Vec::new() };
    for count in counts.iter().filter(|count| count.train == 0 && rows[0] > 0) {
        let text = format!("{:?} is given in no training picture: it cannot be learnt", count.name);
        found.push(Finding::new(Severity::Warning, Kind::LabelInOneSplit, text));
    }
    let missing = which(looked, names, |row, _, place| match &row.cells {
        Cells::Points(points) => points[place].is_none(),
        Cells::Values(values) => values[place].is_none(),
        Cells::Labels(_) => false,
    });
    found.extend(missing.finding(Severity::Note, Kind::Missing, |count| format!("{count} {noun} are not given")));
    if looked.task == TaskKind::Values {
        if looked.is_to_learn_from() {
            found.extend(constant_values(looked, names));
        }
        return found;
    }
    let outside = which(looked, names, |row, seen, place| match (&row.cells, seen) {
        (Cells::Points(points), Some(seen)) => points[place].is_some_and(|(x, y)| {
            let (width, height) = (f64::from(seen.size.width), f64::from(seen.size.height));
            !(0.0..=width).contains(&x) || !(0.0..=height).contains(&y)
        }),
        _ => false,
    });
    found.extend(outside.finding(Severity::Note, Kind::OutsideFrame, |count| {
        format!("{count} points lie outside their picture (they train as far as --y-range reaches)")
    }));
    found.extend(placeholder_finding(&looked.placeholders));
    found
}

fn turned(looked: &Looked<'_>) -> Option<Finding> {
    let turned: Vec<Involved> = looked
        .pairs()
        .filter_map(|(row, seen)| seen.filter(|seen| seen.orientation != 1).map(|seen| (row, seen)))
        .map(|(row, seen)| Involved::with(&row.file, format!("EXIF orientation {}", seen.orientation)))
        .collect();
    let count = counted(turned.len(), "picture");
    let (severity, message) = if looked.task == TaskKind::Points && looked.points_are_oriented {
        let text = "turned by EXIF; coordinates are taken as pixels of the turned picture (--point-frame stored: of the \
                    file as it is stored)";
        (Severity::Warning, format!("{count} {text}"))
    } else {
        (Severity::Note, format!("{count} turned by EXIF, as viewers show them"))
    };
    (!turned.is_empty()).then(|| Finding::new(severity, Kind::Turned, message).about(turned))
}

/// Which points or values something is the case for, by picture and by name.
struct Which<'a> {
    files: Vec<Involved>,
    names: &'a [String],
    by_name: Vec<u64>,
}

/// Asks of every point or value of every picture whether something is the case.
fn which<'a>(
    looked: &Looked<'_>,
    names: &'a [String],
    is_so: impl Fn(&Row, Option<&Seen>, usize) -> bool,
) -> Which<'a> {
    let mut which = Which { files: Vec::new(), names, by_name: vec![0; names.len()] };
    for (row, seen) in looked.pairs() {
        let len = match &row.cells {
            Cells::Points(points) => points.len(),
            Cells::Values(values) => values.len(),
            Cells::Labels(_) => 0,
        };
        let places: Vec<usize> = (0..len.min(names.len())).filter(|&place| is_so(row, seen, place)).collect();
        places.iter().for_each(|&place| which.by_name[place] += 1);
        if !places.is_empty() {
            let list: Vec<&str> = places.iter().map(|&place| names[place].as_str()).collect();
            which.files.push(Involved::with(&row.file, some_of(&list, 10)));
        }
    }
    which
}

impl Which<'_> {
    fn finding(self, severity: Severity, kind: Kind, message: impl Fn(u64) -> String) -> Option<Finding> {
        let mut names: Vec<(u64, &String)> = self.by_name.iter().copied().zip(self.names).collect();
        names.retain(|(count, _)| *count > 0);
        names.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let list: Vec<String> = names.iter().map(|(count, name)| format!("{name} {count}×")).collect();
        let total = self.by_name.iter().sum();
        let text = format!("{}, in {}: {}", message(total), counted(self.files.len(), "picture"), some_of(&list, 8));
        (!self.files.is_empty()).then(|| Finding::new(severity, kind, text).about(self.files))
    }
}

/// Files with several points at one corner, which are no measurements. The rows have their coordinates as written.
pub(in super::super) fn placeholders(rows: &[Row]) -> Vec<String> {
    let at_placeholder = |row: &&Row| {
        let Cells::Points(points) = &row.cells else { return false };
        PLACEHOLDERS.iter().any(|place| points.iter().flatten().filter(|point| *point == place).count() >= 2)
    };
    rows.iter().filter(at_placeholder).map(|row| row.file.clone()).collect()
}

fn placeholder_finding(files: &[String]) -> Option<Finding> {
    let text = format!(
        "{} several points at (0, 0) or (-1, -1): if that means that they are missing, leave their cells empty",
        if files.len() == 1 { "1 picture has".to_owned() } else { format!("{} pictures have", files.len()) }
    );
    let files: Vec<Involved> = files.iter().map(|file| Involved::new(file)).collect();
    (!files.is_empty()).then(|| Finding::new(Severity::Warning, Kind::Placeholder, text).about(files))
}

fn constant_values(looked: &Looked<'_>, names: &[String]) -> Vec<Finding> {
    let of_training = |place: usize| {
        let rows = looked.rows.iter().filter(|row| Looked::side(row) == 0);
        rows.filter_map(move |row| match &row.cells {
            Cells::Values(values) => values.get(place).copied().flatten(),
            _ => None,
        })
    };
    let constant = |place: &usize| {
        let first = of_training(*place).next();
        of_training(*place).count() > 1 && of_training(*place).all(|value| Some(value) == first)
    };
    let places: Vec<usize> = (0..names.len()).filter(constant).collect();
    let all = places.len() == names.len();
    let finding = |place: usize| {
        let value = of_training(place).next().unwrap_or_default();
        let text = format!("{:?} is {value} in every training picture: there is nothing to learn", names[place]);
        let (severity, kind) =
            if all { (Severity::Error, Kind::NothingToLearn) } else { (Severity::Warning, Kind::Constant) };
        Finding::new(severity, kind, text)
    };
    places.into_iter().map(finding).collect()
}
