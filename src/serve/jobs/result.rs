//! A picture's result: one line of JSON, with an answer or an error.

use serde::Serialize;
use utoipa::ToSchema;

use super::JobPicture;
use crate::{
    answer::{Answer, AnswerError, Selection, answer},
    error::Error,
    serve::{
        http::{prediction::PictureInfo, problem::kind_and_title},
        models::ServedModel,
        pipeline::Outcome,
    },
};

/// What came of a job's picture: its answer, or its error.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::serve) struct JobResult {
    /// The picture's name in the archive, below the address, or in the list.
    #[schema(example = "beach.jpg")]
    name: String,
    /// The picture's size in pixels, as EXIF orients it; absent where there is an error, as the answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PictureInfo>,
    #[serde(flatten)]
    #[schema(value_type = Answer)]
    answer: Option<Answer>,
    /// The revision of the thresholds, where they are not the model file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    thresholds_revision: Option<i64>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
}

/// Why a job's picture has no answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct JobError {
    /// The kind of problem, as in a `Problem`; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:tagpoint:problem:picture-broken")]
    kind: String,
    /// The kind of problem, for people.
    #[schema(example = "Unreadable picture")]
    title: String,
    /// What happened.
    #[schema(example = "the picture cannot be read: the data end early")]
    detail: String,
}

impl JobResult {
    pub(super) fn answered(
        picture: &JobPicture,
        model: &ServedModel,
        outcome: &Outcome,
        selection: &Selection,
    ) -> Result<Self, AnswerError> {
        let (task, rule) = (&outcome.in_force.task, &model.manifest.input.resize);
        Ok(Self {
            name: picture.name.clone(),
            picture: Some(outcome.original.into()),
            answer: Some(answer(task, rule, outcome.original, &outcome.output.values, selection)?),
            thresholds_revision: Some(outcome.in_force.revision).filter(|revision| *revision > 0),
            error: None,
        })
    }

    pub(super) fn failed(picture: &JobPicture, error: &Error) -> Self {
        let (kind, title) = kind_and_title(error);
        let error = JobError { kind, title, detail: cause(error) };
        let name = picture.name.clone();
        Self { name, picture: None, answer: None, thresholds_revision: None, error: Some(error) }
    }

    pub(super) fn is_failure(&self) -> bool {
        self.error.is_some()
    }

    /// With its line break.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// What an error says, with its cause where that is not said: whoever runs jobs has to know which store failed.
pub(super) fn cause(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}
