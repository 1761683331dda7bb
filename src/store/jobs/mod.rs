//! Bulk jobs as rows: adding them, asking after them, forgetting them. A [`Lease`] is how replicas share the work.
//!
//! A job is a row and its tasks. A `list` task finds the pictures and becomes `predict` tasks; the last of these that ends
//! adds the `write` task where the results have an address to go to, or ends the job.

mod lease;
mod rows;

use std::time::Duration;

use serde::Serialize;
use sqlx::{AnyConnection, Row as _};

pub use lease::{Given, Lease, Outcome};
pub use rows::{JobRow, JobState, NewJob, TaskKind};

use super::{Store, StoreError, now_ms, statements};

/// Tasks that one statement adds.
const TASKS_OF_A_STATEMENT: usize = 200;
/// Tasks whose results one statement reads.
const RESULTS_OF_A_STATEMENT: i64 = 16;

/// Some pictures of a job, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewTask {
    /// Its number in the job.
    pub task: i64,
    /// What it is.
    pub kind: TaskKind,
    /// The pictures of a `predict` task.
    pub pictures: Option<String>,
}

impl NewTask {
    /// `predict` tasks from 1 on, one for each part.
    pub fn predict(parts: impl IntoIterator<Item = String>) -> Vec<Self> {
        let tasks = (1..).zip(parts);
        tasks.map(|(task, pictures)| Self { task, kind: TaskKind::Predict, pictures: Some(pictures) }).collect()
    }
}

impl Store {
    /// Adds a job whose pictures are known, as `predict` tasks; or whose pictures are to be listed, where there are none.
    ///
    /// # Errors
    /// A database that fails; then nothing was added.
    pub async fn add_job(&self, job: &NewJob, total: i64, parts: Vec<String>) -> Result<(), StoreError> {
        let listed = !parts.is_empty();
        let tasks = match listed {
            true => NewTask::predict(parts),
            false => vec![NewTask { task: 0, kind: TaskKind::List, pictures: None }],
        };
        let batches = batches(&tasks)?;
        let (add_job, add_tasks) = (self.sql(statements::ADD_JOB), self.sql(statements::ADD_TASKS));
        self.within(async {
            let mut transaction = self.write.begin().await?;
            let query = sqlx::query(add_job).bind(&job.id).bind(&job.author).bind(&job.model).bind(job.version);
            let query = query.bind(&job.selection).bind(&job.source).bind(&job.output).bind(&job.format);
            query.bind("queued").bind(listed.then_some(total)).execute(&mut *transaction).await?;
            add(&mut transaction, add_tasks, &job.id, batches).await?;
            transaction.commit().await
        })
        .await
    }

    /// A job.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>, StoreError> {
        let query = sqlx::query(self.sql(statements::JOB)).bind(id);
        let row = self.within(query.fetch_optional(&self.read)).await?;
        row.as_ref().map(JobRow::read).transpose()
    }

    /// The newest jobs: of one author, or of all.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn jobs(&self, author: Option<&str>, most: i64) -> Result<Vec<JobRow>, StoreError> {
        let query = sqlx::query(self.sql(statements::JOBS)).bind(author).bind(most);
        self.within(query.fetch_all(&self.read)).await?.iter().map(JobRow::read).collect()
    }

    /// Ends a job that is not at an end; false where it is.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn cancel_job(&self, id: &str) -> Result<bool, StoreError> {
        let query = sqlx::query(self.sql(statements::END_JOB)).bind(id).bind("cancelled").bind(None::<String>);
        Ok(self.within(query.execute(&self.write)).await?.rows_affected() == 1)
    }

    /// The results of the tasks after one, a page of them: each task's number, and its lines. None are left where the page
    /// is empty.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn job_results(&self, id: &str, after: i64) -> Result<Vec<(i64, String)>, StoreError> {
        self.texts(statements::RESULTS, id, after).await
    }

    /// The pictures of the tasks after one, as [`Self::job_results`].
    ///
    /// # Errors
    /// A database that fails.
    pub async fn job_pictures(&self, id: &str, after: i64) -> Result<Vec<(i64, String)>, StoreError> {
        self.texts(statements::TASK_PICTURES, id, after).await
    }

    async fn texts(
        &self,
        statement: statements::Statement,
        id: &str,
        after: i64,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let query = sqlx::query(self.sql(statement)).bind(id).bind(after).bind(RESULTS_OF_A_STATEMENT);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        let read = |row: &sqlx::any::AnyRow| Ok((row.try_get("task")?, row.try_get("results")?));
        rows.iter().map(|row| read(row).map_err(|error: sqlx::Error| StoreError::row("result", error))).collect()
    }

    /// Some jobs that ended so long ago.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn old_jobs(&self, keep: Duration, most: i64) -> Result<Vec<String>, StoreError> {
        let before = now_ms().saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        let query = sqlx::query(self.sql(statements::OLD_JOBS)).bind(before).bind(most);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        rows.iter().map(|row| row.try_get("id").map_err(|error| StoreError::row("job", error))).collect()
    }

    /// Deletes a job with its tasks and results.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn forget_job(&self, id: &str) -> Result<(), StoreError> {
        let (tasks, job) = (self.sql(statements::FORGET_TASKS), self.sql(statements::FORGET_JOB));
        self.within(async {
            let mut transaction = self.write.begin().await?;
            sqlx::query(tasks).bind(id).execute(&mut *transaction).await?;
            sqlx::query(job).bind(id).execute(&mut *transaction).await?;
            transaction.commit().await
        })
        .await
    }
}

/// Tasks as JSON arrays that a statement takes.
fn batches(tasks: &[NewTask]) -> Result<Vec<String>, StoreError> {
    let json = |tasks: &[NewTask]| serde_json::to_string(tasks).map_err(|error| StoreError::row("task", error));
    tasks.chunks(TASKS_OF_A_STATEMENT).map(json).collect()
}

async fn add(
    connection: &mut AnyConnection,
    add_tasks: &'static str,
    job: &str,
    batches: Vec<String>,
) -> Result<(), sqlx::Error> {
    for batch in batches {
        sqlx::query(add_tasks).bind(job).bind(batch).execute(&mut *connection).await?;
    }
    Ok(())
}
