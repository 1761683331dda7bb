//! `/v1/jobs`: pictures in bulk. [`create`] takes them, [`results`] gives what came of them.

pub(super) mod create;
pub(super) mod results;

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{App, access::Key, parameters::Parameters};
use crate::{
    error::Error,
    store::{
        jobs::{JobRow, JobState},
        timestamp,
    },
};

/// The most jobs of one list.
const MOST: u32 = 200;

/// A job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Job {
    /// Its id.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    id: String,
    /// How far it is.
    state: JobState,
    /// The model.
    #[schema(example = "scenes")]
    model: String,
    /// The version that was the one to answer when the job was made, or that was asked for.
    #[schema(example = "1")]
    version: String,
    /// Where the pictures come from: `zip`, `urls`, or the address that they lie below.
    #[schema(example = "s3://bucket/photos/")]
    source: String,
    /// Where the results go, besides `GET /v1/jobs/{id}/results`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "s3://bucket/results.parquet")]
    output: Option<String>,
    /// The name of the key that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "website")]
    author: Option<String>,
    /// When it was made.
    #[schema(format = DateTime, example = "2026-05-04T12:00:00Z")]
    created_at: String,
    /// When the first of it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-05-04T12:00:01Z")]
    started_at: Option<String>,
    /// When it came to an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-05-04T12:03:20Z")]
    finished_at: Option<String>,
    /// How many pictures it has, and how many have a result.
    pictures: JobPictures,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "there are no files at s3://bucket/photos/")]
    error: Option<String>,
}

/// A job's pictures.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct JobPictures {
    /// All; absent while they are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 5000)]
    total: Option<i64>,
    /// Those with a result, the failed ones included. Results are counted some tens at a time.
    #[schema(example = 1280)]
    done: i64,
    /// Those that could not be answered.
    #[schema(example = 2)]
    failed: i64,
}

/// Jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    /// The newest first.
    jobs: Vec<Job>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let JobRow { job, state, error, .. } = row;
        Self {
            id: job.id,
            state,
            model: job.model,
            version: job.version.to_string(),
            source: job.source,
            output: job.output,
            author: job.author,
            created_at: timestamp(row.created_ms),
            started_at: row.started_ms.map(timestamp),
            finished_at: row.finished_ms.map(timestamp),
            pictures: JobPictures { total: row.total, done: row.answered + row.failed, failed: row.failed },
            error,
        }
    }
}

/// Whose jobs a request may see: those of its own key; all, for a key of scope `admin` or a server without keys.
fn owner(key: &Option<Extension<Key>>) -> Option<&str> {
    key.as_ref().filter(|key| !key.is_admin).map(|key| key.name.as_str())
}

/// A job that the request may see. What else is asked of it goes by the row's id: the request's may be another spelling.
async fn find(app: &App, id: &str, key: &Option<Extension<Key>>) -> Result<JobRow, Error> {
    let jobs = app.jobs()?;
    let unknown = || Error::UnknownJob(id.to_owned());
    // Not every text is one that a database takes.
    let id = Uuid::try_parse(id).map_err(|_| unknown())?.to_string();
    let row = jobs.store().job(&id).await.map_err(Error::Database)?;
    let seen = |row: &JobRow| owner(key).is_none_or(|owner| row.job.author.as_deref() == Some(owner));
    row.filter(seen).ok_or_else(unknown)
}

/// Whether a request uploads an archive, which goes to a disk and not into memory.
pub(super) fn is_upload(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    request.uri().path() == "/v1/jobs" && content_type.is_some_and(create::is_zip)
}

/// Jobs
///
/// The newest ones: those that this key has made, or all for a key of scope `admin` or on a server without keys.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(("limit" = Option<u32>, Query, description = "The most jobs, 50 unless given.", example = 20, minimum = 1, maximum = 200)),
    responses((status = 200, description = "The jobs, the newest first.", body = JobList, example = json!({"jobs": [{
        "id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "state": "running", "model": "scenes", "version": "1",
        "source": "zip", "created_at": "2026-05-04T12:00:00Z", "started_at": "2026-05-04T12:00:01Z",
        "pictures": {"total": 5000, "done": 1280, "failed": 2}}]}))),
)]
pub(super) async fn list_jobs(
    State(app): State<App>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
) -> Result<Json<JobList>, Error> {
    let limit = parameters.limit(MOST)?;
    let rows = app.jobs()?.store().jobs(owner(&key), i64::from(limit)).await.map_err(Error::Database)?;
    Ok(Json(JobList { jobs: rows.into_iter().map(Job::from).collect() }))
}

/// How far a job is
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "get_job", tag = "jobs",
    params(("id" = String, Path, description = "The job's id.", example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")),
    responses((status = 200, description = "The job.", body = Job, example = json!({
        "id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "state": "running", "model": "scenes", "version": "1",
        "source": "zip", "created_at": "2026-05-04T12:00:00Z", "started_at": "2026-05-04T12:00:01Z",
        "pictures": {"total": 5000, "done": 1280, "failed": 2}}))),
)]
pub(super) async fn get_job(
    State(app): State<App>,
    Path(id): Path<String>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
) -> Result<Json<Job>, Error> {
    parameters.none()?;
    Ok(Json(find(&app, &id, &key).await?.into()))
}

/// End a job before it is done
///
/// What has a result keeps it. Servers that work on the job notice within a third of `job_lease_s`.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = String, Path, description = "The job's id.", example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")),
    responses((status = 200, description = "It has ended.", body = Job, example = json!({
        "id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "state": "cancelled", "model": "scenes", "version": "1",
        "source": "zip", "created_at": "2026-05-04T12:00:00Z", "started_at": "2026-05-04T12:00:01Z",
        "finished_at": "2026-05-04T12:00:20Z", "pictures": {"total": 5000, "done": 1280, "failed": 2}}))),
)]
pub(super) async fn cancel_job(
    State(app): State<App>,
    Path(id): Path<String>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
) -> Result<Json<Job>, Error> {
    parameters.none()?;
    let found = find(&app, &id, &key).await?;
    let id = &found.job.id;
    if !app.jobs()?.store().cancel_job(id).await.map_err(Error::Database)? {
        return Err(Error::Conflict(format!("job {id} has ended already: it is {}", found.state.name())));
    }
    Ok(Json(find(&app, id, &key).await?.into()))
}
