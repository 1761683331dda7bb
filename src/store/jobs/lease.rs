//! How replicas share the work: each leases a task, renews the lease while it works, and finishes or returns it.
//!
//! A lease is worth something only while the row says so: finishing a task whose lease went to somebody else changes
//! nothing, so each picture has one result, whatever replica is slow, cut off or killed. All times are the database's.
//!
//! Plain rows rather than the crate `apalis`: its tables have a schema and migrations of their own, which rename columns under
//! servers of the version before (`metadata`, 1.0.0), while a rolling update has both on one database; its SQLite back
//! end writes through connections of its own beside the one that this store writes through; and a task's results are to be
//! committed together with its end.

use std::time::Duration;

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{NewTask, TaskKind, add, batches};
use crate::store::{Store, StoreError, statements};

/// A task in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: String,
    /// The task's number in it.
    pub task: i64,
    /// What it is.
    pub kind: TaskKind,
    /// The pictures of a `predict` task, as JSON.
    pub pictures: Option<String>,
    /// How often it was taken, this time included.
    pub attempts: i64,
    /// Whose it is: different for every lease.
    holder: String,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pictures were found: so many, in these parts.
    Listed {
        /// Pictures.
        total: i64,
        /// Each a `predict` task.
        parts: Vec<String>,
    },
    /// Pictures have their results.
    Predicted {
        /// Pictures that are answered.
        answered: i64,
        /// Pictures that cannot be.
        failed: i64,
        /// One JSON object a line, with a line break after each.
        results: String,
    },
    /// The results were written.
    Written,
}

/// Why a task is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// It failed, and is to be tried again after a pause.
    Failed {
        /// Why.
        reason: String,
        /// How long nobody takes it.
        pause: Duration,
    },
    /// The server stops.
    Unbegun,
}

impl Store {
    /// Takes the first task that nobody works on, for so long. `loaded` are the versions that can answer here, as
    /// `model/version`.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn lease_task(&self, loaded: &[String], time: Duration) -> Result<Option<Lease>, StoreError> {
        let holder = uuid::Uuid::new_v4().to_string();
        let loaded = serde_json::to_string(loaded).map_err(|error| StoreError::row("lease", error))?;
        let query = sqlx::query(self.sql(statements::LEASE_TASK)).bind(&holder).bind(ms(time)).bind(loaded);
        let row = self.within(query.fetch_optional(&self.write)).await?;
        row.map(|row| read(&row, holder)).transpose()
    }

    /// Holds a task for so long from now on; false where it is no longer ours, or its job is at an end.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn renew_lease(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        let query = sqlx::query(self.sql(statements::RENEW_LEASE)).bind(&lease.job).bind(lease.task);
        let query = query.bind(&lease.holder).bind(ms(time));
        Ok(self.within(query.execute(&self.write)).await?.rows_affected() == 1)
    }

    /// Gives a task back.
    ///
    /// # Errors
    /// A database that fails; then the lease runs out by itself.
    pub async fn release_task(&self, lease: &Lease, given: &Given) -> Result<(), StoreError> {
        let (pause, taken_back, reason) = match given {
            Given::Failed { reason, pause } => (ms(*pause), 0_i64, Some(storable(reason))),
            Given::Unbegun => (0, 1, None),
        };
        let query = sqlx::query(self.sql(statements::RELEASE_TASK)).bind(&lease.job).bind(lease.task);
        let query = query.bind(&lease.holder).bind(pause).bind(taken_back).bind(reason);
        self.within(query.execute(&self.write)).await.map(|_| ())
    }

    /// Ends a task with what came of it, and the job with its last one. False where it is no longer ours, or its job is at
    /// an end; then nothing has changed.
    ///
    /// # Errors
    /// A database that fails; then nothing has changed, or all of it.
    pub async fn finish_task(&self, lease: &Lease, outcome: &Outcome) -> Result<bool, StoreError> {
        let (answered, failed, results) = match outcome {
            Outcome::Predicted { answered, failed, results } => (*answered, *failed, Some(results)),
            Outcome::Listed { .. } | Outcome::Written => (0, 0, None),
        };
        let new = match outcome {
            Outcome::Listed { parts, .. } => batches(&NewTask::predict(parts.iter().cloned()))?,
            Outcome::Predicted { .. } | Outcome::Written => Vec::new(),
        };
        let (hold, finish) = (self.sql(statements::HOLD_JOB), self.sql(statements::FINISH_TASK));
        self.within(async {
            let mut transaction = self.begin().await?;
            let held = sqlx::query(hold).bind(&lease.job).execute(&mut *transaction).await?.rows_affected() == 1;
            let query = sqlx::query(finish).bind(&lease.job).bind(lease.task).bind(&lease.holder);
            let query = query.bind(answered).bind(failed).bind(results);
            if !held || query.execute(&mut *transaction).await?.rows_affected() == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            if let Outcome::Listed { total, .. } = outcome {
                let query = sqlx::query(self.sql(statements::SET_TOTAL)).bind(&lease.job).bind(total);
                query.execute(&mut *transaction).await?;
                add(&mut transaction, self.sql(statements::ADD_TASKS), &lease.job, new).await?;
            }
            self.go_on(&mut transaction, &lease.job).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Ends a job that cannot be done.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn fail_job(&self, id: &str, reason: &str) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql(statements::END_JOB)).bind(id).bind("failed").bind(storable(reason));
        self.within(query.execute(&self.write)).await.map(|_| ())
    }

    /// Where no task is open: adds the one that writes the results, or ends the job.
    async fn go_on(&self, connection: &mut AnyConnection, job: &str) -> Result<(), sqlx::Error> {
        let open = sqlx::query(self.sql(statements::OPEN_TASKS)).bind(job).fetch_one(&mut *connection).await?;
        if open.try_get::<i64, _>("tasks")? > 0 {
            return Ok(());
        }
        let last = sqlx::query(self.sql(statements::LAST_TASK)).bind(job).fetch_one(&mut *connection).await?;
        let (task, kind): (i64, String) = (last.try_get("task")?, last.try_get("kind")?);
        let writes = last.try_get::<Option<String>, _>("output")?.is_some();
        if writes && kind != "write" {
            let write = [NewTask { task: task + 1, kind: TaskKind::Write, pictures: None }];
            let batches = batches(&write).map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
            return add(connection, self.sql(statements::ADD_TASKS), job, batches).await;
        }
        let query = sqlx::query(self.sql(statements::END_JOB)).bind(job).bind("completed").bind(None::<String>);
        query.execute(&mut *connection).await.map(|_| ())
    }
}

/// A text that may hold a picture's name, as PostgreSQL takes it.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn read(row: &AnyRow, holder: String) -> Result<Lease, StoreError> {
    let wrong = |error: sqlx::Error| StoreError::row("task", error);
    let kind: String = row.try_get("kind").map_err(wrong)?;
    Ok(Lease {
        job: row.try_get("job_id").map_err(wrong)?,
        task: row.try_get("task").map_err(wrong)?,
        kind: TaskKind::of(&kind).ok_or_else(|| StoreError::row("task", format!("its kind is {kind:?}")))?,
        pictures: row.try_get("pictures").map_err(wrong)?,
        attempts: row.try_get("attempts").map_err(wrong)?,
        holder,
    })
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
