//! The one way from any format to a data set: rows → split → a look at the pictures → findings → examples.

use std::collections::{BTreeSet, HashMap};

use super::cache::Cache;
use super::findings::{Finding, Findings, Kind, Looked, Severity, placeholders};
use super::formats::{self, Pattern};
use super::pictures::{Seen, look_at_all};
use super::table::{Cells, Names, Row, Table};
use super::text::counted;
use super::{
    DataOptions, Dataset, DatasetError, Example, Origin, PointFrame, Target, Targets, TaskKind, orientation, split,
};
use crate::model::Digest;

/// What a look at a data set gives.
#[derive(Debug)]
pub struct Inspection {
    /// Everything that was found, right or wrong.
    pub findings: Findings,
    /// The data set, where nothing forbids to train on it.
    pub dataset: Result<Dataset, DatasetError>,
}

/// Reads a data set and decodes every picture in it once, on all cores.
///
/// # Errors
/// [`DatasetError::Rows`] with everything that cannot be read, at once; see there for the rest.
pub fn read(options: &DataOptions) -> Result<Dataset, DatasetError> {
    inspect(options)?.dataset
}

/// Reads a data set as [`read`] does, and tells what was found also where it cannot be trained on.
///
/// # Errors
/// Where the rows themselves cannot be had: no such file, a header that makes no sense, nothing that defines a split.
pub fn inspect(options: &DataOptions) -> Result<Inspection, DatasetError> {
    let (format, mut table) = formats::read(options)?;
    if table.rows.is_empty() && table.problems.is_empty() {
        let reason = "there is no picture in it".to_owned();
        return Err(DatasetError::Source { path: options.data.clone(), reason });
    }
    name_groups(&mut table, options)?;
    let is_valid = split::split(&table.rows, table.has_split, options).map_err(DatasetError::Split)?;
    table.rows.iter_mut().zip(is_valid).for_each(|(row, is_valid)| row.is_valid = Some(is_valid));
    let repeated = table.report_repeated_files();
    let (seen, not_kept) = look(&mut table, options);
    let placeholders = placeholders(&table.rows);
    place_points(&mut table, &seen, options);
    table.problems.sort_by_key(|problem| if let Origin::Line(line) = problem.origin { line } else { 0 });

    let targets = vocabulary(&table, options.task);
    let mut findings = Findings::of(Looked {
        format,
        task: options.task,
        needed: options.needed,
        targets: &targets,
        rows: &table.rows,
        seen: &seen,
        points_are_oriented: options.point_frame == PointFrame::Oriented,
        repeated,
        placeholders,
        problems: &table.problems,
        notes: std::mem::take(&mut table.notes),
    });
    if let Some(reason) = not_kept {
        findings.add(Severity::Note, Kind::NotKept, reason);
    }
    let errors = findings.of_severity(Severity::Error).filter(|finding| finding.kind != Kind::Row);
    let errors: Vec<String> = errors.map(Finding::line).collect();
    let dataset = match seen.into_iter().collect::<Option<Vec<Seen>>>() {
        Some(seen) if table.problems.is_empty() && errors.is_empty() => Ok(assemble(table, targets, &seen)),
        _ if !table.problems.is_empty() => Err(DatasetError::Rows(table.problems)),
        _ => Err(DatasetError::Unusable(errors)),
    };
    Ok(Inspection { findings, dataset })
}

/// Gives rows the groups that a pattern finds in their files' paths; a picture without a match stands alone.
fn name_groups(table: &mut Table, options: &DataOptions) -> Result<(), DatasetError> {
    let Some(text) = &options.group_pattern else { return Ok(()) };
    if options.group_column.is_some() {
        return Err(DatasetError::Split("--group-column and --group-pattern exclude each other".to_owned()));
    }
    let pattern = Pattern::new(text, "group", "--group-pattern").map_err(DatasetError::Split)?;
    for row in &mut table.rows {
        row.group = pattern.capture(&row.file).map(str::to_owned);
    }
    let alone: Vec<&Row> = table.rows.iter().filter(|row| row.group.is_none()).collect();
    match (alone.len(), alone.first()) {
        (count, Some(first)) if count == table.rows.len() => {
            return Err(DatasetError::Split(format!(
                "--group-pattern {text:?} fits no file, such as {:?}",
                first.file
            )));
        }
        (count, Some(first)) => {
            let count = counted(count, "picture");
            table
                .notes
                .push(format!("--group-pattern does not fit {count}, such as {:?}: each stands alone", first.file));
        }
        (_, None) => {}
    }
    Ok(())
}

