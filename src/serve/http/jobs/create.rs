//! `POST /v1/jobs`: a ZIP, a list of URLs, or an address that pictures lie below.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
};

use axum::{
    Extension, Json,
    extract::{Request, State},
};
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt as _,
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Job;
use crate::{
    error::Error,
    serve::{
        fetch::FetchError,
        http::{App, access::Key, form::read_whole, object::Object, parameters::Parameters, predict::PictureBytes},
        jobs::{Address, JobPicture, Jobs, Place, UploadError, parts, temporary_file},
    },
    store::{
        StoreError,
        jobs::{JobRow, NewJob},
    },
};

/// Bytes of an archive that have to come in a second, on average over the time that a request may take: 256 kbit/s. Uploads
/// are few at a time, so a client that sends a byte now and then would keep others out.
const LEAST_PACE: f64 = 32.0 * 1024.0;

/// A body that names an address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::http) struct JobSource {
    /// The address that the pictures lie below: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`, `file:///FOLDER`. One that the
    /// setting `job_sources` allows.
    #[schema(example = "s3://bucket/photos/")]
    source: String,
}

/// A line of a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::serve::http) struct ListedPicture {
    /// Where the picture is.
    #[schema(example = "https://example.com/beach.jpg")]
    url: String,
    /// What its result is called; its URL without it.
    #[schema(example = "beach.jpg")]
    name: Option<String>,
}

/// What a body gives.
enum Sent {
    /// A ZIP archive at its beginning, and the permit to upload it.
    Archive(File, OwnedSemaphorePermit),
    List(Vec<JobPicture>),
    /// What lies below it is to be listed.
    Address(Address),
}

