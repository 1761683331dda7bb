//! What can be wrong with a database.

use std::path::{Path, PathBuf};

/// Why the store does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A SQLite file that cannot be made or opened.
    #[error(
        "the database {} cannot be opened: {reason}. Name a file that can be written with --database FILE \
         (TAGPOINT_DATABASE), or do without a database with --database none",
        .path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A server that cannot be reached, or does not let us in.
    #[error(
        "the database {place} cannot be reached: {reason}. See that it runs and that --database (TAGPOINT_DATABASE) \
         names its host, user, password and database"
    )]
    Unreachable {
        /// Where, without a password.
        place: String,
        /// Why.
        reason: String,
    },
    /// A schema that cannot be brought up to this program's.
    #[error("the database {place} cannot be migrated: {reason}")]
    Migration {
        /// Where, without a password.
        place: String,
        /// Why.
        reason: String,
    },
    /// A statement that failed.
    #[error("the database {place} failed: {reason}")]
    Database {
        /// Where, without a password.
        place: String,
        /// Why.
        reason: String,
    },
    /// A statement that took too long.
    #[error("the database {place} has not answered for {after_s} s")]
    Slow {
        /// Where, without a password.
        place: String,
        /// How long it had.
        after_s: u64,
    },
    /// Something of this name is there already.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Pictures that cannot be kept, read or deleted.
    #[error("pictures in {place}: {reason}")]
    Pictures {
        /// Where they are.
        place: String,
        /// Why.
        reason: String,
    },
    /// What a table says makes no sense to this program.
    #[error("the database has a {what} that cannot be read: {reason}")]
    Row {
        /// What it is.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn database(place: &str, error: sqlx::Error) -> Self {
        Self::Database { place: place.to_owned(), reason: error.to_string() }
    }

    pub(super) fn row(what: &'static str, reason: impl ToString) -> Self {
        Self::Row { what, reason: reason.to_string() }
    }
}
