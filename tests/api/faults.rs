//! Processes that are killed and disks that are full: what was acknowledged is there afterwards, what was not is clearly
//! not.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value, json};
use tagpoint::{
    model::ModelFile,
    store::{Database, Store},
};

use crate::helpers::{client, database::TestDatabase, models, pictures, program::Program, put_version};

/// Two versions of `colours`.
fn two_versions() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (version, bias) in [(1, -4.0), (2, -3.0)] {
        put_version(&folder.path().join("models"), "colours", version, &models::shifted_colours(bias));
    }
    folder
}

fn arguments(folder: &Path) -> Vec<String> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    ["--models", &path("models"), "--versions", "2", "--database", &path("test.db"), "--record-share", "1"]
        .map(str::to_owned)
        .to_vec()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The version that answers.
async fn answers(program: &Program, client: &Client) -> String {
    let url = program.url("/v1/models/colours/predict");
    let response = client.post(url).body(pictures::plain(4, 4, [255, 0, 0])).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json::<Value>().await.unwrap()["version"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_while_versions_change_answers_by_the_last_choice_that_was_acknowledged() {
    let folder = two_versions();
    let (arguments, client) = (arguments(folder.path()), client());
    let mut any_acknowledged = false;
    for round in 0..6_u64 {
        let program = Program::serve(&borrowed(&arguments), &[]);
        program.until_ready(&client).await;
        // The choice that was asked for last, and the one that was acknowledged last.
        let choices = Arc::new(Mutex::new((String::new(), String::new())));
        let url = program.url("/v1/admin/models/colours/versions");
        let (told, asking) = (Arc::clone(&choices), client.clone());
        let changes = tokio::spawn(async move {
            for version in ["1", "2"].into_iter().cycle() {
                told.lock().unwrap().0 = version.to_owned();
                let Ok(response) = asking.post(format!("{url}/{version}/promote")).send().await else { return };
                assert_eq!(response.status(), 200);
                told.lock().unwrap().1 = version.to_owned();
            }
        });
        tokio::time::sleep(Duration::from_millis(40 + 37 * round)).await;
        program.kill();
        changes.await.unwrap();
        let (asked, acknowledged) = choices.lock().unwrap().clone();

        let program = Program::serve(&borrowed(&arguments), &[]);
        program.until_ready(&client).await;
        let answering = answers(&program, &client).await;
        assert!(acknowledged.is_empty() || answering == acknowledged || answering == asked, "{answering}");
        let names = std::fs::read_dir(folder.path().join("models/colours")).unwrap();
        let whole = names.filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
        // Two versions and, once there was one, the choice.
        any_acknowledged |= !acknowledged.is_empty();
        let whole = whole.count();
        assert!(whole == 3 || !any_acknowledged && whole == 2, "{whole}");
    }
    assert!(any_acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_that_were_acknowledged_are_there_after_a_kill() {
    let folder = two_versions();
    let (arguments, client) = (arguments(folder.path()), client());
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let program = Program::serve(&borrowed(&arguments), &[]);
        program.until_ready(&client).await;
        let url = program.url("/v1/models/colours/predict");
        for shade in 0..4 + round {
            let picture = pictures::plain(4, 4, [255 - shade, 0, 0]);
            let answer: Value = client.post(&url).body(picture).send().await.unwrap().json().await.unwrap();
            let id = answer["prediction_id"].as_str().unwrap().to_owned();
            let feedback = program.url(&format!("/v1/predictions/{id}/feedback"));
            let response = client.post(feedback).json(&json!({"labels": ["red"]})).send().await.unwrap();
            assert_eq!(response.status(), 200);
            acknowledged.push(id);
        }
        program.kill();
    }
    let database = folder.path().join("test.db");
    let store = Store::open(&Database::Sqlite(database)).await.unwrap().unwrap();
    let sql = "SELECT feedback.prediction_id FROM feedback JOIN predictions ON predictions.id = feedback.prediction_id";
    let mut found: Vec<String> = sqlx::query_scalar(sql).fetch_all(store.pool()).await.unwrap();
    found.sort();
    acknowledged.sort();
    assert_eq!(found, acknowledged);
    let check: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.pool()).await.unwrap();
    assert_eq!(check, "ok");
}

/// Kills processes that make and migrate a database, each a little later than the one before.
async fn killed_while_migrating(databases: impl AsyncFn() -> TestDatabase) {
    for round in 0..12_u64 {
        let database = databases().await;
        for _ in 0..2 {
            let mut process = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
                .args(["keys", "list", "--database", &database.address])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(5 + 8 * round));
            process.kill().unwrap();
            process.wait().unwrap();
        }
        let store = Store::open(&database.setting()).await.expect("the database is whole");
        assert_eq!(store.unwrap().keys().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_migration_was_killed_is_whole_at_the_next_start() {
    killed_while_migrating(TestDatabase::sqlite).await;
    killed_while_migrating(TestDatabase::postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_pictures_are_answered_and_what_was_acknowledged_stays() {
    let folder = two_versions();
    let (arguments, client) = (arguments(folder.path()), client());
    // Room for the schema, and for a few answers.
    let program = Program::serve_on_a_full_disk(300, &borrowed(&arguments));
    program.until_ready(&client).await;
    let url = program.url("/v1/models/colours/predict");
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while refused < 3 {
        assert!(acknowledged.len() < 5000, "the disk is never full");
        let picture = pictures::plain(4, 4, [255, 0, 0]);
        let response = client.post(&url).body(picture).send().await.unwrap();
        assert_eq!(response.status(), 200, "after {} corrections", acknowledged.len());
        let answer: Value = response.json().await.unwrap();
        let Some(id) = answer["prediction_id"].as_str() else { continue };
        let feedback = program.url(&format!("/v1/predictions/{id}/feedback"));
        let response = client.post(feedback).json(&json!({"labels": ["red"]})).send().await.unwrap();
        match response.status().as_u16() {
            200 => acknowledged.push(id.to_owned()),
            // Not written, or its answer was not.
            503 | 404 => refused += 1,
            status => panic!("{status}: {}", response.text().await.unwrap()),
        }
    }
    assert_eq!(client.get(program.url("/readyz")).send().await.unwrap().status(), 200);
    program.kill();

    let program = Program::serve(&borrowed(&arguments), &[]);
    program.until_ready(&client).await;
    let store = Store::open(&Database::Sqlite(folder.path().join("test.db"))).await.unwrap().unwrap();
    let found: Vec<String> =
        sqlx::query_scalar("SELECT prediction_id FROM feedback").fetch_all(store.pool()).await.unwrap();
    for id in &acknowledged {
        assert!(found.contains(id), "{id} of {} is gone", acknowledged.len());
    }
    let url = program.url(&format!("/v1/predictions/{}/feedback", acknowledged[0]));
    let response = client.post(url).json(&json!({"labels": ["green"]})).send().await.unwrap();
    assert_eq!(response.status(), 200, "with room again, all is as before");
}

#[test]
fn an_import_that_was_killed_has_written_a_whole_model_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.txt");
    std::fs::write(&names, "circle\nsquare\ntriangle").unwrap();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import/torchscript.onnx");
    let out = folder.path().join("models/theirs");
    let paths = [&model, &out, &names].map(|path| path.to_str().unwrap());
    for round in 0..12_u64 {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
            .args(["import", paths[0], "--out", paths[1], "--names", paths[2], "--task", "single-label"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + 40 * round));
        process.kill().unwrap();
        process.wait().unwrap();
        for version in std::fs::read_dir(&out).into_iter().flatten() {
            let file = version.unwrap().path().join("model.onnx");
            if file.exists() {
                ModelFile::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            }
        }
    }
    // Whatever the killed ones left, the next one writes its version.
    let output = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .args(["import", paths[0], "--out", paths[1], "--names", paths[2], "--task", "single-label"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
