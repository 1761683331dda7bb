//! Predictions: which are remembered, what of them, for how long, and that no answer ever waits for it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::Connection as _;
use tagpoint::{
    model::Digest,
    store::{Dialect, Pictures, Store, now_ms, predictions::PredictionRow},
};

use crate::{
    helpers::{App, database::TestDatabase, models, pictures, put_version},
    lifecycle::begin_request,
};

on_both_databases!(
    nothing_is_remembered_unless_it_is_wanted,
    an_answer_is_remembered_with_all_that_it_came_from,
    a_picture_is_kept_where_that_is_wanted_and_forgotten_with_its_prediction,
    a_picture_that_cannot_be_deleted_holds_up_no_other,
    a_picture_whose_prediction_was_never_written_is_deleted_once_it_is_old,
    a_prediction_that_is_being_corrected_is_not_forgotten,
    a_share_is_a_share,
    no_answer_fails_or_waits_while_the_database_is_away_and_the_rows_come_later,
    a_database_that_hangs_slows_no_answer_and_no_stop,
    a_server_that_stops_writes_what_it_has,
    a_server_whose_stop_runs_out_of_time_writes_what_it_has_too,
    a_database_that_hangs_does_not_hold_a_stop_that_is_out_of_time,
    what_a_version_on_trial_says_is_remembered_beside_the_answer,
    outputs_that_are_no_numbers_are_not_remembered,
);

const RED: [u8; 3] = [255, 40, 0];

async fn server(database: &TestDatabase, share: f64) -> App {
    App::start_with(&[("colours", &models::colours())], |settings| {
        settings.database = database.setting();
        settings.record.share = share;
    })
    .await
}

pub async fn count(database: &TestDatabase, table: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&mut database.connect().await).await.unwrap();
    count
}