/// Answer pictures in bulk
///
/// The pictures are a ZIP archive (`application/zip`), or a list (`application/x-ndjson`) with `{"url": "…"}` and optionally
/// `"name"` in each line, or lie below an address (`application/json`: `{"source": "s3://…"}`). Every server on the database
/// takes part in the work, and requests go first. Each picture has exactly one result, whatever server is stopped or killed
/// meanwhile; those that cannot be answered have their error as result.
///
/// URLs need the setting `fetch`, or are addresses below `job_sources`.
#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "create_job", tag = "jobs", params(JobParameters),
    request_body(
        description = "A ZIP of pictures, a list of URLs, or an address. Each line of a list is a `ListedPicture`, such as \
                       `{\"url\": \"https://example.com/beach.jpg\", \"name\": \"beach.jpg\"}`.",
        content(
            (inline(PictureBytes) = "application/zip"),
            (inline(String) = "application/x-ndjson"),
            (JobSource = "application/json", example = json!({"source": "s3://bucket/photos/"})),
        )
    ),
    responses((status = 202, description = "The job is taken.", body = Job, example = json!({
        "id": "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "state": "queued", "model": "scenes", "version": "1",
        "source": "zip", "created_at": "2026-05-04T12:00:00Z", "pictures": {"total": 5000, "done": 0, "failed": 0}}))),
)]
pub(in crate::serve::http) async fn create_job(
    State(app): State<App>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
    request: Request,
) -> Result<(StatusCode, Json<Job>), Error> {
    let jobs = app.jobs()?;
    let asked = parameters.job()?;
    let model = app.find(&asked.model, asked.version.as_deref())?;
    let selection = asked.rest.selection(&model.manifest.task)?;
    let output = asked.output.as_deref().map(|text| output(jobs, text)).transpose()?;
    let job = NewJob {
        id: Uuid::now_v7().to_string(),
        author: key.map(|Extension(key)| key.name),
        model: model.name.clone(),
        version: i64::try_from(model.version.0).unwrap_or(i64::MAX),
        selection: serde_json::to_string(&selection).map_err(Error::internal)?,
        source: String::new(),
        output: output.map(|address| address.to_string()),
        format: asked.format.unwrap_or_else(|| "jsonl".to_owned()),
    };
    let sent = read(&app, jobs, request).await?;
    // A task of its own: a client that goes away now leaves a job behind, and no uploads without one.
    let row = tokio::spawn(add(jobs.clone(), job, sent)).await.map_err(Error::internal)??;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

/// Makes the job of what was sent.
async fn add(jobs: Jobs, mut job: NewJob, sent: Sent) -> Result<JobRow, Error> {
    let pictures = match sent {
        Sent::Archive(file, _turn) => {
            job.source = "zip".to_owned();
            jobs.unpack(&job.id, file).await.map_err(not_unpacked)?
        }
        Sent::List(pictures) => {
            job.source = "urls".to_owned();
            pictures
        }
        Sent::Address(address) => {
            job.source = address.to_string();
            Vec::new()
        }
    };
    let total = i64::try_from(pictures.len()).unwrap_or(i64::MAX);
    let parts = parts(&pictures).map_err(Error::internal)?;
    let added = jobs.store().add_job(&job, total, parts).await;
    jobs.tell();
    // What ran out of time may be there all the same. Where the database does not say, uploads are left behind: better that
    // than a job without them.
    match (added, jobs.store().job(&job.id).await) {
        (_, Ok(Some(row))) => Ok(row),
        (Ok(()), Ok(None)) => Err(Error::internal("the job that was added is not there")),
        (Err(error), Ok(None)) => {
            jobs.forget_uploads(&pictures).await;
            Err(Error::Database(error))
        }
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(Error::Database(error)),
    }
}

/// Where results may go.
fn output(jobs: &Jobs, text: &str) -> Result<Address, Error> {
    let address: Address = text.parse().map_err(|reason| Error::Parameter { name: "output".to_owned(), reason })?;
    if address.is_folder() {
        let reason = format!("{address} is a folder: name the file, such as {address}results.jsonl");
        return Err(Error::Parameter { name: "output".to_owned(), reason });
    }
    match jobs.may_write(&address) {
        true => Ok(address),
        false => Err(Error::AddressRefused(format!(
            "jobs may not write to {address}: the setting job_outputs does not allow it"
        ))),
    }
}

pub(super) fn is_zip(content_type: &str) -> bool {
    matches!(essence(content_type).as_str(), "application/zip" | "application/x-zip-compressed")
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn read(app: &App, jobs: &Jobs, request: Request) -> Result<Sent, Error> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let content_type = content_type.to_owned();
    match essence(&content_type).as_str() {
        _ if is_zip(&content_type) => read_zip(app, jobs, request).await,
        "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => {
            let body = read_whole(request, app.settings.max_body).await?;
            read_list(jobs, &body, app.settings.jobs.max_pictures).map(Sent::List)
        }
        "application/json" => {
            let body = read_whole(request, app.settings.max_body).await?;
            let Object(JobSource { source }) =
                serde_json::from_slice(&body).map_err(|error| Error::Body(error.to_string()))?;
            let address: Address = source.parse().map_err(Error::Body)?;
            match jobs.may_read(&address) {
                true => Ok(Sent::Address(address)),
                false => Err(unreadable(&address)),
            }
        }
        _ => Err(Error::JobMediaType(content_type)),
    }
}

fn unreadable(address: &Address) -> Error {
    Error::AddressRefused(format!("jobs may not read {address}: the setting job_sources does not allow it"))
}

