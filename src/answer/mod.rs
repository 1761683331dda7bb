//! Model outputs → what a user reads: labels, points, values.
//!
//! Pure: numbers and a [`Manifest`](crate::model::Manifest)'s words in, an [`Answer`] out. Nothing here knows HTTP or
//! ONNX Runtime.

mod annotate;
mod labels;
mod points;
mod selection;

pub use annotate::{AnnotateError, annotate, memory as annotate_memory};
pub use labels::{LabelAnswer, named};
pub use points::PointAnswer;
pub use selection::{Selection, Threshold};

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    model::Task,
    picture::{PictureSize, ResizeRule},
};

/// What a model says about one picture, by its task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Tasks `multi_label` and `single_label`.
    Labels {
        /// Labels by descending score. No label at all is a normal answer of a multi-label model.
        labels: Vec<LabelAnswer>,
    },
    /// Task `points`.
    Points {
        /// The points, in the model's order.
        points: Vec<PointAnswer>,
    },
    /// Task `values`.
    Values {
        /// The values, in the model's order.
        values: Vec<ValueAnswer>,
    },
}

/// What the model says: exactly one of labels, points and values, by its task.
// One object with three members that may be absent: generators of clients cannot make a type of an object that is joined
// with one of several.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the answer, which is written from the enum")]
struct AnswerMembers {
    /// Tasks `multi_label` and `single_label`: labels by descending score. No label at all is a normal answer of a
    /// multi-label model.
    labels: Option<Vec<LabelAnswer>>,
    /// Task `points`: the points, in the model's order.
    points: Option<Vec<PointAnswer>>,
    /// Task `values`: the values, in the model's order.
    values: Option<Vec<ValueAnswer>>,
}

impl PartialSchema for Answer {
    fn schema() -> RefOr<Schema> {
        AnswerMembers::schema()
    }
}

impl ToSchema for Answer {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        AnswerMembers::schemas(schemas);
    }
}

/// One named number.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ValueAnswer {
    /// The value's name.
    #[schema(example = "age")]
    pub name: String,
    /// The number.
    #[schema(example = 31.5)]
    pub value: f32,
}

/// A model's output that is no answer.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// Not one number for each output that the task has.
    #[error("the model gave {found} numbers, its task has {expected}")]
    Length {
        /// How many the model gave.
        found: usize,
        /// How many the task has.
        expected: usize,
    },
    /// A number that is infinite or not a number.
    #[error("the model gave {value} as output {element}")]
    NotFinite {
        /// The output element's place.
        element: usize,
        /// What stands there.
        value: f32,
    },
}

/// Makes the answer for one picture.
///
/// `output` has the task's [`Task::output_len`] elements; `original` is the picture's size as EXIF orients it, and
/// `rule` is how the picture became the model's frame. `selection` concerns labels only.
///
/// # Errors
/// An output of another length, or with an element that is not finite.
pub fn answer(
    task: &Task,
    rule: &ResizeRule,
    original: PictureSize,
    output: &[f32],
    selection: &Selection,
) -> Result<Answer, AnswerError> {
    if output.len() != task.output_len() {
        return Err(AnswerError::Length { found: output.len(), expected: task.output_len() });
    }
    if let Some(element) = output.iter().position(|value| !value.is_finite()) {
        return Err(AnswerError::NotFinite { element, value: output[element] });
    }
    Ok(match task {
        Task::MultiLabel { labels } => Answer::Labels { labels: labels::multi_label(labels, output, selection) },
        Task::SingleLabel { labels } => Answer::Labels { labels: labels::single_label(labels, output, selection) },
        Task::Points(points) => Answer::Points { points: points::points(&points.names, output, rule, original) },
        Task::Values(values) => {
            let named = values.names.iter().zip(output);
            Answer::Values { values: named.map(|(name, &value)| ValueAnswer { name: name.clone(), value }).collect() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Values, picture::ResizeMethod};

    const SIZE: PictureSize = PictureSize { width: 4, height: 4 };
    const RULE: ResizeRule = ResizeRule { method: ResizeMethod::Squish, size: SIZE };

    fn values_task() -> Task {
        Task::Values(Values { names: vec!["age".to_owned(), "weight".to_owned()], y_ranges: Vec::new() })
    }

    #[test]
    fn values_keep_their_names_and_order() {
        let answer = answer(&values_task(), &RULE, SIZE, &[31.5, -2.0], &Selection::default()).unwrap();
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"values":[{"name":"age","value":31.5},{"name":"weight","value":-2.0}]}"#
        );
    }

    #[test]
    fn an_output_that_is_not_finite_is_no_answer() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = answer(&values_task(), &RULE, SIZE, &[0.0, wrong], &Selection::default()).unwrap_err();
            assert!(matches!(error, AnswerError::NotFinite { element: 1, .. }), "{error}");
        }
    }

    #[test]
    fn an_output_of_another_length_is_no_answer() {
        let error = answer(&values_task(), &RULE, SIZE, &[0.0], &Selection::default()).unwrap_err();
        assert_eq!(error, AnswerError::Length { found: 1, expected: 2 });
    }
}
