//! From corrections to thresholds and back, and to a data set.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};
use tagpoint::{
    model::Task,
    store::{
        Pictures, Store,
        predictions::{ModelRow, PredictionRow},
    },
};

use super::{
    feedback::correct,
    predictions::{row, rows},
};
use crate::helpers::{App, database::TestDatabase, label_names, models, pictures, problem};

on_both_databases!(
    corrections_change_a_threshold_and_a_rollback_changes_it_back,
    a_rollback_that_holds_is_answered_so_where_the_server_cannot_look_at_it_yet,
    the_program_refits_and_rolls_back_what_servers_answer_with,
    too_few_corrections_and_models_without_thresholds_are_said,
    corrections_become_a_data_set,
    what_a_version_with_other_labels_was_corrected_to_is_left_out_and_said,
);

/// Red that is not red enough, and red that is; between them lies the right threshold.
const PALE: [u8; 6] = [100, 120, 140, 150, 160, 170];
const DEEP: [u8; 6] = [190, 200, 210, 220, 230, 240];
/// Named at .5, not named at the right threshold.
const DOUBTFUL: u8 = 165;

fn red(value: u8) -> Vec<u8> {
    pictures::plain(4, 4, [value, 0, 0])
}

async fn server(database: &TestDatabase, adjust: impl FnOnce(&mut tagpoint::serve::Settings)) -> App {
    App::start_with(&[("colours", &models::colours()), ("redness", &models::redness())], |settings| {
        settings.database = database.setting();
        settings.record.share = 1.0;
        adjust(settings);
    })
    .await
}

/// Answers twelve pictures and corrects each.
async fn teach(app: &App, database: &TestDatabase) {
    for value in PALE.into_iter().chain(DEEP) {
        let answer = app.answer("colours/predict", &red(value)).await;
        let truth = if DEEP.contains(&value) { json!({"labels": ["red"]}) } else { json!({"labels": []}) };
        assert_eq!(correct(app, &answer["prediction_id"], &truth).await.status(), 200);
    }
    rows(database, "feedback", 12).await;
}

