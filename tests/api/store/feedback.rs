//! Corrections: given, listed, and held against what the model can say.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::predictions::rows;
use crate::helpers::{App, database::TestDatabase, models, pictures, problem, put_version};

on_both_databases!(
    a_correction_is_taken_right_after_the_answer_and_a_later_one_replaces_it,
    what_does_not_fit_the_model_is_refused_with_what_would,
    a_review_lists_what_is_most_worth_a_look_and_nobody_has_corrected,
    the_newest_first_is_an_order_for_every_task,
    the_picture_of_a_prediction_is_shown_where_it_was_kept,
    corrections_are_counted_until_a_refit_has_enough,
    corrected_predictions_outlive_the_others,
    while_the_database_is_away_a_correction_is_a_503,
);

async fn server(database: &TestDatabase) -> App {
    App::start_with(&[("colours", &models::colours()), ("redness", &models::redness())], |settings| {
        settings.database = database.setting();
        settings.record.share = 1.0;
    })
    .await
}

pub async fn correct(app: &App, id: &Value, truth: &Value) -> Response {
    let url = app.url(&format!("/v1/predictions/{}/feedback", id.as_str().unwrap()));
    app.client.post(url).json(truth).send().await.unwrap()
}

async fn a_correction_is_taken_right_after_the_answer_and_a_later_one_replaces_it(database: TestDatabase) {
    let app = server(&database).await;
    let answer = app.answer("colours/predict", &pictures::plain(4, 4, [255, 0, 0])).await;
    let id = answer["prediction_id"].as_str().unwrap();
    for (spelled, truth) in [
        (id.to_owned(), json!({"labels": ["green"]})),
        (id.to_uppercase(), json!({"labels": []})),
        (id.replace('-', ""), json!({"labels": ["red", "blue"]})),
    ] {
        let response = correct(&app, &json!(spelled), &truth).await;
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.unwrap();
        let expected =
            json!({"prediction_id": answer["prediction_id"], "model": "colours", "version": "1", "truth": truth});
        assert_eq!(body, expected);
    }
    let sql = "SELECT prediction_id, truth FROM feedback";
    let found: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&mut database.connect().await).await.unwrap();
    assert_eq!(
        found,
        [(answer["prediction_id"].as_str().unwrap().to_owned(), r#"{"labels":["red","blue"]}"#.to_owned())]
    );
}

async fn what_does_not_fit_the_model_is_refused_with_what_would(database: TestDatabase) {
    let app = server(&database).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let of_labels = app.answer("colours/predict", &picture).await["prediction_id"].clone();
    let of_values = app.answer("redness/predict", &picture).await["prediction_id"].clone();
    for (id, truth, expected) in [
        (&of_labels, json!({"labels": ["yellow"]}), "it has red, green, blue"),
        (&of_labels, json!({"values": []}), "takes labels"),
        (&of_labels, json!({"label": "red"}), "unknown field"),
        (&of_labels, json!([["red"], null, null]), "expected an object"),
        (&of_values, json!({"values": [{"name": "greenness", "value": 1}]}), "no value \"greenness\""),
    ] {
        let body = problem(correct(&app, id, &truth).await, 400, "body").await;
        assert!(body["detail"].as_str().unwrap().contains(expected), "{body}");
    }
    let name = "redness";
    let truth = json!({"values": [{"name": name, "value": 0.5}]});
    assert_eq!(correct(&app, &of_values, &truth).await.status(), StatusCode::OK);
    for unknown in ["0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "no-id", "00000000-0000-4000-8000-000000000000"] {
        problem(correct(&app, &json!(unknown), &json!({"labels": []})).await, 404, "unknown-prediction").await;
    }
    let none = App::start(&[]).await;
    problem(correct(&none, &of_labels, &json!({"labels": []})).await, 501, "no-database").await;
}

async fn a_review_lists_what_is_most_worth_a_look_and_nobody_has_corrected(database: TestDatabase) {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-3.5));
        settings.database = database.setting();
        settings.record.share = 1.0;
        settings.versions = 2;
    })
    .await;
    app.change(reqwest::Method::POST, "models/colours/versions/1/promote").await;
    let url = app.url("/v1/admin/models/colours/shadow");
    let trial = json!({"version": "2", "share": 1});
    assert_eq!(app.client.put(url).json(&trial).send().await.unwrap().status(), 200);
    // Scores of red: .018 (sure), .48 (unsure, and near .5; version 2 says .61), .982; of green and blue: .018.
    let mut ids = Vec::new();
    for red in [0, 125, 255] {
        ids.push(app.answer("colours/predict", &pictures::plain(4, 4, [red, 0, 0])).await["prediction_id"].clone());
    }
    // Red .75: not the least sure. Blue .89: nearest to its .9.
    let near = app.answer("colours/predict", &pictures::plain(4, 4, [162, 0, 194])).await["prediction_id"].clone();
    rows(&database, "predictions", 4).await;
    rows(&database, "shadow_outputs", 4).await;
    let review = async |query: &str| -> Vec<Value> {
        let body: Value = app.get(&format!("/v1/review?model=colours{query}")).await.json().await.unwrap();
        assert!(body["predictions"].is_array(), "{body}");
        body["predictions"].as_array().unwrap().clone()
    };
    let of = |found: &[Value]| -> Vec<Value> { found.iter().map(|item| item["prediction_id"].clone()).collect() };
    let uncertain = review("").await;
    assert_eq!(of(&uncertain)[0], ids[1]);
    assert_eq!(uncertain.len(), 4);
    assert_eq!(uncertain[0]["labels"][0]["label"], "red");
    assert!(uncertain[0]["uncertainty"].as_f64().unwrap() > 0.9 && uncertain[0]["shadow_version"] == "2");
    assert_eq!(of(&review("&by=threshold&limit=1").await), [near]);
    let shadow = review("&by=shadow&limit=1").await;
    assert_eq!(of(&shadow), [ids[1].clone()]);
    assert!(shadow[0]["disagreement"].as_f64().unwrap() > 1.0);
    assert_eq!(review("&version=1").await.len(), 4);
    assert!(review("&version=2").await.is_empty());
    assert!(review("&version=18446744073709551615").await.is_empty());
    assert_eq!(correct(&app, &ids[1], &json!({"labels": ["red"]})).await.status(), 200);
    assert!(!of(&review("").await).contains(&ids[1]));
    for (query, name) in [
        ("", "model"),
        ("?model=colours&by=luck", "by"),
        ("?model=colours&limit=0", "limit"),
        ("?model=a&model=b", "model"),
        ("?model=colours&version=-1", "version"),
        ("?model=colours&version=0", "version"),
        ("?model=colours&version=%2B1", "version"),
        ("?model=colours&version=01", "version"),
    ] {
        let body = problem(app.get(&format!("/v1/review{query}")).await, 400, "parameter").await;
        assert_eq!(body["parameter"], name);
    }
    problem(app.get("/v1/review?model=nothing").await, 404, "unknown-model").await;
}

