//! Results on their way out: from the database to an address.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, path::Path};
use tokio::task::JoinSet;
use tokio_util::io::ReaderStream;

use super::{Address, Jobs};
use crate::store::jobs::JobRow;

/// Bytes of a part; what has fewer in all is written as a whole.
const PART: usize = 10 << 20;
/// Parts that are on their way at a time.
const PARTS_AT_ONCE: usize = 4;
/// Bytes that are read of a table at a time.
const READ: usize = 1 << 20;
/// The longest that a worker, or a server that stops, waits for an upload to be thrown away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Results as they are written. What was uploaded in parts costs money until it is whole, or thrown away with [`Self::abort`].
#[derive(Debug)]
pub(super) struct Output {
    address: Address,
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// Less than a part.
    buffer: Vec<u8>,
    /// Once there is more than that.
    upload: Option<Box<dyn MultipartUpload>>,
    /// Parts on their way; dropping it ends them.
    parts: JoinSet<object_store::Result<()>>,
}

/// Writes all results of a job. What was there before is replaced, once all is written. Whoever drops this before its end finds
/// in `unfinished` what is to be aborted.
///
/// # Errors
/// A database or an object store that fails.
pub(super) async fn write(
    jobs: &Jobs,
    job: &JobRow,
    address: &Address,
    unfinished: &mut Option<Output>,
) -> Result<(), String> {
    let (store, path) = jobs.0.stores.open(address)?;
    let (address, buffer, upload, parts) = (address.clone(), Vec::new(), None, JoinSet::new());
    let output = unfinished.insert(Output { address, store, path, buffer, upload, parts });
    let written = match job.job.format.as_str() {
        "parquet" => write_table(jobs, job, output).await,
        _ => write_lines(jobs, job, output).await,
    };
    let finished = match written {
        Ok(()) => output.finish().await,
        Err(reason) => Err(reason),
    };
    match (finished, unfinished.take()) {
        (Err(reason), Some(output)) => {
            let reason = format!("{}: {reason}", output.address);
            output.abort().await;
            Err(reason)
        }
        (finished, _) => finished,
    }
}

async fn write_lines(jobs: &Jobs, job: &JobRow, output: &mut Output) -> Result<(), String> {
    let mut pages = jobs.store().job_results(&job.job.id);
    while let Some(page) = pages.try_next().await.map_err(|error| error.to_string())? {
        for lines in page {
            output.write(lines.as_bytes()).await?;
        }
    }
    Ok(())
}

async fn write_table(jobs: &Jobs, job: &JobRow, output: &mut Output) -> Result<(), String> {
    let file = jobs.table(&job.job.id).await.map_err(|error| error.to_string())?;
    let mut chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), READ);
    while let Some(chunk) = chunks.try_next().await.map_err(|error| error.to_string())? {
        output.write(&chunk).await?;
    }
    Ok(())
}

impl Output {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let rest = self.buffer.split_off(PART);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.send(part).await?;
        }
        Ok(())
    }

    /// Sends a part, and waits while others are on their way.
    async fn send(&mut self, part: Vec<u8>) -> Result<(), String> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.store.put_multipart(&self.path).await.map_err(|error| error.to_string())?),
        };
        self.parts.spawn(upload.put_part(part.into()));
        self.wait_for_parts(PARTS_AT_ONCE).await
    }

    /// Waits until fewer parts than so many are on their way.
    async fn wait_for_parts(&mut self, many: usize) -> Result<(), String> {
        while self.parts.len() >= many
            && let Some(sent) = self.parts.join_next().await
        {
            sent.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Makes it whole.
    async fn finish(&mut self) -> Result<(), String> {
        let last = std::mem::take(&mut self.buffer);
        if self.upload.is_none() {
            return self.store.put(&self.path, last.into()).await.map(|_| ()).map_err(|error| error.to_string());
        }
        if !last.is_empty() {
            self.send(last).await?;
        }
        self.wait_for_parts(1).await?;
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.complete().await.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Throws away what was uploaded.
    pub(super) async fn abort(mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let aborted = tokio::time::timeout(PATIENCE, async {
            // A part that came after the end would stay.
            self.parts.shutdown().await;
            upload.abort().await
        });
        let left = match aborted.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::warn!(address = %self.address, reason = left, "parts of a job's results stay in the store");
    }
}
