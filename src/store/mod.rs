//! The database: what outlives a server and is shared by its replicas.
//!
//! [`Store::open`] takes a SQLite file or a PostgreSQL server, creates or migrates the schema (`migrations`), and gives
//! what each part of the store is asked through: [`keys`], [`predictions`], [`feedback`],
//! [`thresholds`], [`jobs`]. [`Pictures`] is beside it, in a folder or in
//! object storage. Every statement stands in [`statements`]. Nothing here knows
//! HTTP; a server's way to run without waiting for a database is the server's.

mod address;
mod error;
pub mod feedback;
pub mod jobs;
pub mod keys;
mod migrations;
mod open;
mod pictures;
pub mod predictions;
pub mod statements;
pub mod thresholds;

use std::{
    future::Future,
    time::{Duration, SystemTime},
};

use sqlx::{Any, AnyPool, Transaction};

pub use address::{Database, PostgresUrl};
pub use error::StoreError;
pub use pictures::Pictures;
use statements::Statement;

/// The longest that one statement or transaction may take. A server that hangs must not hold its users. PostgreSQL ends a
/// statement after as long, so that one that nobody waits for any more does not keep its connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that closing may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// An open database. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    /// Where it is, for messages, without a password.
    place: String,
    /// What it is called among all databases, wherever it is.
    id: String,
    /// Connections that read what somebody asks for, which may take its time.
    read: AnyPool,
    /// Connections that write: one, for SQLite, so that nothing of this process waits for SQLite's lock.
    write: AnyPool,
    /// The connection of what a server asks every second: neither readers nor writers keep it from its keys.
    look: AnyPool,
}

impl Store {
    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connections that read, for tests that look at the tables themselves.
    pub fn pool(&self) -> &AnyPool {
        &self.read
    }

    /// What it is called among all databases: drawn when it was made, and the same by whatever address it is reached.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is, without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Waits a little for what runs, and closes every connection. Later calls fail.
    pub async fn close(&self) {
        let close = async {
            self.write.close().await;
            self.look.close().await;
            self.read.close().await;
        };
        // A server that hangs is left to notice by itself.
        let _ = tokio::time::timeout(GOODBYE, close).await;
    }

    fn sql(&self, statement: Statement) -> &'static str {
        statement.sql(self.dialect)
    }

    /// Begins a transaction.
    ///
    /// In a task of its own, which goes on where its answer is no longer waited for: SQLx counts a transaction on PostgreSQL
    /// from the answer to `BEGIN` on. Dropped before it, the connection would go back to the pool within a transaction that
    /// nobody ends, and what is written through it later would never be committed.
    async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let pool = self.write.clone();
        let begun = tokio::spawn(async move { pool.begin().await });
        begun.await.map_err(|error| sqlx::Error::Protocol(error.to_string()))?
    }

    /// Waits for an answer of the database for so long, and no longer.
    async fn within<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(outcome) => outcome.map_err(|error| StoreError::database(&self.place, error)),
            Err(_) => Err(StoreError::Slow { place: self.place.clone(), after_s: PATIENCE.as_secs() }),
        }
    }
}

/// Milliseconds since 1970 (UTC), as every table has its times.
pub fn now_ms() -> i64 {
    ms_of(SystemTime::now())
}

/// The end of the year 9999, the last that RFC 3339 can write.
pub const LAST_MS: i64 = 253_402_300_799_999;

/// A time of a table as text, to the second: `2026-05-04T12:00:00Z`. Times before 1970 and after 9999 are the nearest between.
pub fn timestamp(ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(ms.min(LAST_MS)).unwrap_or_default());
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}

/// A time as tables have it.
pub fn ms_of(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
