//! `GET /v1/jobs/{id}/results`: what came of a job's pictures, as a stream.

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http::{HeaderValue, header};
use tokio_util::io::ReaderStream;

use super::{create::ResultsFormat, find};
use crate::{
    error::Error,
    serve::{
        http::{App, access::Key, parameters::Parameters, predict::PictureBytes},
        jobs::TableError,
    },
    store::Store,
};

/// The content type of lines of JSON.
const JSON_LINES: &str = "application/x-ndjson";
/// The content type of a Parquet file.
const PARQUET: &str = "application/vnd.apache.parquet";

/// A job's results
///
/// One JSON object a line, a `JobResult`, in the order of the pictures: the picture's name and size with its labels, points or
/// values, as a prediction has them, or its `error`. Once the job has come to an end; of a cancelled or failed one, what there is. Parquet with
/// `format=parquet`: columns `name`, `error`, `error_type`, `width`, `height`, and lists `labels` and `scores`, or a column for each
/// point's x and y, or each value: `NAME`, or `value.NAME` for all of them where one has the name of one of the first five columns.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/results", operation_id = "get_job_results", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id.", example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"),
        ("format" = Option<ResultsFormat>, Query, description = "`jsonl`, the default, or `parquet`.", example = "jsonl"),
    ),
    responses((status = 200, description = "The results; each line of JSON is a `JobResult`.", content(
        (inline(String) = "application/x-ndjson", example = json!(
            "{\"name\": \"beach.jpg\", \"picture\": {\"width\": 1024, \"height\": 768}, \"labels\": [{\"label\": \"beach\", \"score\": 0.93, \"threshold\": 0.41}]}\n{\"name\": \"notes.txt\", \"error\": {\"type\": \"urn:tagpoint:problem:picture-format\", \"title\": \"Unsupported picture format\", \"detail\": \"this is not a picture\"}}\n")),
        (inline(PictureBytes) = "application/vnd.apache.parquet"),
    ))),
)]
pub(in crate::serve::http) async fn get_job_results(
    State(app): State<App>,
    Path(id): Path<String>,
    parameters: Parameters,
    key: Option<Extension<Key>>,
) -> Result<Response, Error> {
    let format = parameters.format()?;
    let job = find(&app, &id, &key).await?;
    if !job.state.is_end() {
        let (id, state) = (job.job.id, job.state.name());
        return Err(Error::Conflict(format!("job {id} is {state}: its results are there once it has come to an end")));
    }
    let (jobs, id) = (app.jobs()?, job.job.id);
    let (content_type, body) = if format == "parquet" {
        let file = jobs.table(&id).await.map_err(no_table)?;
        (PARQUET, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file))))
    } else {
        (JSON_LINES, Body::from_stream(lines(jobs.store(), id)))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

fn no_table(error: TableError) -> Error {
    match error {
        TableError::Store(error) => Error::Database(error),
        error => Error::internal(error),
    }
}

/// The lines of all tasks. Where the database fails in between, the transfer breaks off, so that nobody takes a part for
/// all.
fn lines(store: &Store, id: String) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let pages = store.job_results(&id).map_ok(|page| Bytes::from(page.concat()));
    pages.map_err(move |error| {
        tracing::error!(job = id, %error, "results break off");
        std::io::Error::other(error)
    })
}