/// The pictures of a list, each line of which has to be right: a job of half a list would be found out too late.
fn read_list(jobs: &Jobs, body: &[u8], most: usize) -> Result<Vec<JobPicture>, Error> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Body("the list is not UTF-8".to_owned()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut pictures = Vec::new();
    for (number, line) in lines {
        if pictures.len() == most {
            return Err(Error::TooManyPictures { limit: most });
        }
        let at = |reason: String| Error::Body(format!("line {}: {reason}", number + 1));
        let Object(ListedPicture { url, name }) = serde_json::from_str(line).map_err(|error| at(error.to_string()))?;
        let is_web = ["http://", "https://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme));
        let place = if is_web {
            if !jobs.fetches() {
                return Err(FetchError::Off.into());
            }
            Place::Url(url.clone())
        } else {
            let address: Address = url.parse().map_err(at)?;
            if !jobs.may_read(&address) {
                return Err(unreadable(&address));
            }
            Place::Object(address.to_string())
        };
        pictures.push(JobPicture { name: name.unwrap_or(url), place });
    }
    if pictures.is_empty() { Err(Error::NoPicture) } else { Ok(pictures) }
}

/// Writes the archive to a disk as it comes.
async fn read_zip(app: &App, jobs: &Jobs, request: Request) -> Result<Sent, Error> {
    let limit = app.settings.jobs.max_bytes;
    let too_large = || Error::BodyTooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) };
    let turn = jobs.upload_turn()?;
    let mut file = tokio::fs::File::from_std(temporary_file().map_err(Error::internal)?);
    let mut body = request.into_body().into_data_stream();
    let mut received = 0_u64;
    // Large archives take their time, and have as much of it as they need at the least pace. What came faster is no credit
    // for a pause later on: each window begins when the bytes of the one before are there.
    let window = app.settings.request_timeout;
    let late = |received| Error::BodyLate { received, after_s: window.as_secs_f64() };
    let (mut window_end, mut in_window) = (Instant::now() + window, 0_u64);
    while let Some(chunk) = timeout_at(window_end, body.next()).await.map_err(|_| late(in_window))? {
        let chunk = chunk.map_err(|error| Error::Body(error.to_string()))?;
        received += chunk.len() as u64;
        in_window += chunk.len() as u64;
        if received > limit {
            return Err(too_large());
        }
        file.write_all(&chunk).await.map_err(Error::internal)?;
        if in_window as f64 >= LEAST_PACE * window.as_secs_f64() {
            (window_end, in_window) = (Instant::now() + window, 0);
        }
    }
    file.flush().await.map_err(Error::internal)?;
    let mut file = file.into_std().await;
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    Ok(Sent::Archive(file, turn))
}

fn not_unpacked(error: UploadError) -> Error {
    let bytes = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
    match error {
        UploadError::NoPlace => Error::NoUploads,
        UploadError::Archive(_) => Error::Body(error.to_string()),
        UploadError::Empty => Error::NoPicture,
        UploadError::TooMany { limit } => Error::TooManyPictures { limit },
        UploadError::TooLarge { limit } => Error::BodyTooLarge { limit: bytes(limit) },
        UploadError::Store(error) => not_kept(&error),
    }
}

fn not_kept(error: &StoreError) -> Error {
    tracing::error!(%error, "an upload cannot be kept");
    Error::NotReady("uploads cannot be kept now; try again".to_owned())
}

/// How results are written.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "describes the parameter, which is compared as text")]
pub(in crate::serve::http) enum ResultsFormat {
    Jsonl,
    Parquet,
}

/// The query, for the OpenAPI document; `parameters` reads it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the parameters, which are read one by one")]
struct JobParameters {
    /// The model.
    #[param(example = "scenes")]
    model: String,
    /// Its version; the one that answers now unless given.
    #[param(pattern = "^[1-9][0-9]{0,17}$", example = "1")]
    version: Option<String>,
    /// Where the results are written when all are there: an address that the setting `job_outputs` allows.
    #[param(example = "s3://bucket/results.parquet")]
    output: Option<String>,
    /// What is written there: `jsonl`, the default, or `parquet`.
    #[param(example = "parquet")]
    format: Option<ResultsFormat>,
    /// Every label, whatever its score.
    all: Option<bool>,
    /// One threshold for every label, instead of each label's own. Single-label models: every label that reaches it, and always
    /// the best one even if it does not.
    #[param(minimum = 0, maximum = 1, example = 0.5)]
    threshold: Option<f32>,
    /// At most so many labels, the best ones. Multi-label models: cuts after the thresholds. Single-label models without
    /// `threshold`: so many of the best instead of one.
    #[param(minimum = 1, format = "uint64", example = 3)]
    top_k: Option<u32>,
    /// The operating point whose thresholds hold; `balanced` unless given. Multi-label models only; 400 for others.
    #[param(example = "precise")]
    operating_point: Option<String>,
    /// Only these labels, with commas between them.
    #[param(example = "beach,mountain")]
    labels: Option<String>,
}