async fn the_newest_first_is_an_order_for_every_task(database: TestDatabase) {
    let app = server(&database).await;
    for model in ["colours", "redness"] {
        let mut ids = Vec::new();
        for red in [0, 125, 255] {
            let target = format!("{model}/predict");
            ids.insert(0, app.answer(&target, &pictures::plain(4, 4, [red, 0, 0])).await["prediction_id"].clone());
            // Times are told in milliseconds.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        rows(&database, "predictions", if model == "colours" { 3 } else { 6 }).await;
        let body: Value = app.get(&format!("/v1/review?model={model}&by=newest")).await.json().await.unwrap();
        let found: Vec<Value> =
            body["predictions"].as_array().unwrap().iter().map(|item| item["prediction_id"].clone()).collect();
        assert_eq!(found, ids, "{model}");
        assert_eq!((&body["record_share"], &body["record_pictures"]), (&json!(1.0), &json!(false)));
    }
}

async fn the_picture_of_a_prediction_is_shown_where_it_was_kept(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let start = async |place: Option<&str>, share: f64| {
        let place = place.map(|place| folder.path().join(place).to_str().unwrap().to_owned());
        App::start_with(&[("colours", &models::colours())], |settings| {
            settings.database = database.setting();
            settings.record.share = share;
            settings.record.pictures = place;
        })
        .await
    };
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let app = start(Some("kept"), 1.0).await;
    let kept = app.answer("colours/predict", &picture).await["prediction_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/predictions/{kept}/picture");
    let response = app.get(&path).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.headers()["cache-control"], "private, no-store");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.bytes().await.unwrap(), picture);

    // A server that remembers no further answer shows those that there are.
    let later = start(Some("kept"), 0.0).await;
    assert_eq!(later.get(&path).await.bytes().await.unwrap(), picture);
    let elsewhere = start(None, 1.0).await;
    let not_kept = elsewhere.answer("colours/predict", &picture).await["prediction_id"].as_str().unwrap().to_owned();
    // However the id is spelled.
    for spelled in [kept.to_uppercase(), kept.replace('-', "")] {
        assert_eq!(app.get(&format!("/v1/predictions/{spelled}/picture")).await.bytes().await.unwrap(), picture);
    }
    for (app, id, says) in
        [(&elsewhere, &kept, "no longer says where"), (&app, &not_kept, "was not kept"), (&app, &kept, "is gone")]
    {
        if says == "is gone" {
            std::fs::remove_dir_all(folder.path().join("kept")).unwrap();
        }
        let body = problem(app.get(&format!("/v1/predictions/{id}/picture")).await, 404, "no-kept-picture").await;
        assert!(body["detail"].as_str().unwrap().contains(says), "{body}");
    }
    problem(app.get("/v1/predictions/none/picture").await, 404, "unknown-prediction").await;
}

