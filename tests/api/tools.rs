//! The program's tools: answers without a server, what lies in a folder, and load.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::helpers::{App, models, pictures, program::Program, put, put_version};

fn tagpoint(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagpoint")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn predict_answers_as_the_server_does_and_names_what_it_cannot_answer() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let folder = app.folder.path();
    let (good, bad) = (folder.join("red.png"), folder.join("notes.txt"));
    let picture = pictures::plain(4, 6, [255, 90, 0]);
    std::fs::write(&good, &picture).unwrap();
    std::fs::write(&bad, "this is text").unwrap();
    let paths = [good.to_str().unwrap(), bad.to_str().unwrap()];
    let output = tagpoint(&["predict", "colours", paths[0], paths[1], "--models", folder.to_str().unwrap(), "--all"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("1 of 2 pictures have no answer"), "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let served = app.answer("colours/predict?all=true", &picture).await;
    assert_eq!((&lines[0]["labels"], &lines[0]["picture"]), (&served["labels"], &served["picture"]));
    assert_eq!(lines[0]["file"], paths[0]);
    assert!(lines[1]["error"].as_str().unwrap().contains("format is not known"), "{}", lines[1]);
    let unknown = tagpoint(&["predict", "nothing", paths[0], "--models", folder.to_str().unwrap()]);
    assert!(text(&unknown.stderr).contains("neither a file nor a model"), "{}", text(&unknown.stderr));
}

#[test]
fn models_tells_what_lies_in_a_folder_and_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    put(folder.path(), "redness", &models::redness());
    put_version(folder.path(), "redness", 2, &models::redness());
    std::fs::write(folder.path().join("redness/2/model.onnx"), "this is no model").unwrap();
    let output = tagpoint(&["models", "--models", folder.path().to_str().unwrap()]);
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines[1].starts_with("colours") && lines[1].contains("multi_label") && lines[1].contains("8x8"),
        "{}",
        lines[1]
    );
    assert!(lines[3].contains("cannot be read") && lines[3].contains("not an ONNX file"), "{}", lines[3]);
}

#[test]
fn what_nobody_reads_any_more_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    for arguments in [&["models", "--models", folder.path().to_str().unwrap()][..], &["config"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
        let mut tool = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(tool.stdout.take());
        let output = tool.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn config_prints_each_setting_with_its_source() {
    let output = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .args(["config", "--max-batch", "4"])
        .env("TAGPOINT_QUEUE_LIMIT", "9")
        .env("TAGPOINT_MAXBATCH", "3")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("max_batch = 4 # flag --max-batch"), "{said}");
    assert!(said.contains("queue_limit = 9 # environment TAGPOINT_QUEUE_LIMIT"), "{said}");
    assert!(said.contains("listen = \"127.0.0.1:8000\" # default"), "{said}");
    assert!(said.contains("# TAGPOINT_MAXBATCH in the environment is no setting"), "{said}");
}

#[test]
fn a_variable_that_is_no_setting_is_named_when_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("TAGPOINT_MAXBATCH", "3"), ("TAGPOINT_SERVICE_HOST", "10.0.0.1")];
    let program = Program::serve(&["--models", folder.path().to_str().unwrap()], &variables);
    let log = program.log();
    assert!(log.contains("TAGPOINT_MAXBATCH") && log.contains("TAGPOINT_MAX_BATCH is one"), "{log}");
    assert!(!log.contains("TAGPOINT_SERVICE_HOST"), "{log}");
}

