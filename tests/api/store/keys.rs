//! Keys of the database: made, listed and revoked by the program, and held by every server on it.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use tagpoint::serve::parse_keys;

use crate::helpers::{App, database::TestDatabase, models, problem};

on_both_databases!(
    a_key_opens_what_its_scopes_say_until_it_is_revoked_on_every_replica,
    without_any_key_everybody_may_come_in_and_after_the_last_one_is_revoked_nobody,
    a_key_expires_and_its_rate_is_its_own,
    a_key_is_stored_hashed_and_its_last_use_is_noted,
    known_keys_go_on_working_while_the_database_is_away_for_the_time_that_is_set,
    names_are_used_once_and_mistakes_are_named,
);

fn keys(database: &TestDatabase, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .arg("keys")
        .args(arguments)
        .env("TAGPOINT_DATABASE", &database.address)
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// The output of a command that has to succeed.
async fn said(database: &TestDatabase, arguments: &[&str]) -> String {
    // Off the runtime's threads, which forward to PostgreSQL.
    let output = tokio::task::block_in_place(|| keys(database, arguments));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a command that has to fail says.
async fn refused(database: &TestDatabase, arguments: &[&str]) -> String {
    let output = tokio::task::block_in_place(|| keys(database, arguments));
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn server(database: &TestDatabase, grace_s: f64) -> App {
    App::start_with(&[("colours", &models::colours())], |settings| {
        settings.database = database.setting();
        settings.access.grace = Duration::from_secs_f64(grace_s);
    })
    .await
}

async fn asked(app: &App, key: &str) -> StatusCode {
    app.client.get(app.url("/v1/models")).bearer_auth(key).send().await.unwrap().status()
}

/// Waits for a status, at most so long.
async fn becomes(app: &App, key: &str, status: u16, most: Duration) {
    let began = Instant::now();
    loop {
        let found = asked(app, key).await;
        if found == status {
            return;
        }
        assert!(began.elapsed() < most, "{found}, not {status}, after {most:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ample for what a server does within two seconds where the machine has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(30);

async fn a_key_opens_what_its_scopes_say_until_it_is_revoked_on_every_replica(database: TestDatabase) {
    let website = said(&database, &["add", "website"]).await;
    let operator = said(&database, &["add", "operator", "--scope", "predict,admin"]).await;
    let replicas = [server(&database, 60.0).await, server(&database, 60.0).await];
    for app in &replicas {
        assert_eq!((asked(app, &website).await, asked(app, &operator).await), (StatusCode::OK, StatusCode::OK));
        let rescan = app.client.post(app.url("/v1/admin/rescan"));
        let refused = rescan.try_clone().unwrap().bearer_auth(&website).send().await.unwrap();
        problem(refused, 403, "forbidden").await;
        assert_eq!(rescan.bearer_auth(&operator).send().await.unwrap().status(), 200);
        problem(app.get("/v1/models").await, 401, "unauthorized").await;
    }
    // A key that is made while they run is taken too.
    let late = said(&database, &["add", "late"]).await;
    said(&database, &["revoke", "website"]).await;
    for app in &replicas {
        becomes(app, &website, 401, PATIENCE).await;
        becomes(app, &late, 200, PATIENCE).await;
        assert_eq!(asked(app, &operator).await, 200);
    }
}

async fn without_any_key_everybody_may_come_in_and_after_the_last_one_is_revoked_nobody(database: TestDatabase) {
    let app = server(&database, 60.0).await;
    assert_eq!(app.get("/v1/models").await.status(), 200);
    let key = said(&database, &["add", "only"]).await;
    becomes(&app, "another", 401, PATIENCE).await;
    assert_eq!(asked(&app, &key).await, 200);
    said(&database, &["revoke", "only"]).await;
    becomes(&app, &key, 401, PATIENCE).await;
    assert_eq!(app.get("/v1/models").await.status(), 401);
    // A server that starts now knows that there was one.
    assert_eq!(server(&database, 60.0).await.get("/v1/models").await.status(), 401);
}

async fn a_key_expires_and_its_rate_is_its_own(database: TestDatabase) {
    let short = said(&database, &["add", "short", "--expires-in", "1h"]).await;
    let slow = said(&database, &["add", "slow", "--rate", "0.001/2"]).await;
    let app = server(&database, 60.0).await;
    assert_eq!((asked(&app, &short).await, asked(&app, &slow).await), (StatusCode::OK, StatusCode::OK));
    let mut connection = database.connect().await;
    let sql = "SELECT expires_ms - created_ms FROM api_keys WHERE name = 'short'";
    assert_eq!(sqlx::query_as::<_, (i64,)>(sql).fetch_one(&mut connection).await.unwrap().0, 3_600_000);
    // The hour passes.
    let sql = "UPDATE api_keys SET expires_ms = 1 WHERE name = 'short'";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    becomes(&app, &short, 401, PATIENCE).await;
    let response = app.client.get(app.url("/v1/models")).bearer_auth(&short).send().await.unwrap();
    let body = problem(response, 401, "unauthorized").await;
    assert!(body["detail"].as_str().unwrap().contains("expired"), "{body}");
    // The keys were read again meanwhile, and the account is the same.
    assert_eq!((asked(&app, &slow).await, asked(&app, &slow).await), (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS));
    // Behind the year 9999, which RFC 3339 cannot write.
    let late = refused(&database, &["add", "late", "--expires-in", "9000years"]).await;
    assert!(late.contains("too far from now"), "{late}");
    let list = said(&database, &["list"]).await;
    assert!(list.contains("expired") && list.contains("0.001/2"), "{list}");
}

async fn a_key_is_stored_hashed_and_its_last_use_is_noted(database: TestDatabase) {
    let key = said(&database, &["add", "website"]).await;
    let mut connection = database.connect().await;
    let sql = "SELECT digest, id || name || scopes FROM api_keys";
    let (digest, text): (Vec<u8>, String) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(digest, parse_keys(&format!("website:predict:{key}")).unwrap()[0].digest());
    assert!(!text.contains(&key));
    assert!(said(&database, &["list"]).await.contains("never"));
    let app = server(&database, 60.0).await;
    assert_eq!(asked(&app, &key).await, 200);
    let began = Instant::now();
    while said(&database, &["list"]).await.contains("never") {
        assert!(began.elapsed() < Duration::from_secs(60));
    }
    // A server that stops tells what it has not told yet.
    let last = || async {
        let sql = "SELECT last_used_ms FROM api_keys";
        sqlx::query_as::<_, (i64,)>(sql).fetch_one(&mut database.connect().await).await.unwrap().0
    };
    let before = last().await;
    assert_eq!(asked(&app, &key).await, 200);
    app.stop.send(()).unwrap();
    app.task.await.unwrap().unwrap();
    assert!(last().await > before);
}

async fn known_keys_go_on_working_while_the_database_is_away_for_the_time_that_is_set(database: TestDatabase) {
    let key = said(&database, &["add", "website"]).await;
    let app = server(&database, 12.0).await;
    assert_eq!(asked(&app, &key).await, 200);
    database.go_away().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(asked(&app, &key).await, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    becomes(&app, &key, 503, Duration::from_secs(60)).await;
    let response = app.client.get(app.url("/v1/models")).bearer_auth(&key).send().await.unwrap();
    let body = problem(response, 503, "not-ready").await;
    assert!(body["detail"].as_str().unwrap().contains("database"), "{body}");
    assert_eq!(asked(&app, "a-key-that-nobody-knows").await, 401);
    database.come_back().await;
    becomes(&app, &key, 200, PATIENCE).await;
}

async fn names_are_used_once_and_mistakes_are_named(database: TestDatabase) {
    said(&database, &["add", "website"]).await;
    said(&database, &["revoke", "website"]).await;
    for (arguments, expected) in [
        (&["add", "website"][..], "a key \"website\" already"),
        (&["add", "a b"], "a name has"),
        (&["add", "x", "--scope", "everything"], "not a scope"),
        (&["add", "x", "--rate", "often"], "not a rate"),
        (&["revoke", "website"], "no key \"website\" that works"),
        (&["revoke", "nobody"], "no key \"nobody\" that works"),
        (&["list", "--database", "none"], "there is no database"),
    ] {
        let said = refused(&database, arguments).await;
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let list = said(&database, &["list"]).await;
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("revoked 20"), "{list}");
}
