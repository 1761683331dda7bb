//! A picture's result: one line of JSON, an answer or an error.

use serde::Serialize;

use super::JobPicture;
use crate::{
    answer::{Answer, AnswerError, Selection, answer},
    error::Error,
    picture::PictureSize,
    serve::{http::problem::kind_and_title, models::ServedModel, pipeline::Outcome},
};

/// What came of a picture.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    name: String,
    #[serde(flatten)]
    said: Said,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Said {
    Answered {
        picture: Size,
        #[serde(flatten)]
        answer: Answer,
        #[serde(skip_serializing_if = "Option::is_none")]
        thresholds_revision: Option<i64>,
    },
    Failed {
        error: LineError,
    },
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Size {
    width: u32,
    height: u32,
}

/// Why a picture has no answer.
#[derive(Clone, Debug, Serialize)]
struct LineError {
    /// The kind of problem; stable, for programs.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem, for people.
    title: String,
    /// What happened.
    detail: String,
}

impl Line {
    pub(super) fn answered(
        picture: &JobPicture,
        model: &ServedModel,
        outcome: &Outcome,
        selection: &Selection,
    ) -> Result<Self, AnswerError> {
        let PictureSize { width, height } = outcome.original;
        let (task, rule) = (&outcome.in_force.task, &model.manifest.input.resize);
        let answer = answer(task, rule, outcome.original, &outcome.output.values, selection)?;
        let thresholds_revision = Some(outcome.in_force.revision).filter(|revision| *revision > 0);
        let said = Said::Answered { picture: Size { width, height }, answer, thresholds_revision };
        Ok(Self { name: picture.name.clone(), said })
    }

    pub(super) fn failed(picture: &JobPicture, error: &Error) -> Self {
        Self { name: picture.name.clone(), said: Said::Failed { error: error_of(error) } }
    }

    pub(super) fn is_failure(&self) -> bool {
        matches!(self.said, Said::Failed { .. })
    }

    /// With its line break.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// An error as a result has it.
fn error_of(error: &Error) -> LineError {
    let (kind, title) = kind_and_title(error);
    LineError { kind, title, detail: cause(error) }
}

/// What an error says, with its cause where that is not said: whoever runs jobs has to know which store failed.
pub(super) fn cause(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}
