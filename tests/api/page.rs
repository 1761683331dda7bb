//! The page at `/`: what it is sent with, and that it works in a browser. Screenshots are kept in target/page.

use std::{fs, path::Path};

use reqwest::StatusCode;
use tagpoint::serve::{Settings, parse_keys};

use crate::helpers::{
    App,
    clients::{installed, run},
    database::TestDatabase,
    models, pictures, put,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a shipped model into a models folder, as a version of itself.
fn ship(folder: &Path, name: &str, version: u32) {
    let to = folder.join(name).join(version.to_string());
    fs::create_dir_all(&to).unwrap();
    fs::copy(root().join("models").join(name).join("1/model.onnx"), to.join("model.onnx")).unwrap();
}

/// Runs one of tests/page in a browser that looks at the first of these applications, and may look at the others.
async fn look(apps: &[&App], script: &str) {
    let screenshots = root().join("target/page");
    fs::create_dir_all(&screenshots).unwrap();
    for (name, colour) in [("colour", [160, 150, 40]), ("red", [255, 0, 0]), ("black", [0, 0, 0])] {
        // Other tests may be reading it.
        let file = tempfile::NamedTempFile::new_in(&screenshots).unwrap();
        fs::write(&file, pictures::plain(64, 48, colour)).unwrap();
        file.persist(screenshots.join(format!("{name}.png"))).unwrap();
    }
    let script = format!("tests/page/{script}");
    let urls: Vec<String> = apps.iter().map(|app| app.url("")).collect();
    let mut arguments = vec![script.as_str(), urls[0].as_str(), screenshots.to_str().unwrap()];
    arguments.extend(urls[1..].iter().map(String::as_str));
    assert!(run("node", &arguments, root()).await.ends_with("ok\n"));
}

#[tokio::test]
async fn the_page_is_sent_with_a_policy_that_lets_it_ask_this_host_only() {
    let app =
        App::start_with(&[], |settings| settings.access.keys = parse_keys("operator:admin:a-long-enough-key").unwrap())
            .await;
    let page = app.get("/").await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let etag = page.headers()["etag"].clone();
    let html = page.text().await.unwrap();
    for path in ["/page/page.js", "/page/page.css", "/page/icon.svg"] {
        assert!(html.contains(&format!("\"{path}\"")), "{path} in {html}");
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
    let again = app.client.get(app.url("/")).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let request = app.client.get(app.url("/page/page.js")).header("accept-encoding", "gzip");
    assert_eq!(request.send().await.unwrap().headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn the_committed_page_is_what_its_sources_give_and_its_types_fit() {
    run("node", &["web/build.mjs", "--check"], root()).await;
    let compiler = installed("npm/node_modules/typescript/bin/tsc");
    run("node", &[compiler.to_str().unwrap(), "-p", "web"], root()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_playground_shows_labels_and_points_moves_marks_and_words_problems() {
    let app = App::start_with(&[], |settings: &mut Settings| {
        ship(&settings.models, "scenes", 1);
        ship(&settings.models, "faces", 1);
    })
    .await;
    look(&[&app], "playground.mjs").await;

    // The README's recording; docs/playground.webp is a copy.
    look(&[&app], "recording.mjs").await;
    let made = root().join("target/page/playground.webp");
    let (python, frames) = (installed("python/bin/python"), root().join("target/page/recording"));
    let arguments = ["scripts/recording", frames.to_str().unwrap(), made.to_str().unwrap()];
    run(python.to_str().unwrap(), &arguments, root()).await;
    let bytes = fs::metadata(&made).unwrap().len();
    assert!((20_000..1_000_000).contains(&bytes), "{bytes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_asks_for_keys_promotes_rolls_back_and_shows_trials_and_health() {
    let app = App::start_with(&[], |settings: &mut Settings| {
        ship(&settings.models, "scenes", 1);
        ship(&settings.models, "scenes", 2);
        put(&settings.models, "colours", &models::colours_at_two_points());
        settings.versions = 2;
        let keys = "website:predict:the-key-of-the-website operator:admin:the-key-of-an-operator";
        settings.access.keys = parse_keys(keys).unwrap();
    })
    .await;
    look(&[&app], "models.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn predictions_are_corrected_by_keyboard_and_corrections_become_thresholds() {
    let (database, kept) = (TestDatabase::sqlite().await, tempfile::tempdir().unwrap());
    let (colours, redness, best) = (models::colours(), models::redness(), models::best_colour());
    let app = App::start_with(&[("colours", &colours), ("redness", &redness), ("best", &best)], |settings| {
        ship(&settings.models, "faces", 1);
        settings.database = database.setting();
        settings.record.share = 1.0;
        settings.record.pictures = Some(kept.path().to_str().unwrap().to_owned());
        let keys = "website:predict:the-key-of-the-website operator:admin:the-key-of-an-operator";
        settings.access.keys = parse_keys(keys).unwrap();
    })
    .await;
    let other = TestDatabase::sqlite().await;
    let forgetful = App::start_with(&[("colours", &colours)], |settings| settings.database = other.setting()).await;
    let third = TestDatabase::sqlite().await;
    let pictureless = App::start_with(&[("colours", &colours)], |settings| {
        settings.database = third.setting();
        settings.record.share = 1.0;
    })
    .await;
    let without = App::start(&[("colours", &colours)]).await;
    look(&[&app, &forgetful, &pictureless, &without], "review.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_started_from_an_archive_watched_cancelled_and_fetched() {
    let database = TestDatabase::sqlite().await;
    let (colours, slow) = (models::colours_at_two_points(), models::slow(2));
    let app = App::start_with(&[("colours", &colours), ("slow", &slow)], |settings| {
        settings.database = database.setting();
        let keys = "website:predict:the-key-of-the-website operator:admin:the-key-of-an-operator";
        settings.access.keys = parse_keys(keys).unwrap();
    })
    .await;
    let without = App::start(&[("colours", &colours)]).await;
    look(&[&app, &without], "jobs.mjs").await;
}
