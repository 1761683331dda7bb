//! `POST /v1/models/{name}/predict`.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use tracing::Span;

use super::{
    App, annotated,
    context::{RequestId, Started, milliseconds},
    form::{self, Body, Reading},
    json::PictureJson,
    model_views::version_of,
    parameters::Parameters,
    prediction::{
        AnsweredBy, AnsweredPicture, FailedPicture, FormPrediction, FormResult, Prediction, PredictionBody,
        answer_picture,
    },
    problem::Problem,
};
use crate::{
    error::Error,
    serve::{models::ServedModel, queue::Priority},
};

/// Answer one picture, or the pictures of a form
///
/// A raw body (`image/*` or `application/octet-stream`; the format is read from the bytes) is answered with one
/// object. A form (`multipart/form-data`, every part a picture) is answered with a list in the form's order: 200
/// where at least one picture was answered, each failure in its own place; else the first failure's status. JSON
/// (`application/json`) names one picture (`image`, as base64, or `url`) and is answered as one, or several (`images`)
/// and is answered as a form. URLs are fetched only where the server's settings allow that.
///
/// `annotated=png` answers with the picture itself, its labels or points drawn into it: PNG, as EXIF orients the
/// picture, the longer side scaled into 480 to 1600 pixels.
///
/// JPEG, PNG, WebP, GIF and BMP are taken. Coordinates are pixels of the picture as EXIF orients it.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/predict",
    operation_id = "predict",
    tag = "models",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        PredictionParameters,
        PredictionHeaders,
    ),
    request_body(
        description = "A picture's bytes, or pictures as a form or as JSON.",
        content(
            (inline(PictureBytes) = "image/*"),
            (inline(PictureBytes) = "application/octet-stream"),
            (PictureForm = "multipart/form-data"),
            (PictureJson = "application/json"),
        )
    ),
    responses((
        status = 200,
        description = "The answer.",
        body = PredictionBody,
        headers(("Server-Timing" = String, description = "Milliseconds of each stage; for a form, of the whole.")),
        examples(
            ("labels" = (summary = "A picture, by a model with labels", value = json!({
                "model": "scenes", "version": "1", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "task": "multi_label", "picture": {"width": 1024, "height": 768},
                "labels": [{"label": "beach", "score": 0.93, "threshold": 0.41}, {"label": "sunset", "score": 0.62, "threshold": 0.55}],
                "batch_size": 1, "timings_ms": {"decode": 9.214, "queue": 0.127, "inference": 11.902, "total": 22.518},
                "request_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"}))),
            ("points" = (summary = "A picture, by a model with points", value = json!({
                "model": "faces", "version": "2", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "task": "points", "picture": {"width": 1024, "height": 768},
                "points": [{"name": "left_eye", "x": 412.6, "y": 288.1, "x_norm": 0.4029, "y_norm": 0.3751, "in_frame": true}],
                "batch_size": 4, "timings_ms": {"decode": 9.214, "queue": 3.402, "inference": 31.77, "total": 45.911},
                "request_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"}))),
            ("several" = (summary = "A form with a picture and a text file", value = json!({
                "model": "scenes", "version": "1", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "task": "multi_label",
                "results": [
                    {"file": "beach.jpg", "picture": {"width": 1024, "height": 768},
                     "labels": [{"label": "beach", "score": 0.93, "threshold": 0.41}],
                     "batch_size": 1, "timings_ms": {"decode": 9.214, "queue": 0.127, "inference": 11.902, "total": 22.518}},
                    {"file": "notes.txt", "error": {"type": "urn:tagpoint:problem:picture-format",
                     "title": "Unsupported picture format", "status": 415, "detail": "this is not a picture",
                     "instance": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"}}],
                "request_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"}))),
        )
    )),
)]
pub(super) async fn predict(
    State(app): State<App>,
    Path(name): Path<String>,
    parameters: Parameters,
    Extension(request_id): Extension<RequestId>,
    Extension(Started(started)): Extension<Started>,
    request: Request,
) -> Result<Response, Error> {
    let model = app.pipeline.models.find(&name, None)?;
    answer_request(&app, &model, parameters, &request_id, started, request).await
}

/// Answer by a version of one's choice
///
/// The same as `POST /v1/models/{name}/predict`, by the version that the address names.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/versions/{version}/predict",
    operation_id = "predict_by_version",
    tag = "models",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("version" = String, Path, description = "The version: a whole number from 1.", example = "1"),
        PredictionParameters,
        PredictionHeaders,
    ),
    request_body(
        description = "A picture's bytes, or pictures as a form or as JSON.",
        content(
            (inline(PictureBytes) = "image/*"),
            (inline(PictureBytes) = "application/octet-stream"),
            (PictureForm = "multipart/form-data"),
            (PictureJson = "application/json"),
        )
    ),
    responses((
        status = 200,
        description = "The answer, as of `POST /v1/models/{name}/predict`.",
        body = PredictionBody,
        headers(("Server-Timing" = String, description = "Milliseconds of each stage; for a form, of the whole.")),
        example = json!({
            "model": "scenes", "version": "1", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "task": "multi_label", "picture": {"width": 1024, "height": 768},
            "labels": [{"label": "beach", "score": 0.93, "threshold": 0.41}],
            "batch_size": 1, "timings_ms": {"decode": 9.214, "queue": 0.127, "inference": 11.902, "total": 22.518},
            "request_id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"})
    )),
)]
pub(super) async fn predict_by_version(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    parameters: Parameters,
    Extension(request_id): Extension<RequestId>,
    Extension(Started(started)): Extension<Started>,
    request: Request,
) -> Result<Response, Error> {
    let model = app.pipeline.models.find(&name, Some(version_of(&name, &version)?))?;
    answer_request(&app, &model, parameters, &request_id, started, request).await
}

