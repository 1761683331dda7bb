//! Opening a database: made, migrated, shared, and what is said where that cannot be.

use std::process::Command;

use sqlx::Executor as _;
use tagpoint::store::{Dialect, Store, statements};

use crate::helpers::{App, database::TestDatabase, models};

on_both_databases!(
    every_statement_is_one_of_this_database,
    several_processes_that_begin_at_once_migrate_once,
    a_newer_programs_schema_does_not_stop_an_older_program,
    a_database_of_something_else_is_refused_with_its_name,
);

async fn every_statement_is_one_of_this_database(database: TestDatabase) {
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let mut connection = store.pool().acquire().await.unwrap();
    assert!(statements::ALL.len() >= 4);
    for statement in statements::ALL {
        let prepared = connection.prepare(sqlx::SqlSafeStr::into_sql_str(statement.sql(store.dialect()))).await;
        assert!(prepared.is_ok(), "{}: {}", statement.name, prepared.err().unwrap());
    }
}

async fn several_processes_that_begin_at_once_migrate_once(database: TestDatabase) {
    let opening = (0..6).map(|_| {
        let setting = database.setting();
        tokio::spawn(async move { Store::open(&setting).await.unwrap().unwrap() })
    });
    for task in opening.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap().keys().await.unwrap(), []);
    }
}

/// A rolling update: the new program has migrated, and the old one starts again.
async fn a_newer_programs_schema_does_not_stop_an_older_program(database: TestDatabase) {
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let (bytes, now) = match store.dialect() {
        Dialect::Sqlite => ("x'00'", "CURRENT_TIMESTAMP"),
        Dialect::Postgres => ("'\\x00'::bytea", "now()"),
    };
    let newer = format!(
        "CREATE TABLE of_a_newer_program (id TEXT PRIMARY KEY);
         ALTER TABLE api_keys ADD COLUMN of_a_newer_program TEXT;
         INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'newer', {now}, TRUE, {bytes}, 0);"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(newer)).execute(store.pool()).await.unwrap();
    // The one that runs and the one that starts.
    assert_eq!(store.keys().await.unwrap(), []);
    let app =
        App::start_with(&[("colours", &models::colours())], |settings| settings.database = database.setting()).await;
    assert_eq!(app.get("/readyz").await.status(), 200);
}

async fn a_database_of_something_else_is_refused_with_its_name(database: TestDatabase) {
    let mut connection = database.connect().await;
    sqlx::raw_sql("CREATE TABLE api_keys (a INTEGER)").execute(&mut connection).await.unwrap();
    let error = Store::open(&database.setting()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be migrated") && error.contains("api_keys"), "{error}");
}

#[tokio::test]
async fn a_sqlite_file_is_made_in_a_folder_that_is_made_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b c/100%?#.db");
    let store = Store::open(&tagpoint::store::Database::Sqlite(path.clone())).await.unwrap().unwrap();
    assert_eq!(store.keys().await.unwrap(), []);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(store.pool()).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "this is text").unwrap();
    // The system's own folder takes no file, whoever asks; a file is no folder; text is no database.
    for (place, expected) in [("/proc/tagpoint.db", "/proc/tagpoint.db"), ("file/x.db", "file/x.db"), ("file", "file")]
    {
        let place = folder.path().join(place);
        let output = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database"])
            .arg(&place)
            .env("TAGPOINT_MODELS", folder.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected) && said.contains("cannot be opened"), "{said}");
        assert!(said.contains("--database FILE") && said.contains("--database none"), "{said}");
    }
}

#[tokio::test]
async fn without_a_setting_the_database_lies_where_programs_keep_their_state() {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .args(["keys", "list"])
        .env("XDG_STATE_HOME", state.path())
        .env_remove("STATE_DIRECTORY")
        .env_remove("TAGPOINT_DATABASE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(state.path().join("tagpoint/tagpoint.db").is_file());
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_is_said_without_the_password() {
    let database = TestDatabase::postgres().await;
    let address = database.address.replace("tagpoint@", "nobody:open-sesame@");
    assert_ne!(address, database.address);
    let error = Store::open(&address.parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached") && error.contains("nobody") && !error.contains("sesame"), "{error}");
}
