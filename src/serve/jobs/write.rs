//! Results on their way out: from the database to an address.

use futures_util::TryStreamExt as _;
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt as _;

use super::{Address, Stores, table::write_table};
use crate::store::{Store, jobs::JobRow};

pub(super) struct Writer<'a> {
    pub(super) store: &'a Store,
    pub(super) stores: &'a Stores,
}

impl Writer<'_> {
    /// Writes all results of a job. What was there before is replaced, once all is written.
    ///
    /// # Errors
    /// A database or an object store that fails.
    pub(super) async fn write(&self, job: &JobRow, address: &Address) -> Result<(), String> {
        let (store, path) = self.stores.open(address)?;
        let mut output = BufWriter::new(store, path);
        let written = match job.job.format.as_str() {
            "parquet" => self.write_table(job, &mut output).await,
            _ => self.write_lines(job, &mut output).await,
        };
        match written {
            Ok(()) => output.shutdown().await.map_err(|error| format!("{address}: {error}")),
            Err(reason) => {
                // Parts that were uploaded cost money until they are thrown away.
                let _ = output.abort().await;
                Err(format!("{address}: {reason}"))
            }
        }
    }

    async fn write_lines(&self, job: &JobRow, output: &mut BufWriter) -> Result<(), String> {
        let mut pages = self.store.job_results(&job.job.id);
        while let Some(page) = pages.try_next().await.map_err(|error| error.to_string())? {
            for lines in page {
                output.write_all(lines.as_bytes()).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    async fn write_table(&self, job: &JobRow, output: &mut BufWriter) -> Result<(), String> {
        let file = write_table(self.store, &job.job.id).await.map_err(|error| error.to_string())?;
        let mut file = tokio::fs::File::from_std(file);
        tokio::io::copy(&mut file, output).await.map(|_| ()).map_err(|error| error.to_string())
    }
}
