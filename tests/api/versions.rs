//! Several versions of a model, and what changes while the server runs.

use std::{fs, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tagpoint::model::ModelFile;

use crate::helpers::{App, models, pictures, problem, put_version};

const RED: [u8; 3] = [255, 0, 0];

/// An application whose models folder has versions 1, 2 and 3 of `colours`, of which the newest so many are loaded.
async fn three_versions(newest: usize) -> App {
    App::start_with(&[], |settings| {
        for (version, bias) in [(1, -4.0), (2, -3.0), (3, -2.0)] {
            put_version(&settings.models, "colours", version, &models::shifted_colours(bias));
        }
        settings.versions = newest;
    })
    .await
}

async fn answering(app: &App) -> String {
    app.answer("colours/predict", &pictures::plain(4, 4, RED)).await["version"].as_str().unwrap().to_owned()
}

async fn model(app: &App) -> Value {
    app.get("/v1/models/colours").await.json().await.unwrap()
}

fn states(model: &Value) -> Vec<String> {
    let versions = model["versions"].as_array().unwrap().iter();
    versions.map(|v| format!("{} {}", v["version"].as_str().unwrap(), v["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn several_versions_answer_under_their_own_addresses() {
    let app = three_versions(2).await;
    assert_eq!(states(&model(&app).await), ["3 ready", "2 ready", "1 unloaded"]);
    let picture = pictures::plain(4, 4, [120, 0, 0]);
    let newest = app.answer("colours/predict?all=true", &picture).await;
    let third = app.answer("colours/versions/3/predict?all=true", &picture).await;
    let second = app.answer("colours/versions/2/predict?all=true", &picture).await;
    assert_eq!((&newest["version"], &newest["labels"]), (&third["version"], &third["labels"]));
    assert_eq!(second["version"], "2");
    assert!(second["labels"][0]["score"].as_f64() < third["labels"][0]["score"].as_f64());
    let response = app.predict("colours/versions/1/predict", &picture).send().await.unwrap();
    problem(response, 404, "not-loaded").await;
    for version in ["9", "0", "latest"] {
        let response = app.predict(&format!("colours/versions/{version}/predict"), &picture).send().await.unwrap();
        problem(response, 404, "unknown-version").await;
    }
    let about: Value = app.get("/v1/models/colours/versions/2").await.json().await.unwrap();
    assert_eq!((&about["version"], &about["labels"][0]["name"]), (&json!("2"), &json!("red")));
}

#[tokio::test]
async fn a_version_is_loaded_promoted_rolled_back_and_unloaded_without_a_restart() {
    let app = three_versions(1).await;
    assert_eq!(answering(&app).await, "3");
    let after = app.change(Method::POST, "models/colours/versions/1/load").await;
    assert_eq!(states(&after), ["3 ready", "2 unloaded", "1 ready"]);
    assert_eq!(answering(&app).await, "3");
    // Promotion loads what is not loaded.
    let after = app.change(Method::POST, "models/colours/versions/2/promote").await;
    assert_eq!((&after["version"], answering(&app).await.as_str()), (&json!("2"), "2"));
    app.change(Method::POST, "models/colours/versions/1/promote").await;
    assert_eq!(answering(&app).await, "1");
    app.change(Method::POST, "models/colours/rollback").await;
    assert_eq!(answering(&app).await, "2");
    let refused = app.ask(Method::POST, "models/colours/versions/2/unload").await;
    problem(refused, 409, "conflict").await;
    app.change(Method::POST, "models/colours/rollback").await;
    assert_eq!(answering(&app).await, "3");
    problem(app.ask(Method::POST, "models/colours/rollback").await, 409, "conflict").await;
    let after = app.change(Method::POST, "models/colours/versions/1/unload").await;
    assert_eq!(states(&after), ["3 ready", "2 ready", "1 unloaded"]);
    let after = app.change(Method::POST, "models/colours/unload").await;
    assert_eq!(states(&after), ["3 unloaded", "2 unloaded", "1 unloaded"]);
    let picture = pictures::plain(4, 4, RED);
    problem(app.predict("colours/predict", &picture).send().await.unwrap(), 404, "not-loaded").await;
    // Somebody wanted it so: the server is ready.
    assert_eq!(app.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn a_promotion_holds_after_a_restart_and_following_the_newest_ends_it() {
    let app = three_versions(1).await;
    app.change(Method::POST, "models/colours/versions/2/promote").await;
    let folder = app.folder.path().to_owned();
    let again = App::start_with(&[], |settings| settings.models = folder).await;
    assert_eq!(answering(&again).await, "2");
    let after = again.change(Method::POST, "models/colours/follow-newest").await;
    assert_eq!(after["version"], "3");
    assert_eq!(answering(&again).await, "3");
}

#[tokio::test]
async fn a_version_that_is_refused_is_not_promoted_and_the_earlier_one_goes_on_answering() {
    let app = three_versions(1).await;
    let spoilt = ModelFile { bytes: b"this is no model".to_vec(), ..models::colours() };
    put_version(app.folder.path(), "colours", 4, &spoilt);
    let body = problem(app.ask(Method::POST, "models/colours/versions/4/promote").await, 422, "version-refused").await;
    assert!(body["detail"].as_str().unwrap().contains("not an ONNX file"), "{body}");
    assert_eq!(answering(&app).await, "3");
    let states = states(&model(&app).await);
    assert_eq!(states[..2], ["4 refused", "3 ready"]);
    assert_eq!(app.get("/readyz").await.status(), 200);
}

#[tokio::test]
async fn a_rescan_takes_up_new_versions_and_lets_go_of_removed_ones() {
    let app = three_versions(1).await;
    put_version(app.folder.path(), "colours", 4, &models::shifted_colours(-1.0));
    put_version(app.folder.path(), "redness", 1, &models::redness());
    let response = app.ask(Method::POST, "rescan").await;
    let ready: Value = response.json().await.unwrap();
    assert_eq!(ready, json!({"ready": ["colours/4", "redness/1"]}));
    assert_eq!(answering(&app).await, "4");
    assert_eq!(states(&model(&app).await)[..2], ["4 ready", "3 unloaded"]);
    fs::remove_dir_all(app.folder.path().join("colours/4")).unwrap();
    fs::remove_dir_all(app.folder.path().join("redness")).unwrap();
    app.ask(Method::POST, "rescan").await;
    assert_eq!(answering(&app).await, "3");
    problem(app.get("/v1/models/redness").await, 404, "unknown-model").await;
    // A folder that cannot be read lets go of nothing.
    fs::rename(app.folder.path(), app.folder.path().with_extension("moved")).unwrap();
    app.ask(Method::POST, "rescan").await;
    assert_eq!(answering(&app).await, "3");
    assert_eq!(app.ask(Method::POST, "rescan").await.status(), 503);
    assert_eq!(app.get("/readyz").await.status(), 200);
    fs::rename(app.folder.path().with_extension("moved"), app.folder.path()).unwrap();
    assert_eq!(app.ask(Method::POST, "rescan").await.status(), 200);
}

#[tokio::test]
async fn a_newest_version_that_is_refused_leaves_the_one_before_to_answer() {
    let app = three_versions(1).await;
    let spoilt = ModelFile { bytes: b"this is no model".to_vec(), ..models::colours() };
    put_version(app.folder.path(), "colours", 4, &spoilt);
    assert_eq!(app.ask(Method::POST, "rescan").await.status(), 200);
    assert_eq!(states(&model(&app).await)[..2], ["4 refused", "3 ready"]);
    assert_eq!(answering(&app).await, "3");
    put_version(app.folder.path(), "colours", 5, &models::shifted_colours(-1.0));
    app.ask(Method::POST, "rescan").await;
    assert_eq!(states(&model(&app).await)[..3], ["5 ready", "4 refused", "3 unloaded"]);
}

#[tokio::test]
async fn a_model_that_is_loaded_by_the_protocol_again_and_again_does_not_keep_its_old_versions() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let load = async || app.client.post(app.url("/v2/repository/models/colours/load")).send().await.unwrap().status();
    assert_eq!(load().await, 200);
    put_version(app.folder.path(), "colours", 2, &models::shifted_colours(-3.0));
    assert_eq!(load().await, 200);
    assert_eq!(states(&model(&app).await), ["2 ready", "1 unloaded"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_hangs_while_choices_are_read_holds_up_no_request() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let path = app.folder.path().join("colours/serving.toml");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let rescan = tokio::spawn(app.client.post(app.url("/v1/admin/rescan")).send());
    // Opens once somebody reads it, who then waits for what is written.
    let named = path.clone();
    let open = move || fs::File::options().write(true).open(named).unwrap();
    let pipe = tokio::task::spawn_blocking(open).await.unwrap();
    let ask = async {
        assert_eq!(app.get("/healthz").await.status(), 200);
        answering(&app).await
    };
    let answered = tokio::time::timeout(Duration::from_secs(5), ask).await;
    // Choices are read again once versions are loaded, and the disk has come to itself by then.
    fs::remove_file(path).unwrap();
    drop(pipe);
    assert_eq!(answered.unwrap(), "1");
    assert_eq!(rescan.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_watched_folder_is_followed() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.watch = Duration::from_millis(20);
    })
    .await;
    assert_eq!(answering(&app).await, "1");
    put_version(app.folder.path(), "colours", 2, &models::shifted_colours(-3.0));
    while answering(&app).await != "2" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fs::write(app.folder.path().join("colours/serving.toml"), "default = 1\n").unwrap();
    while answering(&app).await != "1" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_into_a_watched_folder_while_the_server_begins_is_loaded() {
    let wide = models::wide();
    let app = App::start_loading(&[("colours", &models::colours()), ("wide", &wide)], |settings| {
        settings.watch = Duration::from_millis(20);
    })
    .await;
    // What lies there was listed, and is being opened.
    loop {
        let listed: Value = app.get("/v1/models").await.json().await.unwrap();
        let listed = listed["models"].as_array().unwrap();
        if listed.iter().any(|model| model["name"] == "wide") {
            break;
        }
    }
    put_version(app.folder.path(), "colours", 2, &models::shifted_colours(-3.0));
    tokio::time::timeout(Duration::from_secs(60), async {
        app.models.loaded().await;
        while answering(&app).await != "2" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("version 2 is not loaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_versions_under_load_fails_no_request() {
    let app = App::start_with(&[], |settings| {
        put_version(&settings.models, "colours", 1, &models::shifted_colours(-4.0));
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-3.0));
    })
    .await;
    let (url, client) = (app.url("/v1/models/colours/predict"), app.client.clone());
    let picture = pictures::plain(4, 4, RED);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (url, client, picture, stopped) = (url.clone(), client.clone(), picture.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut answers = 0;
                while !*stopped.borrow() {
                    let response = client.post(&url).body(picture.clone()).send().await.unwrap();
                    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for _ in 0..10 {
        for (new, old) in [(1, 2), (2, 1)] {
            app.change(Method::POST, &format!("models/colours/versions/{new}/promote")).await;
            app.change(Method::POST, &format!("models/colours/versions/{old}/unload")).await;
        }
    }
    stop.send(true).unwrap();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}