async fn corrections_are_counted_until_a_refit_has_enough(database: TestDatabase) {
    let app = server(&database).await;
    let counts = async || -> Value {
        let response = app.get("/v1/admin/models/colours/thresholds/corrections").await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    };
    let of_red = |positives: usize, negatives: usize, missing: (usize, usize)| {
        json!({"label": "red", "positives": positives, "negatives": negatives,
            "missing_positives": missing.0, "missing_negatives": missing.1})
    };
    let nothing = counts().await;
    assert_eq!(nothing["pictures"], 0);
    assert_eq!(nothing["labels"][0], of_red(0, 0, (5, 5)));
    for (place, red) in [255, 255, 255, 255, 255, 0, 0, 0, 0, 0].into_iter().enumerate() {
        let refit = app.ask(reqwest::Method::POST, "models/colours/thresholds/refit?dry_run=true").await;
        assert_eq!(refit.status(), 409, "{place}");
        let answer = app.answer("colours/predict", &pictures::plain(4, 4, [red, 0, 0])).await;
        let truth = if red > 0 { json!({"labels": ["red"]}) } else { json!({"labels": []}) };
        assert_eq!(correct(&app, &answer["prediction_id"], &truth).await.status(), 200);
        if place == 5 {
            let some = counts().await;
            assert_eq!(
                (&some["pictures"], &some["model"], &some["version"]),
                (&json!(6), &json!("colours"), &json!("1"))
            );
            assert_eq!(some["labels"][0], of_red(5, 1, (0, 4)));
        }
    }
    assert_eq!(counts().await["labels"][0], of_red(5, 5, (0, 0)));
    let refit = app.ask(reqwest::Method::POST, "models/colours/thresholds/refit?dry_run=true").await;
    assert_eq!(refit.status(), 200);
    // A model without thresholds has corrections, too.
    let answer = app.answer("redness/predict", &pictures::plain(4, 4, [255, 0, 0])).await;
    let truth = json!({"values": [{"name": "redness", "value": 1}]});
    assert_eq!(correct(&app, &answer["prediction_id"], &truth).await.status(), 200);
    let found: Value = app.get("/v1/admin/models/redness/thresholds/corrections").await.json().await.unwrap();
    assert_eq!((&found["pictures"], &found["labels"]), (&json!(1), &json!([])));
    problem(app.get("/v1/admin/models/nothing/thresholds/corrections").await, 404, "unknown-model").await;
}

async fn corrected_predictions_outlive_the_others(database: TestDatabase) {
    let app = server(&database).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let kept = app.answer("colours/predict", &picture).await["prediction_id"].clone();
    app.answer("colours/predict", &picture).await;
    assert_eq!(correct(&app, &kept, &json!({"labels": []})).await.status(), 200);
    rows(&database, "predictions", 2).await;
    let sql = "UPDATE predictions SET created_ms = created_ms - 2678400000";
    sqlx::raw_sql(sql).execute(&mut database.connect().await).await.unwrap();
    let _again = server(&database).await;
    loop {
        let sql = "SELECT id FROM predictions";
        let ids: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut database.connect().await).await.unwrap();
        if ids.len() == 1 {
            assert_eq!(ids[0].0, kept.as_str().unwrap());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn while_the_database_is_away_a_correction_is_a_503(database: TestDatabase) {
    let app = server(&database).await;
    let answer = app.answer("colours/predict", &pictures::plain(4, 4, [255, 0, 0])).await;
    rows(&database, "predictions", 1).await;
    database.go_away().await;
    let response = correct(&app, &answer["prediction_id"], &json!({"labels": []})).await;
    assert!(response.headers().contains_key("retry-after"));
    let body = problem(response, 503, "database").await;
    assert!(!body.to_string().contains("feedback\\\""), "{body}");
    problem(app.get("/v1/review?model=colours").await, 503, "database").await;
    database.come_back().await;
    while correct(&app, &answer["prediction_id"], &json!({"labels": []})).await.status() != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
