//! The schema, as files that are only ever added to: each applies once, in order, and is never changed or undone.
//!
//! During a rolling update a server of the version before runs on the new schema. So a migration adds tables, or
//! columns that may be absent, and takes away only what no server of the version before uses.

use std::time::Duration;

use sqlx::{
    AnyPool, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::Dialect;

/// (version, what it is for, SQLite's text, PostgreSQL's text).
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "keys",
        include_str!("../../migrations/sqlite/0001_keys.sql"),
        include_str!("../../migrations/postgres/0001_keys.sql"),
    ),
    (
        2,
        "predictions",
        include_str!("../../migrations/sqlite/0002_predictions.sql"),
        include_str!("../../migrations/postgres/0002_predictions.sql"),
    ),
    (
        3,
        "feedback",
        include_str!("../../migrations/sqlite/0003_feedback.sql"),
        include_str!("../../migrations/postgres/0003_feedback.sql"),
    ),
    (
        4,
        "thresholds",
        include_str!("../../migrations/sqlite/0004_thresholds.sql"),
        include_str!("../../migrations/postgres/0004_thresholds.sql"),
    ),
    (
        5,
        "jobs",
        include_str!("../../migrations/sqlite/0005_jobs.sql"),
        include_str!("../../migrations/postgres/0005_jobs.sql"),
    ),
    (
        6,
        "forgotten_pictures",
        include_str!("../../migrations/sqlite/0006_forgotten_pictures.sql"),
        include_str!("../../migrations/postgres/0006_forgotten_pictures.sql"),
    ),
    (
        7,
        "this_database",
        include_str!("../../migrations/sqlite/0007_this_database.sql"),
        include_str!("../../migrations/postgres/0007_this_database.sql"),
    ),
];

/// Times that processes that begin with one empty SQLite file may come in each other's way.
const ATTEMPTS: u32 = 5;

/// Brings the schema up to this program's. Migrations of newer programs are left as they are.
pub(super) async fn run(pool: &AnyPool, dialect: Dialect) -> Result<(), MigrateError> {
    let mut attempt = 1;
    loop {
        match migrator(dialect).run(pool).await {
            // PostgreSQL has a lock for it. SQLite has none: the one that came second finds everything done.
            Err(_) if dialect == Dialect::Sqlite && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => return outcome,
        }
    }
}

fn migrator(dialect: Dialect) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sqlite, postgres)| {
        let sql = match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        };
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_both_folders_is_applied_in_order() {
        for (dialect, folder) in [(Dialect::Sqlite, "sqlite"), (Dialect::Postgres, "postgres")] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let mut files: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let applied: Vec<String> = migrator(dialect)
                .iter()
                .map(|migration| format!("{:04}_{}.sql", migration.version, migration.description))
                .collect();
            assert_eq!(files, applied);
        }
    }
}