/// The revision that a review names, and the threshold of red that it shows.
async fn reviewed(app: &App) -> (Option<Value>, Value) {
    let began = std::time::Instant::now();
    loop {
        let review: Value = app.get("/v1/review?model=colours").await.json().await.unwrap();
        if let Some(first) = review["predictions"].get(0) {
            let labels = first["labels"].as_array().unwrap();
            let red = labels.iter().find(|label| label["label"] == "red").unwrap();
            return (first.get("thresholds_revision").cloned(), red["threshold"].clone());
        }
        assert!(began.elapsed().as_secs() < 60, "{review}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// How many pictures red counted as named for, by the model file's own threshold.
async fn named_by_the_file(app: &App) -> f64 {
    let report: Value = app.get("/v1/models/colours/drift").await.json().await.unwrap();
    (report["labels"][0]["live_rate"].as_f64().unwrap() * report["pictures"].as_f64().unwrap()).round()
}

fn tagpoint(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
    command.args(arguments).env("TAGPOINT_DATABASE", &database.address).env_remove("RUST_LOG");
    tokio::task::block_in_place(|| command.output().unwrap())
}

async fn corrections_change_a_threshold_and_a_rollback_changes_it_back(database: TestDatabase) {
    let app = server(&database, |_| {}).await;
    teach(&app, &database).await;
    let before = app.answer("colours/predict", &red(DOUBTFUL)).await;
    assert_eq!(label_names(&before), ["red"]);
    assert!(before.get("thresholds_revision").is_none());

    let dry: Value = app.ask(Method::POST, "models/colours/thresholds/refit?dry_run=true").await.json().await.unwrap();
    assert!(dry.get("thresholds_revision").is_none(), "{dry}");
    assert_eq!(label_names(&app.answer("colours/predict", &red(DOUBTFUL)).await), ["red"]);

    let fitted: Value = app.ask(Method::POST, "models/colours/thresholds/refit").await.json().await.unwrap();
    assert_eq!((&fitted["thresholds_revision"], &fitted["pictures"]), (&json!(1), &json!(12)), "{fitted}");
    let (label, other) = (&fitted["labels"][0], &fitted["labels"][1]);
    assert_eq!((&label["label"], &label["positives"], &label["negatives"]), (&json!("red"), &json!(6), &json!(6)));
    let balanced = &label["thresholds"]["balanced"];
    let number = |name: &str| balanced[name].as_f64().unwrap();
    // Between the scores of 170 and 190.
    assert!((0.79..0.88).contains(&number("threshold")), "{balanced}");
    assert!(number("low") <= number("threshold") && number("threshold") <= number("high"), "{balanced}");
    // No picture is green, so green stays as it was.
    assert_eq!(other["thresholds"]["balanced"], json!({"threshold": 0.5}));

    let after = app.answer("colours/predict?all=true", &red(DOUBTFUL)).await;
    assert_eq!(after["thresholds_revision"], 1);
    assert_eq!(after["labels"][0]["threshold"], balanced["threshold"]);
    assert_eq!(after["digest"], before["digest"]);
    let named = named_by_the_file(&app).await;
    assert!(label_names(&app.answer("colours/predict", &red(DOUBTFUL)).await).is_empty());
    assert_eq!(named_by_the_file(&app).await, named + 1.0, "a revision is no drift");
    assert_eq!(label_names(&app.answer("colours/predict", &red(200)).await), ["red"]);
    assert_eq!(reviewed(&app).await, (Some(json!(1)), balanced["threshold"].clone()));
    let about: Value = app.get("/v1/models/colours").await.json().await.unwrap();
    assert_eq!((&about["thresholds_revision"], &about["labels"][0]["threshold"]), (&json!(1), &balanced["threshold"]));

    // A server that starts now begins with it.
    let other = server(&database, |_| {}).await;
    assert_eq!(other.answer("colours/predict", &red(DOUBTFUL)).await["thresholds_revision"], 1);

    let back: Value = app.ask(Method::POST, "models/colours/thresholds/rollback").await.json().await.unwrap();
    assert_eq!(back, json!({"model": "colours", "version": "1", "thresholds_revision": 0}));
    let again = app.answer("colours/predict", &red(DOUBTFUL)).await;
    assert_eq!((label_names(&again), again.get("thresholds_revision")), (vec!["red"], None));
    assert_eq!(reviewed(&app).await, (None, json!(0.5)));
    problem(app.ask(Method::POST, "models/colours/thresholds/rollback").await, 409, "conflict").await;
    // A number is never used twice.
    let fitted: Value = app.ask(Method::POST, "models/colours/thresholds/refit?version=1").await.json().await.unwrap();
    assert_eq!(fitted["thresholds_revision"], 2);
    // What is remembered says which thresholds held.
    app.answer("colours/predict", &red(DOUBTFUL)).await;
    let began = std::time::Instant::now();
    loop {
        let sql = "SELECT DISTINCT revision FROM predictions ORDER BY revision";
        let found: Vec<(i64,)> = sqlx::query_as(sql).fetch_all(&mut database.connect().await).await.unwrap();
        if found == [(0,), (1,), (2,)] {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "{found:?}");
    }
}

async fn a_rollback_that_holds_is_answered_so_where_the_server_cannot_look_at_it_yet(database: TestDatabase) {
    let app = server(&database, |_| {}).await;
    teach(&app, &database).await;
    assert_eq!(app.ask(Method::POST, "models/colours/thresholds/refit").await.status(), 200);
    let mut connection = database.connect().await;
    let mut rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE threshold_revisions RENAME COLUMN {from} TO {to}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    };
    // A look reads this column, and a rollback does not.
    rename("thresholds", "away").await;
    let response = app.ask(Method::POST, "models/colours/thresholds/rollback").await;
    assert_eq!(response.status(), 200);
    let back: Value = response.json().await.unwrap();
    assert_eq!(back, json!({"model": "colours", "version": "1", "thresholds_revision": 0}));
    // What held last holds until the server can look.
    assert_eq!(app.answer("colours/predict", &red(DOUBTFUL)).await["thresholds_revision"], 1);
    rename("away", "thresholds").await;
    let began = std::time::Instant::now();
    while app.answer("colours/predict", &red(DOUBTFUL)).await.get("thresholds_revision").is_some() {
        assert!(began.elapsed().as_secs() < 30);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn the_program_refits_and_rolls_back_what_servers_answer_with(database: TestDatabase) {
    let app = server(&database, |_| {}).await;
    teach(&app, &database).await;
    let becomes = async |revision: Option<i64>| {
        let began = std::time::Instant::now();
        let wanted = revision.map(Value::from);
        while app.answer("colours/predict", &red(DOUBTFUL)).await.get("thresholds_revision") != wanted.as_ref() {
            assert!(began.elapsed().as_secs() < 30);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    for (arguments, expected, revision) in [
        (&["thresholds", "refit", "--model", "colours", "--dry-run"][..], "nothing was changed", None),
        (&["thresholds", "refit", "--model", "colours"], "colours version 1: revision 1 is in force", Some(1)),
        (&["thresholds", "refit", "--model", "colours", "--version", "1"], "revision 2 is in force", Some(2)),
        (&["thresholds", "rollback", "--model", "colours"], "revision 1 is in force", Some(1)),
        (&["thresholds", "rollback", "--model", "colours"], "the model file's own thresholds are in force", None),
    ] {
        let output = tagpoint(&database, arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{said} {}", String::from_utf8_lossy(&output.stderr));
        becomes(revision).await;
    }
}

async fn too_few_corrections_and_models_without_thresholds_are_said(database: TestDatabase) {
    let app = server(&database, |_| {}).await;
    let answer = app.answer("colours/predict", &red(200)).await;
    assert_eq!(correct(&app, &answer["prediction_id"], &json!({"labels": ["red"]})).await.status(), 200);
    let body = problem(app.ask(Method::POST, "models/colours/thresholds/refit").await, 409, "conflict").await;
    assert!(body["detail"].as_str().unwrap().contains("red 1/0"), "{body}");
    let body = problem(app.ask(Method::POST, "models/redness/thresholds/refit").await, 409, "conflict").await;
    assert!(body["detail"].as_str().unwrap().contains("multi-label"), "{body}");
    for (arguments, expected) in [
        (&["thresholds", "refit", "--model", "colours"][..], "red 1/0"),
        (&["thresholds", "refit", "--model", "nothing"], "no prediction of model \"nothing\""),
        (&["thresholds", "rollback", "--model", "colours"], "own thresholds already"),
        (&["feedback", "export", "--model", "colours", "--out", "/nowhere"], "--record-pictures"),
    ] {
        let output = tagpoint(&database, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}

async fn corrections_become_a_data_set(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept").to_str().unwrap().to_owned();
    let app = server(&database, |settings| settings.record.pictures = Some(kept.clone())).await;
    teach(&app, &database).await;
    // The same picture again, corrected otherwise: the last word holds.
    let answer = app.answer("colours/predict", &red(DEEP[0])).await;
    assert_eq!(correct(&app, &answer["prediction_id"], &json!({"labels": ["red", "blue"]})).await.status(), 200);
    let out = folder.path().join("set");
    let arguments =
        ["feedback", "export", "--model", "colours", "--out", out.to_str().unwrap(), "--record-pictures", &kept];
    let output = tagpoint(&database, &arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("12 pictures") && said.contains("--task multi-label"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1 earlier correction"), "{said}");
    let table = std::fs::read_to_string(out.join("labels.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("fname,red,green,blue"));
    let mut found: Vec<(Vec<u8>, String)> = lines
        .map(|line| {
            let (file, labels) = line.split_once(',').unwrap();
            (std::fs::read(out.join(file)).unwrap(), labels.to_owned())
        })
        .collect();
    found.sort();
    let labels = |value: u8| match value {
        _ if value == DEEP[0] => "1,0,1",
        _ if DEEP.contains(&value) => "1,0,0",
        _ => "0,0,0",
    };
    let mut expected: Vec<(Vec<u8>, String)> =
        PALE.into_iter().chain(DEEP).map(|value| (red(value), labels(value).to_owned())).collect();
    expected.sort();
    assert_eq!(found, expected);
    let output = tagpoint(&database, &arguments);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
}

async fn what_a_version_with_other_labels_was_corrected_to_is_left_out_and_said(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept").to_str().unwrap().to_owned();
    let (store, pictures) = (Store::open(&database.setting()).await.unwrap().unwrap(), Pictures::open(&kept).unwrap());
    let labels = models::colour_task().labels().to_vec();
    let [first, second, turned] = [
        labels[..2].to_vec(),
        labels.clone(),
        // As a threshold or another order of the labels: nothing that a table would show.
        labels.iter().rev().cloned().collect(),
    ]
    .map(|labels| serde_json::to_string(&Task::MultiLabel { labels }).unwrap());
    for (version, task) in [(1, &first), (2, &second), (3, &turned)] {
        let (digest, model, resize) = (format!("d{version}"), "colours".to_owned(), "{}".to_owned());
        store.add_model(&ModelRow { digest, model, version, task: task.clone(), resize }).await.unwrap();
    }
    // The last one's picture is gone.
    for (id, version) in [("1", 1), ("2", 2), ("3", 3), ("4", 2)] {
        let name = format!("{id}.png");
        if id != "4" {
            pictures.put(&name, red(250).into()).await.unwrap();
        }
        let (model, digest) = ("colours".to_owned(), format!("d{version}"));
        let (picture, picture_digest) = (Some(name), id.to_owned());
        store
            .add_predictions(&[PredictionRow { version, model, digest, picture, picture_digest, ..row(id) }])
            .await
            .unwrap();
        store.add_feedback(id, None, r#"{"labels": ["red"]}"#).await.unwrap();
    }
    let export = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let arguments =
            ["feedback", "export", "--model", "colours", "--out", out.to_str().unwrap(), "--record-pictures", &kept];
        let output = tagpoint(&database, &[&arguments[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said, std::fs::read_to_string(out.join("labels.csv")).unwrap())
    };
    let (said, table) = export("all", &[]);
    assert!(said.contains("labels.csv: 2 pictures\n1 corrections have no picture that is kept\n"), "{said}");
    assert!(said.contains("1 corrections of version 1 are left out") && said.contains("--version 1\n"), "{said}");
    assert!(!said.contains("version 3"), "{said}");
    assert_eq!(table, "fname,red,green,blue\npictures/3.png,1,0,0\npictures/2.png,1,0,0\n");
    let (said, table) = export("first", &["--version", "1"]);
    assert!(!said.contains("left out"), "{said}");
    assert_eq!(table, "fname,red,green\npictures/1.png,1,0\n");
}
