//! New thresholds for a model file, from corrected predictions of it, as a revision that can be taken back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FeedbackError, Truth};
use crate::{
    model::{Label, Task},
    store::{Store, StoreError, feedback::CorrectedRow, predictions::ModelRow},
    thresholds::{LEAST, OperatingPoint, RefittedLabel, refit as refit_label},
};

/// The most corrections that are read, the latest ones.
const MOST: i64 = 100_000;

/// What was fitted.
#[derive(Clone, Debug)]
pub struct Refit {
    /// The revision that holds now; none where nothing was applied.
    pub revision: Option<i64>,
    /// Corrected pictures that it was fitted on.
    pub pictures: usize,
    /// Each label, in the model's order.
    pub labels: Vec<RefittedLabel>,
}

/// What there is to fit on.
#[derive(Clone, Debug)]
pub struct Corrections {
    /// Corrected pictures.
    pub pictures: usize,
    /// Each label, in the model's order; none for a model without thresholds.
    pub labels: Vec<CorrectedLabel>,
}

/// A label's corrections, and how many more a refit of its thresholds needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CorrectedLabel {
    /// The label.
    #[schema(example = "cat")]
    pub label: String,
    /// Corrected pictures that have it.
    #[schema(example = 2)]
    pub positives: usize,
    /// Corrected pictures that do not.
    #[schema(example = 10)]
    pub negatives: usize,
    /// Further corrected pictures with it that a refit needs.
    #[schema(example = 3)]
    pub missing_positives: usize,
    /// Further corrected pictures without it that a refit needs.
    #[schema(example = 0)]
    pub missing_negatives: usize,
}

/// A revision's thresholds, as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub Vec<RefittedLabel>);

impl Revision {
    /// A revision from the database.
    ///
    /// # Errors
    /// Text of another program.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Row { what: "revision", reason: error.to_string() })
    }

    /// The task with this revision's thresholds in place of the model file's.
    pub fn applied_to(&self, task: &Task) -> Task {
        let mut task = task.clone();
        if let Task::MultiLabel { labels } = &mut task {
            let revised: BTreeMap<&str, &RefittedLabel> =
                self.0.iter().map(|label| (label.label.as_str(), label)).collect();
            for label in labels {
                let Some(revised) = revised.get(label.name.as_str()) else { continue };
                for (point, fitted) in &revised.thresholds {
                    label.thresholds.insert(point.clone(), fitted.threshold);
                }
            }
        }
        task
    }
}

/// Fits the thresholds of a model file anew, and, where wanted, puts them in force.
///
/// # Errors
/// `Unfit` for a model without thresholds and where no label has enough corrected pictures; a store that fails.
pub async fn refit(
    store: &Store,
    model: &ModelRow,
    points: &[OperatingPoint],
    apply: bool,
    author: Option<&str>,
) -> Result<Refit, FeedbackError> {
    let task = task_of(model)?;
    if !matches!(task, Task::MultiLabel { .. }) {
        let reason = format!("thresholds are for multi-label models, and {:?} answers {}", model.model, task.kind());
        return Err(FeedbackError::Unfit(reason));
    }
    let in_force = store.thresholds_of(&model.digest).await?;
    let revision = in_force.map(|row| Revision::read(&row.thresholds)).transpose()?.unwrap_or_default();
    let task = revision.applied_to(&task);
    let corrected = corrected(store, model).await?;
    let columns = columns(&task, &corrected)?;
    let labels: Vec<RefittedLabel> =
        task.labels().iter().zip(&columns).map(|(label, column)| refit_label(label, column, points)).collect();
    let is_new = |label: &RefittedLabel| label.thresholds.values().any(|fitted| fitted.low.is_some());
    if !labels.iter().any(is_new) {
        return Err(FeedbackError::Unfit(too_few(&labels, corrected.len())));
    }
    let revision = if apply {
        let text = serde_json::to_string(&labels)
            .map_err(|error| StoreError::Row { what: "revision", reason: error.to_string() })?;
        Some(store.add_thresholds(&model.digest, author, &text).await?)
    } else {
        None
    };
    Ok(Refit { revision, pictures: corrected.len(), labels })
}

/// What a refit of a model file's thresholds would be fitted on, and what it lacks.
///
/// # Errors
/// A store that fails.
pub async fn corrections(store: &Store, model: &ModelRow) -> Result<Corrections, StoreError> {
    let (task, corrected) = (task_of(model)?, corrected(store, model).await?);
    let labels = if matches!(task, Task::MultiLabel { .. }) { task.labels() } else { &[] };
    let of = |(label, column): (&Label, &Vec<(f32, bool)>)| {
        let positives = column.iter().filter(|(_, truth)| *truth).count();
        let negatives = column.len() - positives;
        CorrectedLabel {
            label: label.name.clone(),
            positives,
            negatives,
            missing_positives: LEAST.saturating_sub(positives),
            missing_negatives: LEAST.saturating_sub(negatives),
        }
    };
    let labels = labels.iter().zip(&columns(&task, &corrected)?).map(of).collect();
    Ok(Corrections { pictures: corrected.len(), labels })
}

fn task_of(model: &ModelRow) -> Result<Task, StoreError> {
    serde_json::from_str(&model.task).map_err(|error| StoreError::Row { what: "model", reason: error.to_string() })
}

/// The corrected predictions of this very model file.
async fn corrected(store: &Store, model: &ModelRow) -> Result<Vec<CorrectedRow>, StoreError> {
    let corrected = store.corrected(&model.model, Some(model.version), MOST).await?;
    Ok(corrected.into_iter().filter(|row| row.digest == model.digest).collect())
}

/// For each label, score and truth of every corrected picture.
fn columns(task: &Task, corrected: &[CorrectedRow]) -> Result<Vec<Vec<(f32, bool)>>, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::Row { what: "correction", reason: error.to_string() };
    let mut columns = vec![Vec::with_capacity(corrected.len()); task.labels().len()];
    for row in corrected {
        let scores: Vec<f32> = serde_json::from_str(&row.outputs).map_err(unreadable)?;
        let truth: Truth = serde_json::from_str(&row.truth).map_err(unreadable)?;
        let right = truth.labels.unwrap_or_default();
        for ((label, column), score) in task.labels().iter().zip(&mut columns).zip(scores) {
            column.push((score, right.contains(&label.name)));
        }
    }
    Ok(columns)
}

fn too_few(labels: &[RefittedLabel], pictures: usize) -> String {
    let counts: Vec<String> =
        labels.iter().take(20).map(|l| format!("{} {}/{}", l.label, l.positives, l.negatives)).collect();
    format!(
        "{pictures} pictures are corrected, and a label needs {LEAST} that have it and {LEAST} that do not: {}",
        counts.join(", ")
    )
}