async fn answer_request(
    app: &App,
    model: &Arc<ServedModel>,
    parameters: Parameters,
    request_id: &RequestId,
    started: Instant,
    request: Request,
) -> Result<Response, Error> {
    let asked = parameters.asked(&model.manifest.task, started, app.settings.request_timeout)?;
    let by = AnsweredBy {
        model: model.name.clone(),
        version: model.version.to_string(),
        digest: format!("sha256:{}", model.digest),
        task: model.manifest.task.kind().to_owned(),
    };
    let id = request_id.as_str().to_owned();
    let reading = Reading {
        max_body: app.settings.max_body,
        max_pictures: app.settings.max_pictures,
        fetcher: app.fetcher.as_ref(),
        deadline: asked.terms.deadline,
        model: &model.name,
    };
    match form::read(request, &reading).await? {
        body if asked.annotated => annotated::answer(app, model, body.into_one()?, &asked, started).await,
        Body::Picture(bytes) => {
            let answer = answer_picture(app, model, bytes, &asked, started).await?;
            answer.record(&Span::current());
            let timing = answer.timings_ms.server_timing();
            Ok(answered(PredictionBody::Picture(Box::new(Prediction { by, answer, request_id: id })), &timing))
        }
        Body::Several(pictures) => {
            let answers: Vec<_> = pictures
                .into_iter()
                .map(async |(file, bytes)| {
                    let answer = async { answer_picture(app, model, bytes?, &asked, started).await };
                    match answer.await {
                        Ok(answer) => FormResult::Answered(AnsweredPicture { file, answer }),
                        Err(error) => FormResult::Failed(FailedPicture {
                            file,
                            error: Problem::report(&error, request_id, &app.metrics),
                        }),
                    }
                })
                .collect();
            // No more at a time than have places in the queue, or the others would find it full even of an idle server.
            let results: Vec<FormResult> = stream::iter(answers).buffered(app.settings.queue_limit).collect().await;
            if let Some(problem) = all_failed(&results) {
                return Ok(problem.into_response());
            }
            let timing = format!("total;dur={}", milliseconds(started.elapsed()));
            Ok(answered(PredictionBody::Form(FormPrediction { by, results, request_id: id }), &timing))
        }
    }
}

/// The first failure, with every failure in it, where no picture was answered.
fn all_failed(results: &[FormResult]) -> Option<Problem> {
    let failed: Option<Vec<FailedPicture>> = results
        .iter()
        .map(|result| match result {
            FormResult::Failed(failed) => Some(failed.clone()),
            FormResult::Answered(_) => None,
        })
        .collect();
    let failed = failed?;
    let first = failed.first()?.error.clone();
    Some(Problem { results: failed, ..first })
}

fn answered(body: PredictionBody, timing: &str) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(value) = HeaderValue::from_str(timing) {
        response.headers_mut().insert("server-timing", value);
    }
    response
}

/// The query and the headers of a prediction, for the OpenAPI document; `parameters` reads them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the parameters, which are read one by one")]
struct PredictionParameters {
    /// Every label, whatever its score. Models with labels only.
    all: Option<bool>,
    /// One threshold for every label (`score >= threshold`), instead of each label's own. Models with labels only.
    /// Single-label models: every label that reaches it, and always the best one even if it does not; compare `score` with
    /// `threshold`.
    #[param(minimum = 0, maximum = 1, example = 0.5)]
    threshold: Option<f32>,
    /// The operating point whose thresholds hold; `balanced` unless given. Multi-label models only; 400 for others.
    #[param(example = "sensitive")]
    operating_point: Option<String>,
    /// Only these labels, with commas between them. Models with labels only.
    #[param(example = "cat,dog")]
    labels: Option<String>,
    /// The picture with its answer drawn into it, in place of JSON. For one picture.
    annotated: Option<Drawing>,
    /// At most so many labels, the best ones. Multi-label models: cuts after the thresholds. Single-label models without
    /// `threshold`: so many of the best instead of one. Models with labels only.
    #[param(minimum = 1, format = "uint64", example = 3)]
    top_k: Option<u32>,
    /// All that wait with a higher priority go first; `normal` unless given.
    priority: Option<Priority>,
    /// Seconds after which the answer is no longer wanted; may stand in a header of the same name instead.
    #[param(example = 2.5)]
    timeout: Option<f64>,
}

/// How a picture is drawn that has its answer in it.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the parameter, which is compared as text")]
pub(super) enum Drawing {
    Png,
}

/// The headers of a prediction.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes the headers, which are read one by one")]
struct PredictionHeaders {
    /// An id of your own for this request: 1 to 128 of A-Z a-z 0-9 - . _ ~ : @ / + = ,
    #[param(rename = "x-request-id")]
    x_request_id: Option<String>,
}

/// The file's bytes.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "describes the body, which is read as it is")]
pub(in crate::serve) struct PictureBytes(Vec<u8>);

/// Pictures, one in each part.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the form, which is read part by part")]
pub(super) struct PictureForm {
    /// One picture a part; parts of any name are taken.
    #[schema(value_type = Vec<String>, format = Binary)]
    picture: Vec<Vec<u8>>,
}