/// What is to be seen of each row's picture; a problem, named once for each file, where there is nothing. Also a
/// sentence where it could not be kept.
fn look(table: &mut Table, options: &DataOptions) -> (Vec<Option<Seen>>, Option<String>) {
    let mut cache = options.cache.as_deref().map(|folder| Cache::open(folder, &options.data, &table.root));
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(table.rows.len());
    let mut files: Vec<&str> = Vec::with_capacity(table.rows.len());
    let place_of_row: Vec<usize> = table
        .rows
        .iter()
        .map(|row| {
            *places.entry(&row.file).or_insert_with(|| {
                files.push(&row.file);
                files.len() - 1
            })
        })
        .collect();
    let mut looks: Vec<Result<Seen, Option<String>>> =
        look_at_all(&table.root, &files, cache.as_mut()).into_iter().map(|look| look.map_err(Some)).collect();
    let mut seen = Vec::with_capacity(table.rows.len());
    for (row, place) in table.rows.iter().zip(place_of_row) {
        if let Err(problem) = &mut looks[place]
            && let Some(problem) = problem.take()
        {
            table.problems.push(row.problem(None, problem));
        }
        seen.push(looks[place].as_ref().ok().copied());
    }
    let not_kept = cache.and_then(|cache| {
        let error = cache.write().err()?;
        Some(format!("the next run looks at all pictures again: cannot write {}: {error}", cache.path().display()))
    });
    (seen, not_kept)
}

/// Turns coordinates as written into pixels of the picture as EXIF orients it, 0 at its left and upper edges.
fn place_points(table: &mut Table, seen: &[Option<Seen>], options: &DataOptions) {
    let shift = options.point_shift.unwrap_or(table.point_shift);
    for (row, seen) in table.rows.iter_mut().zip(seen) {
        let (Cells::Points(points), Some(seen)) = (&mut row.cells, seen) else { continue };
        let orientation =
            if options.point_frame == PointFrame::Stored { seen.orientation } else { orientation::UPRIGHT };
        for (x, y) in points.iter_mut().flatten() {
            (*x, *y) = orientation::orient((*x + shift, *y + shift), orientation, seen.size);
        }
    }
}

/// The vocabulary in sorted order, or the points or values in their own.
fn vocabulary(table: &Table, task: TaskKind) -> Targets {
    let known = match &table.names {
        Names::Points(names) => return Targets::Points { names: names.clone() },
        Names::Values(names) => return Targets::Values { names: names.clone() },
        Names::Labels(known) => known,
    };
    let in_rows = table.rows.iter().flat_map(|row| match &row.cells {
        Cells::Labels(labels) => labels.as_slice(),
        Cells::Points(_) | Cells::Values(_) => &[],
    });
    let labels: BTreeSet<&String> = known.iter().chain(in_rows).collect();
    let labels = labels.into_iter().cloned().collect();
    if task == TaskKind::SingleLabel { Targets::SingleLabel { labels } } else { Targets::MultiLabel { labels } }
}

/// Rows and what was seen of their pictures, both complete and in the same order, as a data set.
fn assemble(table: Table, targets: Targets, seen: &[Seen]) -> Dataset {
    let (mut train, mut valid) = (Vec::new(), Vec::new());
    let mut fingerprint = targets.names().join("\t") + "\n";
    for (place, (row, seen)) in table.rows.into_iter().zip(seen).enumerate() {
        let is_valid = row.is_valid == Some(true);
        let number = if let Origin::Line(line) = row.origin { line } else { place as u64 + 1 };
        let target = match row.cells {
            Cells::Labels(labels) => Target::Labels(labels.iter().filter_map(|label| targets.place(label)).collect()),
            Cells::Points(points) => Target::Points(points),
            Cells::Values(values) => Target::Values(values),
        };
        fingerprint.push_str(&format!("{}\t{}\t{is_valid}\t{}\n", row.file, canonical(&target), seen.digest));
        let split = if is_valid { &mut valid } else { &mut train };
        split.push(Example { file: row.file.into(), row: number, size: seen.size, target });
    }
    Dataset { root: table.root, targets, train, valid, fingerprint: Digest::of(fingerprint.as_bytes()) }
}

/// A target as the fingerprint's text, which must not change between versions.
fn canonical(target: &Target) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let fields: Vec<String> = match target {
        Target::Labels(places) => places.iter().map(usize::to_string).collect(),
        Target::Points(points) => points.iter().map(|point| or_dash(point.map(|(x, y)| format!("{x} {y}")))).collect(),
        Target::Values(values) => values.iter().map(|value| or_dash(value.map(|value| value.to_string()))).collect(),
    };
    fields.join(",")
}
