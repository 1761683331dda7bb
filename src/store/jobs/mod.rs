//! Bulk jobs as rows: adding them, asking after them, forgetting them. A [`Lease`] is how replicas share the work.
//!
//! A job is a row and its tasks. A `list` task finds the pictures and becomes `predict` tasks; the last of these that ends
//! adds the `write` task where the results have an address to go to, or ends the job.

mod lease;
mod rows;

use futures_util::{StreamExt as _, stream, stream::BoxStream};
use serde::Serialize;
use sqlx::{AnyConnection, Row as _, any::AnyRow};

pub use lease::{Given, Lease, Outcome};
pub use rows::{JobRow, JobState, NewJob, TaskKind};

use super::{Store, StoreError, statements};

/// Tasks that one statement adds.
const TASKS_OF_A_STATEMENT: usize = 200;
/// Tasks whose results one statement reads.
const RESULTS_OF_A_STATEMENT: i64 = 16;

/// What some tasks have, page by page, in the tasks' order.
pub type Texts = BoxStream<'static, Result<Vec<String>, StoreError>>;

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

/// A job that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldJob {
    /// Its id.
    pub id: String,
    /// When it ended, in milliseconds since 1970.
    pub finished_ms: i64,
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
            let mut transaction = self.begin().await?;
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

    /// A job's results in the order of its pictures, some tasks' lines at a time.
    ///
    /// # Errors
    /// A database that fails; then the stream ends.
    pub fn job_results(&self, id: &str) -> Texts {
        self.texts(statements::RESULTS, id)
    }

    /// The pictures of a job's tasks, as JSON arrays, some tasks' at a time.
    ///
    /// # Errors
    /// As [`Self::job_results`].
    pub fn job_pictures(&self, id: &str) -> Texts {
        self.texts(statements::TASK_PICTURES, id)
    }

    fn texts(&self, statement: statements::Statement, id: &str) -> Texts {
        let pages = stream::try_unfold(
            (self.clone(), id.to_owned(), -1_i64),
            move |(store, id, after): (Self, String, i64)| async move {
                let query = sqlx::query(store.sql(statement)).bind(&id).bind(after).bind(RESULTS_OF_A_STATEMENT);
                let rows = store.within(query.fetch_all(&store.read)).await?;
                let read = |row: &AnyRow| Ok((row.try_get("task")?, row.try_get("results")?));
                let read = |row| read(row).map_err(|error: sqlx::Error| StoreError::row("result", error));
                let page: Vec<(i64, String)> = rows.iter().map(read).collect::<Result<_, _>>()?;
                let Some(&(last, _)) = page.last() else { return Ok(None) };
                Ok(Some((page.into_iter().map(|(_, text)| text).collect(), (store, id, last))))
            },
        );
        pages.boxed()
    }

    /// Some jobs that ended before a time, the first to end first: those behind `after`, or the first of all.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn old_jobs(&self, before_ms: i64, after: Option<&OldJob>, most: i64) -> Result<Vec<OldJob>, StoreError> {
        let (after_ms, after_id) = after.map_or((i64::MIN, ""), |job| (job.finished_ms, &job.id));
        let query =
            sqlx::query(self.sql(statements::OLD_JOBS)).bind(before_ms).bind(after_ms).bind(after_id).bind(most);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        let read = |row: &AnyRow| Ok(OldJob { id: row.try_get("id")?, finished_ms: row.try_get("finished_ms")? });
        rows.iter().map(|row| read(row).map_err(|error: sqlx::Error| StoreError::row("job", error))).collect()
    }

    /// Deletes a job with its tasks and results.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn forget_job(&self, id: &str) -> Result<(), StoreError> {
        let (tasks, job) = (self.sql(statements::FORGET_TASKS), self.sql(statements::FORGET_JOB));
        self.within(async {
            let mut transaction = self.begin().await?;
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
