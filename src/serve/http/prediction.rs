//! The bodies of an answered prediction, and how one picture comes to its part of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;

use super::{App, context::milliseconds, model_views::TaskName, parameters::Asked, problem::Problem};
use crate::{
    answer::{Answer, answer},
    error::Error,
    picture::PictureSize,
    serve::{
        models::ServedModel,
        pipeline::{Input, Outcome},
    },
};

/// Which model answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AnsweredBy {
    /// The model's name.
    #[schema(example = "scenes")]
    pub(super) model: String,
    /// Its version.
    #[schema(example = "1")]
    pub(super) version: String,
    /// SHA-256 of the model file.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub(super) digest: String,
    /// The model's task.
    #[schema(value_type = TaskName)]
    pub(super) task: String,
}

/// What is said about one picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PictureAnswer {
    /// The picture's size in pixels, as EXIF orients it.
    pub(super) picture: PictureInfo,
    #[serde(flatten)]
    pub(super) answer: Answer,
    /// How many pictures, of all requests, ran through the model together.
    #[schema(example = 1)]
    pub(super) batch_size: usize,
    /// Where the time went.
    pub(super) timings_ms: Timings,
    /// The revision of the thresholds, where they are not the model file's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3)]
    pub(super) thresholds_revision: Option<i64>,
    /// The id under which the answer is remembered, where it is: `POST /v1/predictions/{id}/feedback` corrects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    pub(super) prediction_id: Option<String>,
}

/// A picture's size in pixels.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::serve) struct PictureInfo {
    #[schema(example = 1024)]
    width: u32,
    #[schema(example = 768)]
    height: u32,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Timings {
    /// Decoding and resizing.
    #[schema(example = 9.214)]
    pub(super) decode: f64,
    /// Waiting for a decoding thread and for the model.
    #[schema(example = 0.127)]
    pub(super) queue: f64,
    /// The batch that the picture ran in.
    #[schema(example = 11.902)]
    pub(super) inference: f64,
    /// From the request's head to the picture's answer, with the upload.
    #[schema(example = 22.518)]
    pub(super) total: f64,
}

/// The answer to a request whose body is a picture.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Prediction {
    #[serde(flatten)]
    pub(super) by: AnsweredBy,
    #[serde(flatten)]
    pub(super) answer: PictureAnswer,
    /// The request's id.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    pub(super) request_id: String,
}

/// The answer to a form of which at least one picture was answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct FormPrediction {
    #[serde(flatten)]
    pub(super) by: AnsweredBy,
    /// One result for each picture, in the form's order.
    pub(super) results: Vec<FormResult>,
    /// The request's id.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    pub(super) request_id: String,
}

/// One picture of a form: its answer, or its problem.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum FormResult {
    Answered(AnsweredPicture),
    Failed(FailedPicture),
}

/// A picture that was answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AnsweredPicture {
    /// The part's file name, or its field name where it has none.
    #[schema(example = "beach.jpg")]
    pub(super) file: String,
    #[serde(flatten)]
    pub(super) answer: PictureAnswer,
}

/// A picture that could not be answered.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct FailedPicture {
    /// The part's file name, or its field name where it has none.
    #[schema(example = "notes.txt")]
    pub(super) file: String,
    /// Why.
    pub(super) error: Problem,
}

/// Either answer, by the kind of the request's body.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum PredictionBody {
    Picture(Box<Prediction>),
    Form(FormPrediction),
}

/// Answers one picture.
pub(super) async fn answer_picture(
    app: &App,
    model: &Arc<ServedModel>,
    bytes: Bytes,
    asked: &Asked,
    started: Instant,
) -> Result<PictureAnswer, Error> {
    let outcome = app.pipeline.run(model, Input::Encoded(bytes), asked.terms).await?;
    answer_of(model, &outcome, asked, started)
}

/// The answer that an outcome is.
pub(super) fn answer_of(
    model: &ServedModel,
    outcome: &Outcome,
    asked: &Asked,
    started: Instant,
) -> Result<PictureAnswer, Error> {
    let manifest = &model.manifest;
    let values = &outcome.output.values;
    let began = Instant::now();
    let task = &outcome.in_force.task;
    let answer = answer(task, &manifest.input.resize, outcome.original, values, &asked.selection);
    model.metrics.postprocessed(began.elapsed());
    Ok(PictureAnswer {
        picture: outcome.original.into(),
        answer: answer.map_err(Error::internal)?,
        batch_size: outcome.output.batch_size,
        thresholds_revision: Some(outcome.in_force.revision).filter(|revision| *revision > 0),
        prediction_id: outcome.recorded.map(|id| id.to_string()),
        timings_ms: Timings::new(outcome.decode, outcome.waited, outcome.output.inference, started.elapsed()),
    })
}

impl Timings {
    fn new(decode: Duration, queue: Duration, inference: Duration, total: Duration) -> Self {
        Self {
            decode: milliseconds(decode),
            queue: milliseconds(queue),
            inference: milliseconds(inference),
            total: milliseconds(total),
        }
    }

    /// The `Server-Timing` header's value.
    pub(super) fn server_timing(&self) -> String {
        let Self { decode, queue, inference, total } = self;
        format!("decode;dur={decode}, queue;dur={queue}, inference;dur={inference}, total;dur={total}")
    }
}

impl PictureAnswer {
    /// Writes the stages into the request's span.
    pub(super) fn record(&self, span: &Span) {
        span.record("decode_ms", self.timings_ms.decode);
        span.record("queue_ms", self.timings_ms.queue);
        span.record("inference_ms", self.timings_ms.inference);
        span.record("batch_size", self.batch_size);
    }
}

impl From<PictureSize> for PictureInfo {
    fn from(PictureSize { width, height }: PictureSize) -> Self {
        Self { width, height }
    }
}
