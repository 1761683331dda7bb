//! Corrected predictions as a data set: a table and its pictures, as the trainer reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{FeedbackError, Truth};
use crate::{
    files::write_whole,
    model::Task,
    store::{Pictures, Store, StoreError, feedback::CorrectedRow},
};

/// The most corrections that are read, the latest ones.
const MOST: i64 = 1_000_000;
/// The folder of the pictures, beside the table.
const FOLDER: &str = "pictures";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The table.
    pub table: PathBuf,
    /// The trainer's name of the task.
    pub task: &'static str,
    /// Pictures in it.
    pub pictures: usize,
    /// Corrections without a picture that is kept.
    pub without_picture: usize,
    /// Earlier corrections of a picture that was answered more than once.
    pub repeated: usize,
    /// Corrections that are left out, by version: it has other labels, points or values than the one corrected last, so they do
    /// not say all that the table asks.
    pub other_names: BTreeMap<i64, usize>,
}

/// Writes `labels.csv` and its pictures into a folder. A picture that was corrected several times is there once, as it was
/// corrected last.
///
/// # Errors
/// `Unfit` where nothing is there to be written, a folder that has a table already, or a store that fails.
pub async fn export(
    store: &Store,
    pictures: &Pictures,
    model: &str,
    version: Option<i64>,
    out: &Path,
) -> Result<Exported, FeedbackError> {
    let table = out.join("labels.csv");
    if table.exists() {
        let reason = format!("{} is there already: name another folder", table.display());
        return Err(FeedbackError::Unfit(reason));
    }
    let rows = store.corrected(model, version, MOST).await?;
    let Some(first) = rows.first() else {
        return Err(FeedbackError::Unfit(format!("no prediction of model {model:?} is corrected")));
    };
    let task: Task = serde_json::from_str(&first.task).map_err(|error| row_error(&error))?;
    let mut exported = Exported {
        table,
        task: trainers_name(&task),
        pictures: 0,
        without_picture: 0,
        repeated: 0,
        other_names: BTreeMap::new(),
    };
    let (mut seen, mut lines) = (BTreeSet::new(), Vec::new());
    let header = header(&task)?;
    for row in &rows {
        if row.task != first.task && !has_the_names_of(&task, row)? {
            *exported.other_names.entry(row.version).or_default() += 1;
            continue;
        }
        let Some(name) = &row.picture else {
            exported.without_picture += 1;
            continue;
        };
        let Some(mut fields) = fields(&task, row)? else { continue };
        if !seen.insert(&row.picture_digest) {
            exported.repeated += 1;
            continue;
        }
        let Some(picture) = pictures.find(name).await? else {
            exported.without_picture += 1;
            continue;
        };
        let file = format!("{FOLDER}/{}", name.rsplit('/').next().unwrap_or(name));
        write(&out.join(&file), &picture)?;
        fields.insert(0, file);
        lines.push(fields);
    }
    if lines.is_empty() {
        let reason = "no corrected prediction has a picture that is kept: serve with record_pictures";
        return Err(FeedbackError::Unfit(reason.to_owned()));
    }
    exported.pictures = lines.len();
    write(&exported.table, &csv(&header, &lines)?)?;
    Ok(exported)
}

fn trainers_name(task: &Task) -> &'static str {
    match task {
        Task::MultiLabel { .. } => "multi-label",
        Task::SingleLabel { .. } => "single-label",
        Task::Points(_) => "points",
        Task::Values(_) => "values",
    }
}

/// Whether the model that answered says the same of a picture as this task: in any order, with any thresholds.
fn has_the_names_of(task: &Task, row: &CorrectedRow) -> Result<bool, FeedbackError> {
    let theirs: Task = serde_json::from_str(&row.task).map_err(|error| row_error(&error))?;
    let [ours, named] = [task, &theirs].map(|task| task.names().into_iter().collect::<BTreeSet<_>>());
    Ok(theirs.kind() == task.kind() && named == ours)
}

fn header(task: &Task) -> Result<Vec<String>, FeedbackError> {
    let mut header = vec!["fname".to_owned()];
    match task {
        // The trainer takes a single column for words with spaces between them.
        Task::MultiLabel { labels } if labels.len() == 1 => header.push("labels".to_owned()),
        Task::MultiLabel { labels } => header.extend(labels.iter().map(|label| label.name.clone())),
        Task::SingleLabel { .. } => header.push("label".to_owned()),
        Task::Points(points) => {
            header.extend(points.names.iter().flat_map(|name| [format!("{name}_x"), format!("{name}_y")]));
        }
        Task::Values(values) => header.extend(values.names.iter().cloned()),
    }
    if let Some(name) = header.iter().skip(1).find(|name| matches!(name.as_str(), "fname" | "is_valid")) {
        return Err(FeedbackError::Unfit(format!("{name:?} means something else in a table")));
    }
    Ok(header)
}

/// What a table says of a picture, after the file; none for a correction of another task.
fn fields(task: &Task, row: &CorrectedRow) -> Result<Option<Vec<String>>, FeedbackError> {
    let truth: Truth = serde_json::from_str(&row.truth).map_err(|error| row_error(&error))?;
    Ok(match (task, truth) {
        (Task::MultiLabel { labels }, Truth { labels: Some(right), .. }) if labels.len() == 1 => {
            Some(vec![right.join(" ")])
        }
        (Task::MultiLabel { labels }, Truth { labels: Some(right), .. }) => {
            Some(labels.iter().map(|label| u8::from(right.contains(&label.name)).to_string()).collect())
        }
        (Task::SingleLabel { .. }, Truth { labels: Some(right), .. }) => Some(right),
        (Task::Points(points), Truth { points: Some(places), .. }) => {
            let place = |name: &String| {
                let found = places.iter().find(|point| point.name == *name);
                found.map_or([String::new(), String::new()], |point| [point.x.to_string(), point.y.to_string()])
            };
            Some(points.names.iter().flat_map(place).collect())
        }
        (Task::Values(values), Truth { values: Some(numbers), .. }) => {
            let number = |name: &String| numbers.iter().find(|value| value.name == *name);
            Some(values.names.iter().map(|name| number(name).map_or(String::new(), |v| v.value.to_string())).collect())
        }
        _ => None,
    })
}

fn csv(header: &[String], lines: &[Vec<String>]) -> Result<Vec<u8>, FeedbackError> {
    let failed = |error: csv::Error| FeedbackError::Unfit(format!("no table can be made of this: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(failed)?;
    for line in lines {
        writer.write_record(line).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| FeedbackError::Unfit(error.to_string()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FeedbackError> {
    let failed =
        |error: std::io::Error| FeedbackError::File { path: path.display().to_string(), reason: error.to_string() };
    write_whole(path, bytes).map_err(failed)
}

fn row_error(error: &serde_json::Error) -> StoreError {
    StoreError::Row { what: "correction", reason: error.to_string() }
}
