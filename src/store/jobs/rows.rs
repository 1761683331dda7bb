//! What the tables of jobs have in their columns.

use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};

use crate::store::StoreError;

/// A job that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// A UUID of version 7.
    pub id: String,
    /// The name of the key that asked for it.
    pub author: Option<String>,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// Which labels are answered, as JSON.
    pub selection: String,
    /// Where the pictures come from: `zip`, `urls`, or the address that they lie below.
    pub source: String,
    /// Where the results go, besides the database.
    pub output: Option<String>,
    /// Of that: `jsonl` or `parquet`.
    pub format: String,
}

/// A job as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// What was asked for.
    pub job: NewJob,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// How far it is.
    pub state: JobState,
    /// Pictures; none while they are not listed.
    pub total: Option<i64>,
    /// Those that are answered.
    pub answered: i64,
    /// Those that cannot be.
    pub failed: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// When the first task was done.
    pub started_ms: Option<i64>,
    /// When it came to an end.
    pub finished_ms: Option<i64>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Nothing of it is done.
    Queued,
    /// Some of it is.
    Running,
    /// All of it is; single pictures may have failed.
    Completed,
    /// It cannot be done; `error` says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl JobState {
    /// Whether nothing is done any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(name: &str) -> Option<Self> {
        let all = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// What a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Find the pictures.
    List,
    /// Answer some of them.
    Predict,
    /// Write all results to their address.
    Write,
}

impl TaskKind {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "list" => Some(Self::List),
            "predict" => Some(Self::Predict),
            "write" => Some(Self::Write),
            _ => None,
        }
    }
}

impl JobRow {
    pub(super) fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let wrong = |error: sqlx::Error| StoreError::row("job", error);
        let state: String = row.try_get("state").map_err(wrong)?;
        let state = JobState::of(&state).ok_or_else(|| StoreError::row("job", format!("its state is {state:?}")))?;
        let read = || -> Result<Self, sqlx::Error> {
            Ok(Self {
                job: NewJob {
                    id: row.try_get("id")?,
                    author: row.try_get("author")?,
                    model: row.try_get("model")?,
                    version: row.try_get("version")?,
                    selection: row.try_get("selection")?,
                    source: row.try_get("source")?,
                    output: row.try_get("output")?,
                    format: row.try_get("format")?,
                },
                created_ms: row.try_get("created_ms")?,
                state,
                total: row.try_get("total")?,
                answered: row.try_get("answered")?,
                failed: row.try_get("failed")?,
                error: row.try_get("error")?,
                started_ms: row.try_get("started_ms")?,
                finished_ms: row.try_get("finished_ms")?,
            })
        };
        read().map_err(wrong)
    }
}
