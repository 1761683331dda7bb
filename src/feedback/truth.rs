//! What is right about a picture, as somebody says who has looked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Task;

/// What is right about a picture: one of the three, as the model's task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// Tasks `multi_label` and `single_label`: every right label; none at all is a statement too (`multi_label`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["cat", "person"]))]
    pub labels: Option<Vec<String>>,
    /// Task `points`: the points that are known, in pixels of the picture as EXIF orients it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Vec<TruePoint>>,
    /// Task `values`: the values that are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<TrueValue>>,
}

/// Where a point is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TruePoint {
    /// The point's name.
    #[schema(example = "left_eye")]
    pub name: String,
    /// Pixels from the picture's left edge.
    #[schema(example = 410.5)]
    pub x: f64,
    /// Pixels from the picture's top edge.
    #[schema(example = 286.0)]
    pub y: f64,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrueValue {
    /// The value's name.
    #[schema(example = "age")]
    pub name: String,
    /// The number.
    #[schema(example = 33.0)]
    pub value: f64,
}

impl Truth {
    /// Whether it can be true of a picture under this task.
    ///
    /// # Errors
    /// A sentence on what does not fit.
    pub fn check(&self, task: &Task) -> Result<(), String> {
        let only = |fits: bool, member: &str| {
            let given = [self.labels.is_some(), self.points.is_some(), self.values.is_some()];
            let one = given.iter().filter(|given| **given).count() == 1;
            (fits && one)
                .then_some(())
                .ok_or_else(|| format!("a model of task {} takes {member}, and that alone", task.kind()))
        };
        match task {
            Task::MultiLabel { labels } | Task::SingleLabel { labels } => {
                only(self.labels.is_some(), "labels")?;
                let given = self.labels.as_deref().unwrap_or_default();
                if matches!(task, Task::SingleLabel { .. }) && given.len() != 1 {
                    return Err(format!("a picture of this model has one label, not {}", given.len()));
                }
                named_once("label", given.iter(), labels.iter().map(|label| &label.name))
            }
            Task::Points(points) => {
                only(self.points.is_some(), "points")?;
                let given = self.points.as_deref().unwrap_or_default();
                if let Some(point) = given.iter().find(|point| !(point.x.is_finite() && point.y.is_finite())) {
                    return Err(format!("point {:?} is nowhere", point.name));
                }
                named_once("point", given.iter().map(|point| &point.name), points.names.iter())
            }
            Task::Values(values) => {
                only(self.values.is_some(), "values")?;
                let given = self.values.as_deref().unwrap_or_default();
                named_once("value", given.iter().map(|value| &value.name), values.names.iter())
            }
        }
    }
}

/// Every name is known, and given once.
fn named_once<'a>(
    what: &str,
    given: impl Iterator<Item = &'a String>,
    known: impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    let known: Vec<&String> = known.collect();
    let mut seen = std::collections::BTreeSet::new();
    for name in given {
        if !known.contains(&name) {
            let known: Vec<&str> = known.iter().take(20).map(|name| name.as_str()).collect();
            return Err(format!("the model has no {what} {name:?}; it has {}", known.join(", ")));
        }
        if !seen.insert(name) {
            return Err(format!("{what} {name:?} is given twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Label, Values};

    fn truth(json: &str) -> Truth {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_truth_fits_the_task_and_names_what_the_model_has_once() {
        let label = |name: &str| Label {
            name: name.to_owned(),
            thresholds: Default::default(),
            train_count: 1,
            valid_count: 1,
        };
        let labels = vec![label("cat"), label("dog")];
        let (multi, single) = (Task::MultiLabel { labels: labels.clone() }, Task::SingleLabel { labels });
        let values = Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() });
        for (task, fits) in [
            (&multi, r#"{"labels": []}"#),
            (&multi, r#"{"labels": ["dog", "cat"]}"#),
            (&single, r#"{"labels": ["dog"]}"#),
            (&values, r#"{"values": [{"name": "age", "value": 3}]}"#),
        ] {
            assert_eq!(truth(fits).check(task), Ok(()), "{fits}");
        }
        for (task, wrong, expected) in [
            (&multi, r"{}", "takes labels"),
            (&multi, r#"{"labels": [], "values": []}"#, "that alone"),
            (&multi, r#"{"labels": ["bird"]}"#, "no label \"bird\"; it has cat, dog"),
            (&multi, r#"{"labels": ["cat", "cat"]}"#, "twice"),
            (&single, r#"{"labels": []}"#, "one label, not 0"),
            (&values, r#"{"labels": ["cat"]}"#, "takes values"),
        ] {
            let error = truth(wrong).check(task).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(serde_json::from_str::<Truth>(r#"{"label": "cat"}"#).is_err());
    }
}