/// Waits until a table has so many rows.
pub async fn rows(database: &TestDatabase, table: &str, wanted: i64) {
    let began = Instant::now();
    loop {
        let found = count(database, table).await;
        if found == wanted {
            return;
        }
        assert!(found < wanted && began.elapsed() < Duration::from_secs(15), "{found} rows of {table}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn nothing_is_remembered_unless_it_is_wanted(database: TestDatabase) {
    let app = server(&database, 0.0).await;
    let answer = app.answer("colours/predict", &pictures::plain(4, 4, RED)).await;
    assert!(answer.get("prediction_id").is_none(), "{answer}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(count(&database, "predictions").await, 0);
}

async fn an_answer_is_remembered_with_all_that_it_came_from(database: TestDatabase) {
    let app = server(&database, 1.0).await;
    let picture = pictures::plain(6, 4, RED);
    let answer = app.answer("colours/predict?all=true", &picture).await;
    let (status, form) = app.form("colours/predict", &[("a.png", &picture), ("b.txt", b"this is text")]).await;
    assert_eq!(status, 200);
    assert_ne!(form["results"][0]["prediction_id"], answer["prediction_id"]);
    rows(&database, "predictions", 2).await;
    let sql =
        "SELECT model, version, digest, outputs, width, height, picture_digest, decode_ms, inference_ms, uncertainty,
        margin, created_ms FROM predictions WHERE id = $1";
    type Row = (String, i64, String, String, i64, i64, String, f64, f64, f64, f64, i64);
    let query = sqlx::query_as(sql).bind(answer["prediction_id"].as_str().unwrap());
    let found: Row = query.fetch_one(&mut database.connect().await).await.unwrap();
    let (
        model,
        version,
        digest,
        outputs,
        width,
        height,
        picture_digest,
        decode,
        inference,
        uncertainty,
        margin,
        created,
    ) = found;
    assert_eq!((model.as_str(), version, width, height), ("colours", 1, 6, 4));
    assert_eq!(format!("sha256:{digest}"), answer["digest"]);
    assert_eq!(picture_digest, Digest::of(&picture).to_string());
    assert!((decode - answer["timings_ms"]["decode"].as_f64().unwrap()).abs() < 1e-3);
    assert!((inference - answer["timings_ms"]["inference"].as_f64().unwrap()).abs() < 1e-3);
    assert!((0..60_000).contains(&(now_ms() - created)));
    let outputs: Vec<f32> = serde_json::from_str(&outputs).unwrap();
    // Labels red, green and blue; the answer has them by score.
    let score = |name: &str| {
        let labels = answer["labels"].as_array().unwrap();
        labels.iter().find(|label| label["label"] == name).unwrap()["score"].as_f64().unwrap() as f32
    };
    assert_eq!(outputs, [score("red"), score("green"), score("blue")]);
    let doubt = outputs.iter().map(|score| 1.0 - (2.0 * f64::from(*score) - 1.0).abs()).fold(0.0, f64::max);
    assert!((uncertainty - doubt).abs() < 1e-6, "{uncertainty} {doubt}");
    let margins =
        [(outputs[0], 0.5), (outputs[1], 0.5), (outputs[2], 0.9)].map(|(score, t)| (f64::from(score) - t).abs());
    assert!((margin - margins.into_iter().fold(1.0, f64::min)).abs() < 1e-6);
    assert_eq!(count(&database, "models").await, 1);
    let page = app.get("/metrics").await.text().await.unwrap();
    assert!(page.contains("\ntagpoint_predictions_recorded_total 2\n"), "{page}");
}

/// A server that remembers everything for so many days, with pictures.
async fn with_pictures(database: &TestDatabase, place: &Path, days: u64) -> App {
    App::start_with(&[("colours", &models::colours())], |settings| {
        settings.database = database.setting();
        settings.record.share = 1.0;
        settings.record.pictures = Some(place.to_str().unwrap().to_owned());
        settings.record.keep = Duration::from_secs(days * 86_400);
    })
    .await
}

/// A month and a day go by for what is remembered.
async fn a_month_later(database: &TestDatabase) {
    let sql = "UPDATE predictions SET created_ms = created_ms - 2678400000";
    sqlx::raw_sql(sql).execute(&mut database.connect().await).await.unwrap();
}

/// Waits until something holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_picture_is_kept_where_that_is_wanted_and_forgotten_with_its_prediction(database: TestDatabase) {
    let kept = tempfile::tempdir().unwrap();
    let place = kept.path().join("pictures");
    let app = with_pictures(&database, &place, 30).await;
    let picture = pictures::plain(4, 4, RED);
    app.answer("colours/predict", &picture).await;
    rows(&database, "predictions", 1).await;
    let name = async || -> String {
        let sql = "SELECT picture FROM predictions";
        sqlx::query_as::<_, (String,)>(sql).fetch_one(&mut database.connect().await).await.unwrap().0
    };
    let file = place.join(name().await);
    assert!(file.extension().unwrap() == "png", "{file:?}");
    assert_eq!(std::fs::read(&file).unwrap(), picture);
    drop(app);

    a_month_later(&database).await;
    let app = with_pictures(&database, &place, 40).await;
    app.answer("colours/predict", &picture).await;
    rows(&database, "predictions", 2).await;
    drop(app);
    let _app = with_pictures(&database, &place, 30).await;
    until(async || count(&database, "predictions").await == 1 && !file.exists()).await;
    assert!(place.join(name().await).exists());
    until(async || count(&database, "forgotten_pictures").await == 0).await;
}

async fn a_picture_that_cannot_be_deleted_holds_up_no_other(database: TestDatabase) {
    let kept = tempfile::tempdir().unwrap();
    let app = with_pictures(&database, kept.path(), 30).await;
    for _ in 0..3 {
        app.answer("colours/predict", &pictures::plain(4, 4, RED)).await;
    }
    rows(&database, "predictions", 3).await;
    drop(app);
    let sql = "SELECT picture FROM predictions ORDER BY picture";
    let names: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut database.connect().await).await.unwrap();
    let files: Vec<PathBuf> = names.iter().map(|(name,)| kept.path().join(name)).collect();
    // A folder is not deleted as a file is.
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::create_dir_all(files[0].join("in it")).unwrap();
    a_month_later(&database).await;
    let app = with_pictures(&database, kept.path(), 30).await;
    until(async || count(&database, "predictions").await == 0 && count(&database, "forgotten_pictures").await == 1)
        .await;
    assert_eq!(files.iter().map(|file| file.exists()).collect::<Vec<_>>(), [true, false, false]);
    drop(app);
    // It is tried again.
    std::fs::remove_dir_all(&files[0]).unwrap();
    let _app = with_pictures(&database, kept.path(), 30).await;
    until(async || count(&database, "forgotten_pictures").await == 0).await;
}

async fn a_picture_whose_prediction_was_never_written_is_deleted_once_it_is_old(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let kept = Pictures::open(folder.path().to_str().unwrap()).unwrap();
    let ids = ["0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f24"];
    let names = ids.map(|id| format!("{}/2020-01-01/{id}.png", store.id()));
    for name in &names {
        kept.put(name, pictures::plain(4, 4, RED).into()).await.unwrap();
    }
    // The other one's prediction is there for good: somebody has corrected it.
    store.add_predictions(&[PredictionRow { picture: Some(names[1].clone()), ..row(ids[1]) }]).await.unwrap();
    store.add_feedback(ids[1], None, "{}").await.unwrap();
    let _app = with_pictures(&database, folder.path(), 30).await;
    until(async || kept.find(&names[0]).await.unwrap().is_none()).await;
    assert!(kept.find(&names[1]).await.unwrap().is_some());
}

async fn a_prediction_that_is_being_corrected_is_not_forgotten(database: TestDatabase) {
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let kept = |id: &str, name: &str| PredictionRow { picture: Some(name.to_owned()), ..row(id) };
    store.add_predictions(&[kept("1", "a"), kept("2", "b"), row("3")]).await.unwrap();
    let mut connection = database.connect().await;
    let mut correcting = connection.begin().await.unwrap();
    let sql = "INSERT INTO feedback (prediction_id, created_ms, truth) VALUES ('1', 2, '{}')";
    sqlx::raw_sql(sql).execute(&mut *correcting).await.unwrap();
    // SQLite has one writer at a time.
    let meanwhile = match store.dialect() {
        Dialect::Sqlite => 0,
        Dialect::Postgres => store.forget_predictions(2, 10).await.unwrap(),
    };
    correcting.commit().await.unwrap();
    assert_eq!(meanwhile + store.forget_predictions(2, 10).await.unwrap(), 2);
    assert_eq!(store.forgotten_pictures("", 10).await.unwrap(), ["b"]);
    assert_eq!(count(&database, "predictions").await, 1);
}

async fn a_share_is_a_share(database: TestDatabase) {
    let app = server(&database, 0.3).await;
    let picture = pictures::plain(4, 4, RED);
    let mut remembered = 0;
    for _ in 0..300 {
        let answer = app.answer("colours/predict", &picture).await;
        remembered += i64::from(answer.get("prediction_id").is_some());
    }
    // 90, with a standard deviation of 8.
    assert!((50..130).contains(&remembered), "{remembered}");
    rows(&database, "predictions", remembered).await;
}

async fn no_answer_fails_or_waits_while_the_database_is_away_and_the_rows_come_later(database: TestDatabase) {
    let app = server(&database, 1.0).await;
    let picture = pictures::plain(4, 4, RED);
    app.answer("colours/predict", &picture).await;
    rows(&database, "predictions", 1).await;
    database.go_away().await;
    for _ in 0..200 {
        let began = Instant::now();
        let answer: Value = app.answer("colours/predict", &picture).await;
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(answer["prediction_id"].is_string());
    }
    // Long enough that attempts have failed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    database.come_back().await;
    rows(&database, "predictions", 201).await;
}

async fn a_database_that_hangs_slows_no_answer_and_no_stop(database: TestDatabase) {
    let (app, other) = (server(&database, 1.0).await, server(&database, 1.0).await);
    let picture = pictures::plain(4, 4, RED);
    app.answer("colours/predict", &picture).await;
    rows(&database, "predictions", 1).await;
    let held = database.get_stuck().await;
    for app in [&app, &other] {
        for _ in 0..50 {
            let began = Instant::now();
            app.answer("colours/predict", &picture).await;
            assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        }
    }
    let began = Instant::now();
    other.stop.send(()).unwrap();
    other.task.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    drop(held);
    database.come_back().await;
    let began = Instant::now();
    // Of the one that stopped some may have come through.
    while count(&database, "predictions").await < 51 {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_server_that_stops_writes_what_it_has(database: TestDatabase) {
    let app = server(&database, 1.0).await;
    let picture = pictures::plain(4, 4, RED);
    for _ in 0..20 {
        app.answer("colours/predict", &picture).await;
    }
    app.stop.send(()).unwrap();
    app.task.await.unwrap().unwrap();
    assert_eq!(count(&database, "predictions").await, 20);
}

/// Answers twenty pictures, begins a request that never ends, and gives how long the stop took.
async fn stop_in_overtime(database: &TestDatabase, before: impl AsyncFnOnce()) -> Duration {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.database = database.setting();
        settings.record.share = 1.0;
        settings.stop_timeout = Duration::from_millis(50);
    })
    .await;
    before().await;
    let picture = pictures::plain(4, 4, RED);
    for _ in 0..20 {
        app.answer("colours/predict", &picture).await;
    }
    let _unfinished = begin_request(&app, 100).await;
    let began = Instant::now();
    app.stop.send(()).unwrap();
    app.task.await.unwrap().unwrap();
    began.elapsed()
}

async fn a_server_whose_stop_runs_out_of_time_writes_what_it_has_too(database: TestDatabase) {
    let took = stop_in_overtime(&database, async || {}).await;
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(count(&database, "predictions").await, 20);
}

async fn a_database_that_hangs_does_not_hold_a_stop_that_is_out_of_time(database: TestDatabase) {
    let mut held = None;
    let took = stop_in_overtime(&database, async || held = database.get_stuck().await).await;
    // Two seconds for tasks of jobs, two for the rows, two to close the connections.
    assert!(took < Duration::from_secs(30), "{took:?}");
    drop(held);
}

/// A server that remembers everything, whose version 1 answers and whose version 2 is tried with every picture.
async fn on_trial(database: &TestDatabase, name: &str, versions: [&tagpoint::model::ModelFile; 2]) -> App {
    let app = App::start_with(&[(name, versions[0])], |settings| {
        put_version(&settings.models, name, 2, versions[1]);
        settings.database = database.setting();
        settings.record.share = 1.0;
        settings.versions = 2;
    })
    .await;
    app.change(reqwest::Method::POST, &format!("models/{name}/versions/1/promote")).await;
    let trial = serde_json::json!({"version": "2", "share": 1});
    let url = app.url(&format!("/v1/admin/models/{name}/shadow"));
    assert_eq!(app.client.put(url).json(&trial).send().await.unwrap().status(), 200);
    app
}

async fn what_a_version_on_trial_says_is_remembered_beside_the_answer(database: TestDatabase) {
    let app = on_trial(&database, "colours", [&models::colours(), &models::shifted_colours(2.0)]).await;
    let answer = app.answer("colours/predict?all=true", &pictures::plain(4, 4, RED)).await;
    rows(&database, "shadow_outputs", 1).await;
    let sql = "SELECT prediction_id, version, outputs, disagreement FROM shadow_outputs";
    let found: (String, i64, String, f64) = sqlx::query_as(sql).fetch_one(&mut database.connect().await).await.unwrap();
    assert_eq!((found.0.as_str(), found.1), (answer["prediction_id"].as_str().unwrap(), 2));
    let theirs: Vec<f32> = serde_json::from_str(&found.2).unwrap();
    assert!(theirs[1] > 0.9, "{theirs:?}");
    // Version 2 names green, which version 1 does not; blue needs .9 of both.
    assert!(found.3 > 1.5, "{}", found.3);
}

async fn outputs_that_are_no_numbers_are_not_remembered(database: TestDatabase) {
    let (odd, black) = (models::undefined_for_black(), pictures::plain(8, 8, [0, 0, 0]));
    let app = on_trial(&database, "odd", [&odd, &odd]).await;
    // In binary the protocol tells them, and nothing else.
    let input = serde_json::json!({"name": "image", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": vec![0; 192]});
    let outputs = [serde_json::json!({"name": "scores", "parameters": {"binary_data": true}})];
    let request = serde_json::json!({"inputs": [input], "outputs": outputs});
    let response = app.client.post(app.url("/v2/models/odd/infer")).json(&request).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answered = response.bytes().await.unwrap();
    assert!(!answered.windows(13).any(|text| text == b"prediction_id"), "it cannot be corrected");
    assert_eq!(app.predict("odd/predict", &black).send().await.unwrap().status(), 500);
    // Those after them are, and a review lists them.
    let answer = app.answer("odd/predict", &pictures::plain(4, 4, [9, 9, 9])).await;
    rows(&database, "shadow_outputs", 1).await;
    rows(&database, "predictions", 1).await;
    let review: serde_json::Value = app.get("/v1/review?model=odd").await.json().await.unwrap();
    assert_eq!(review["predictions"][0]["prediction_id"], answer["prediction_id"], "{review}");
}

/// A prediction of long ago.
pub fn row(id: &str) -> PredictionRow {
    PredictionRow {
        id: id.to_owned(),
        created_ms: 1,
        model: "a \"quoted\" \\ name, ü".to_owned(),
        version: 1,
        digest: "d".to_owned(),
        revision: 0,
        outputs: "[0.5]".to_owned(),
        width: 1,
        height: 1,
        picture_digest: "p".to_owned(),
        picture: None,
        decode_ms: 1.0,
        queue_ms: 0.25,
        inference_ms: 2.0,
        uncertainty: None,
        margin: None,
    }
}

#[tokio::test]
async fn the_same_rows_may_be_written_twice() {
    let database = TestDatabase::postgres().await;
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    store.add_predictions(&[row("1")]).await.unwrap();
    store.add_predictions(&[row("1"), row("2")]).await.unwrap();
    assert_eq!(count(&database, "predictions").await, 2);
    let sql = "SELECT model FROM predictions WHERE id = '2'";
    let (model,): (String,) = sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap();
    assert_eq!(model, row("2").model);
}