/// What `tagpoint bench` measures of an application's address with one small picture, and its exit status.
async fn bench_with_status(app: &App, path: &str, more: &[&str]) -> (Value, Option<i32>) {
    let picture = app.folder.path().join("red.png");
    std::fs::write(&picture, pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let url = app.url(path);
    let fixed = ["bench", &url, picture.to_str().unwrap(), "--warm-up", "0.1", "--json"];
    let arguments: Vec<String> = fixed.iter().chain(more).map(|text| (*text).to_owned()).collect();
    let run = move || tagpoint(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let errors = text(&output.stderr);
    (serde_json::from_str(text(&output.stdout)).expect(errors), output.status.code())
}

/// What it measures where something is answered.
async fn bench(app: &App, path: &str, more: &[&str]) -> Value {
    let (summary, status) = bench_with_status(app, path, more).await;
    assert_eq!(status, Some(0), "{summary}");
    summary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_counts_answers_by_status() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let few = ["--seconds", "2", "--connections", "3"];
    let summary = bench(&app, "/v1/models/colours/predict", &few).await;
    assert!(summary["answered_per_second"].as_f64().unwrap() > 0.0, "{summary}");
    assert_eq!(summary["statuses"].as_object().unwrap().keys().collect::<Vec<_>>(), ["200"]);
    let (summary, status) = bench_with_status(&app, "/v1/models/nothing/predict", &few).await;
    assert_eq!((&summary["answered_per_second"], status), (&Value::from(0.0), Some(1)));
    assert!(summary["statuses"]["404"]["count"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn bench_of_a_closed_port_fails_and_asks_a_few_times_only() {
    // Nobody else gets a port that is taken, and nobody listens on this one.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    let output =
        tagpoint(&["bench", &url, "Cargo.toml", "--seconds", "0.5", "--warm-up", "0", "--connections", "2", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no request was answered with status 200"), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert!((2..=12).contains(&summary["statuses"]["0"]["count"].as_u64().unwrap()), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_rate_bench_sends_on_time_and_tells_accepted_from_refused() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        (settings.max_batch, settings.queue_limit, settings.intra_threads) = (1, 2, 1);
    })
    .await;
    let rate = ["--seconds", "1", "--connections", "64", "--rate", "1000"];
    let summary = bench(&app, "/v1/models/slow/predict", &rate).await;
    let count = |status: &str| summary["statuses"][status]["count"].as_u64().unwrap_or(0);
    // The model answers fewer than so many, and all the same as many are asked as the rate says.
    assert!(count("200") > 0 && count("503") > 0, "{summary}");
    assert!((999..=1001).contains(&(count("200") + count("503"))), "{summary}");
    assert!(summary["statuses"]["503"]["p99_ms"].as_f64().unwrap() > 0.0, "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_find_no_free_connection_leave_late_and_their_wait_counts() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| settings.intra_threads = 1).await;
    let rate = ["--seconds", "0.5", "--connections", "1", "--rate", "400"];
    let summary = bench(&app, "/v1/models/slow/predict", &rate).await;
    assert!(summary["left_late"].as_u64().unwrap() > 100, "{summary}");
    // The last of them left when all those before it had been answered, one by one.
    assert!(summary["statuses"]["200"]["max_ms"].as_f64().unwrap() > 300.0, "{summary}");
}

#[test]
fn bench_refuses_an_address_or_a_rate_that_is_none() {
    for (arguments, said) in [
        (["bench", "ftp://127.0.0.1/", "Cargo.toml", "--rate", "1"], "ftp is not http or https"),
        (["bench", "http://127.0.0.1:1/", "Cargo.toml", "--rate", "0"], "0.001 to 1000000"),
    ] {
        let output = tagpoint(&arguments);
        assert!(!output.status.success() && text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn tune_writes_settings_that_the_server_reads() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let (picture, written) = (folder.path().join("red.png"), folder.path().join("tuned.toml"));
    std::fs::write(&picture, pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let (models, picture, written) =
        (folder.path().to_str().unwrap(), picture.to_str().unwrap(), written.to_str().unwrap());
    let tune = |model: &str| tagpoint(&["tune", model, picture, "--models", models, "--seconds", "1", "-o", written]);
    let output = tune("colours");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let cores = std::thread::available_parallelism().unwrap().get();
    let config = tagpoint(&["config", "--config", written]);
    let said = text(&config.stdout);
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
        assert!(line.ends_with("tuned.toml"), "{line}");
        line.split(' ').next().unwrap().to_owned()
    };
    let [instances, threads] = ["instances", "intra_threads"].map(|name| value(name).parse::<usize>().unwrap());
    assert_eq!(instances * threads, cores);
    value("spinning");
    // What is there stays.
    let before = std::fs::read(written).unwrap();
    let again = tune("colours");
    assert!(!again.status.success() && text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read(written).unwrap(), before);
    std::fs::remove_file(written).unwrap();
    assert!(text(&tune("nothing").stderr).contains("no model \"nothing\""));
}

#[test]
fn tune_measures_without_the_keys_tls_and_database_of_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("red.png"), pictures::plain(4, 4, [255, 0, 0])).unwrap();
    let (models, picture, database) = (path(""), path("red.png"), path("tagpoint.db"));
    let (certificate, key) = (path("absent-certificate.pem"), path("absent-key.pem"));
    let measured = ["tune", "colours", &picture, "--models", &models, "--seconds", "1"];
    let edge = ["--keys", "web:predict:a-key-of-some-length", "--tls-cert", &certificate, "--tls-key", &key];
    let recorded = ["--database", &database, "--record-share", "1"];
    let output = tagpoint(&[&measured[..], &edge, &recorded].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!std::path::Path::new(&database).exists());
}
