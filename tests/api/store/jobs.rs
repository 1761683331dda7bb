//! Bulk jobs: uploads, lists and addresses; results, cancelling, whose they are, and what is refused.

use std::{
    io::{Cursor, Write as _},
    process::Command,
    time::{Duration, Instant},
};

use futures_util::{TryStreamExt as _, future::join_all};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, Row},
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tagpoint::serve::{FetchRules, Scheme, Settings, parse_keys};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Barrier,
    time::timeout,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::predictions::rows;
use crate::helpers::{App, database::TestDatabase, label_names, models, origin::Origin, pictures, problem};

on_both_databases!(
    a_zip_is_answered_picture_by_picture,
    files_of_one_name_and_outputs_that_are_no_numbers_have_results_of_their_own,
    what_lies_below_an_address_is_answered_and_results_are_written,
    an_address_with_too_many_pictures_is_looked_at_once,
    a_job_is_found_by_any_spelling_of_its_id,
    results_of_a_database_that_fails_are_a_503,
    archives_that_come_a_byte_at_a_time_keep_no_turn_from_others,
    a_list_of_urls_is_answered_and_trouble_that_passes_is_waited_out,
    a_cancelled_job_ends_and_keeps_what_it_has,
    a_job_is_its_keys_own_and_an_admins,
    what_makes_no_job_is_refused_with_the_reason,
    a_task_whose_server_is_not_heard_of_is_done_by_another_once,
    a_server_that_requests_keep_busy_leaves_tasks_to_one_that_is_idle,
    the_program_lists_watches_and_cancels_jobs,
    old_jobs_are_forgotten_with_their_uploads,
);

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

async fn server(database: &TestDatabase, adjust: impl FnOnce(&mut Settings)) -> App {
    let models = [("colours", &models::colours()), ("slow", &models::slow(1))];
    App::start_with(&models, |settings| {
        settings.database = database.setting();
        settings.jobs.lease = Duration::from_secs(1);
        adjust(settings);
    })
    .await
}

fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (index, (name, bytes)) in files.iter().enumerate() {
        let method = if index % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Asks for a job.
async fn post(app: &App, query: &str, content_type: &str, body: Vec<u8>) -> Response {
    let request = app.client.post(app.url(&format!("/v1/jobs?{query}"))).header("content-type", content_type);
    request.body(body).send().await.unwrap()
}

/// A job's id, which has to be taken.
async fn taken(response: Response) -> String {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

async fn job(app: &App, id: &str) -> Value {
    app.get(&format!("/v1/jobs/{id}")).await.json().await.unwrap()
}

/// Waits until a job is at an end.
async fn end(app: &App, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let job = job(app, id).await;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{job}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn results(app: &App, id: &str) -> Vec<Value> {
    let response = app.get(&format!("/v1/jobs/{id}/results")).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    parsed(&response.text().await.unwrap())
}

fn table(bytes: Vec<u8>) -> Vec<Row> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

/// A column of a row.
fn column<'a>(row: &'a Row, name: &str) -> &'a Field {
    row.get_column_iter().find(|(column, _)| *column == name).unwrap().1
}

/// What a column's list has in a row; nothing where it is no list.
fn list<'a>(row: &'a Row, name: &str) -> &'a [Field] {
    match column(row, name) {
        Field::ListInternal(list) => list.elements(),
        _ => &[],
    }
}

async fn a_zip_is_answered_picture_by_picture(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app =
        server(&database, |settings| settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned())).await;
    let (red, blue) = (pictures::plain(7, 5, RED), pictures::plain(4, 4, BLUE));
    let files = [
        ("a/red.png", red.clone()),
        ("blue.png", blue),
        ("notes.txt", b"no picture".to_vec()),
        (".DS_Store", b"x".to_vec()),
        ("__MACOSX/a/red.png", b"x".to_vec()),
    ];
    let id = taken(post(&app, "model=colours", "application/zip", zip(&files)).await).await;
    let ended = end(&app, &id).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["pictures"], json!({"total": 3, "done": 3, "failed": 1}));
    assert_eq!((&ended["model"], &ended["version"], &ended["source"]), (&json!("colours"), &json!("1"), &json!("zip")));
    let lines = results(&app, &id).await;
    let names: Vec<&Value> = lines.iter().map(|line| &line["name"]).collect();
    assert_eq!(names, ["a/red.png", "blue.png", "notes.txt"]);
    // The same answer as somebody gets who waits for it.
    let waited = app.answer("colours/predict", &red).await;
    assert_eq!((&lines[0]["labels"], &lines[0]["picture"]), (&waited["labels"], &waited["picture"]));
    assert_eq!(label_names(&lines[1]), ["blue"]);
    assert_eq!(lines[2]["error"]["type"], "urn:tagpoint:problem:picture-format");

    let response = app.get(&format!("/v1/jobs/{id}/results?format=parquet")).await;
    let rows = table(response.bytes().await.unwrap().to_vec());
    assert_eq!(rows.len(), 3);
    assert_eq!(column(&rows[0], "name"), &Field::Str("a/red.png".to_owned()));
    assert_eq!(column(&rows[0], "width"), &Field::Int(7));
    assert_eq!(column(&rows[0], "error"), &Field::Null);
    assert_eq!(list(&rows[0], "labels"), [Field::Str("red".to_owned())]);
    assert_eq!(list(&rows[0], "scores"), [Field::Double(lines[0]["labels"][0]["score"].as_f64().unwrap())]);
    assert_eq!(column(&rows[2], "labels"), &Field::Null);
    assert_eq!(column(&rows[2], "error_type"), &Field::Str("urn:tagpoint:problem:picture-format".to_owned()));

    let list: Value = app.get("/v1/jobs?limit=1").await.json().await.unwrap();
    assert_eq!(list["jobs"][0], ended);
    // What a job asks for holds for its pictures.
    let all = taken(post(&app, "model=colours&all=true&top_k=2", "application/zip", zip(&files[..1])).await).await;
    end(&app, &all).await;
    assert_eq!(results(&app, &all).await[0]["labels"].as_array().unwrap().len(), 2);
}

async fn files_of_one_name_and_outputs_that_are_no_numbers_have_results_of_their_own(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app = App::start_with(&[("odd", &models::undefined_for_black())], |settings| {
        settings.database = database.setting();
        settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
    })
    .await;
    // No writer makes an archive with one name twice: the second is renamed in it, where its length stays.
    let files = [("same_1.png", pictures::plain(7, 5, [1, 2, 3])), ("same_2.png", pictures::plain(4, 4, [0, 0, 0]))];
    let mut archive = zip(&files);
    for place in 0..archive.len() - 10 {
        if archive[place..].starts_with(b"same_2.png") {
            archive[place + 5] = b'1';
        }
    }
    let id = taken(post(&app, "model=odd", "application/zip", archive).await).await;
    let ended = end(&app, &id).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["pictures"], json!({"total": 2, "done": 2, "failed": 1}));
    let lines = results(&app, &id).await;
    assert_eq!((&lines[0]["name"], &lines[0]["picture"]["width"]), (&json!("same_1.png"), &json!(7)));
    assert_eq!(
        (&lines[1]["name"], &lines[1]["error"]["type"]),
        (&json!("same_1.png"), &json!("urn:tagpoint:problem:internal"))
    );
}

async fn what_lies_below_an_address_is_answered_and_results_are_written(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    std::fs::create_dir_all(photos.join("2026")).unwrap();
    for index in 0..30 {
        let colour = if index % 3 == 0 { RED } else { BLUE };
        std::fs::write(photos.join(format!("2026/{index:02}.png")), pictures::plain(4, 4, colour)).unwrap();
    }
    std::fs::write(photos.join("broken.png"), &pictures::plain(4, 4, RED)[..40]).unwrap();
    let address = |path: &str| format!("file://{}/{path}", folder.path().display());
    let app = server(&database, |settings| {
        settings.jobs.sources = vec![address("photos").parse().unwrap()];
        settings.jobs.outputs = vec![address("results").parse().unwrap()];
    })
    .await;
    let body = json!({"source": address("photos/")}).to_string().into_bytes();
    for format in ["jsonl", "parquet"] {
        let output = address(&format!("results/all.{format}"));
        let query = format!("model=colours&format={format}&output={output}");
        let id = taken(post(&app, &query, "application/json", body.clone()).await).await;
        let ended = end(&app, &id).await;
        assert_eq!(ended["state"], "completed", "{ended}");
        assert_eq!(ended["pictures"], json!({"total": 31, "done": 31, "failed": 1}));
        let lines = results(&app, &id).await;
        assert_eq!((lines.len(), &lines[3]["name"]), (31, &json!("2026/03.png")));
        for (index, line) in lines[..30].iter().enumerate() {
            assert_eq!(label_names(line), [if index % 3 == 0 { "red" } else { "blue" }], "{line}");
        }
        let written = std::fs::read(folder.path().join(format!("results/all.{format}"))).unwrap();
        match format {
            "jsonl" => assert_eq!(parsed(std::str::from_utf8(&written).unwrap()), lines),
            _ => assert_eq!(table(written).len(), 31),
        }
    }
    // Nothing there is the job's failure, and says so.
    let nothing = json!({"source": address("photos/2027/")}).to_string().into_bytes();
    let id = taken(post(&app, "model=colours", "application/json", nothing).await).await;
    let ended = end(&app, &id).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(ended["error"].as_str().unwrap().contains("no files"), "{ended}");
}

async fn an_address_with_too_many_pictures_is_looked_at_once(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png", "c.png"] {
        std::fs::write(folder.path().join(name), pictures::plain(4, 4, RED)).unwrap();
    }
    let address = format!("file://{}/", folder.path().display());
    let app = server(&database, |settings| {
        settings.jobs.sources = vec![address.parse().unwrap()];
        settings.jobs.max_pictures = 2;
    })
    .await;
    let body = json!({"source": address}).to_string().into_bytes();
    let ended = end(&app, &taken(post(&app, "model=colours", "application/json", body).await).await).await;
    let error = format!("{address} has more than 2 pictures (max_job_pictures)");
    assert_eq!((&ended["state"], &ended["error"]), (&json!("failed"), &json!(error)), "{ended}");
}

async fn a_job_is_found_by_any_spelling_of_its_id(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let start = async |workers: usize| {
        server(&database, |settings| {
            settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
            settings.jobs.workers = workers;
        })
        .await
    };
    let body = || zip(&[("red.png", pictures::plain(4, 4, RED))]);
    let spellings = |id: &str| [id.to_uppercase(), id.replace('-', "")];
    let idle = start(0).await;
    for index in 0..2 {
        let id = taken(post(&idle, "model=colours", "application/zip", body()).await).await;
        let url = idle.url(&format!("/v1/jobs/{}/cancel", spellings(&id)[index]));
        let cancelled: Value = idle.client.post(url).send().await.unwrap().json().await.unwrap();
        assert_eq!((&cancelled["state"], &cancelled["id"]), (&json!("cancelled"), &json!(id)), "{cancelled}");
    }
    let app = start(1).await;
    let id = taken(post(&app, "model=colours", "application/zip", body()).await).await;
    end(&app, &id).await;
    for spelled in spellings(&id) {
        assert_eq!(results(&app, &spelled).await.len(), 1, "{spelled}");
        let response = app.get(&format!("/v1/jobs/{spelled}/results?format=parquet")).await;
        assert_eq!(table(response.bytes().await.unwrap().to_vec()).len(), 1, "{spelled}");
    }
}

async fn results_of_a_database_that_fails_are_a_503(database: TestDatabase) {
    let list = b"{\"url\": \"file:///photos/a.jpg\"}".to_vec();
    let app = server(&database, |settings| {
        settings.jobs.workers = 0;
        settings.jobs.sources = vec!["file:///photos".parse().unwrap()];
    })
    .await;
    let id = taken(post(&app, "model=colours", "application/x-ndjson", list).await).await;
    assert_eq!(app.client.post(app.url(&format!("/v1/jobs/{id}/cancel"))).send().await.unwrap().status(), 200);
    // The job is found, and its results are not.
    let sql = "ALTER TABLE job_tasks RENAME COLUMN results TO away";
    sqlx::raw_sql(sql).execute(&mut database.connect().await).await.unwrap();
    problem(app.get(&format!("/v1/jobs/{id}/results?format=parquet")).await, 503, "database").await;
}

/// Sends an archive a byte at a time until the server answers: its status.
async fn trickle(app: &App, all_have_turns: &Barrier) -> String {
    // The server asks for the body once it has a turn.
    let mut stream = app.begin_post("/v1/jobs?model=colours", &["content-type: application/zip"], 1_000_000).await;
    let mut answer = [0; 64];
    all_have_turns.wait().await;
    loop {
        if let Ok(read) = timeout(Duration::from_millis(100), stream.read(&mut answer)).await {
            assert!(read.unwrap() >= 12);
            return String::from_utf8_lossy(&answer[9..12]).into_owned();
        }
        stream.write_all(b"P").await.unwrap();
    }
}

async fn archives_that_come_a_byte_at_a_time_keep_no_turn_from_others(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app = server(&database, |settings| {
        settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
        settings.request_timeout = Duration::from_secs(5);
    })
    .await;
    // As many as come in at a time.
    let all_have_turns = Barrier::new(5);
    let slow = timeout(Duration::from_secs(60), join_all((0..4).map(|_| trickle(&app, &all_have_turns))));
    let (statuses, ()) = tokio::join!(slow, async {
        all_have_turns.wait().await;
        let body = zip(&[("red.png", pictures::plain(4, 4, RED))]);
        problem(post(&app, "model=colours", "application/zip", body).await, 503, "not-ready").await;
    });
    assert_eq!(statuses.unwrap(), ["408"; 4]);
    taken(post(&app, "model=colours", "application/zip", zip(&[("red.png", pictures::plain(4, 4, RED))])).await).await;
}

async fn a_list_of_urls_is_answered_and_trouble_that_passes_is_waited_out(database: TestDatabase) {
    let red = Origin::picture(pictures::plain(4, 4, RED)).await;
    let missing = Origin::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    // Nobody listens there at first.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let late = socket.local_addr().unwrap();
    let app = server(&database, |settings| {
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let ports = vec![red.address.port(), missing.address.port(), late.port()];
        settings.fetch = Some(FetchRules { schemes: vec![Scheme::Http], ports, networks, ..FetchRules::default() });
    })
    .await;
    let list = format!(
        "{{\"url\": \"{}\", \"name\": \"first\"}}\n\n{{\"url\": \"{}\"}}\n{{\"url\": \"http://{late}/late.png\"}}\n",
        red.url(),
        missing.url()
    );
    let id = taken(post(&app, "model=colours", "application/x-ndjson", list.into_bytes()).await).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(job(&app, &id).await["pictures"]["done"], 0);
    let _late = Origin::picture_on(socket.listen(16).unwrap(), pictures::plain(4, 4, BLUE)).await;
    let ended = end(&app, &id).await;
    assert_eq!((&ended["state"], &ended["pictures"]["failed"]), (&json!("completed"), &json!(1)), "{ended}");
    let lines = results(&app, &id).await;
    assert_eq!((&lines[0]["name"], label_names(&lines[0])), (&json!("first"), vec!["red"]));
    assert_eq!(lines[1]["error"]["type"], "urn:tagpoint:problem:url-host", "{}", lines[1]);
    assert_eq!(label_names(&lines[2]), ["blue"]);
}

async fn a_cancelled_job_ends_and_keeps_what_it_has(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app = server(&database, |settings| {
        settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
        settings.max_batch = 1;
    })
    .await;
    let picture = pictures::pattern(64, 1);
    let names: Vec<String> = (0..400).map(|index| format!("{index:03}.png")).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), picture.clone())).collect();
    let id = taken(post(&app, "model=slow", "application/zip", zip(&files)).await).await;
    problem(app.get(&format!("/v1/jobs/{id}/results")).await, 409, "conflict").await;
    while job(&app, &id).await["pictures"]["done"] == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Whoever waits goes first.
    app.answer("slow/predict", &picture).await;
    let cancel = async || app.client.post(app.url(&format!("/v1/jobs/{id}/cancel"))).send().await.unwrap();
    let cancelled: Value = cancel().await.json().await.unwrap();
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    let done = cancelled["pictures"]["done"].as_u64().unwrap();
    assert!(0 < done && done < 400, "{cancelled}");
    problem(cancel().await, 409, "conflict").await;
    assert_eq!(results(&app, &id).await.len() as u64, done);
    // Two leases later nothing has been added.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(job(&app, &id).await, cancelled);
}

async fn a_job_is_its_keys_own_and_an_admins(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app = server(&database, |settings| {
        settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
        let keys = "one:predict:key-number-one-1 two:predict:key-number-two-2 boss:predict+admin:key-of-the-boss-3";
        settings.access.keys = parse_keys(keys).unwrap();
    })
    .await;
    let ask = |request: reqwest::RequestBuilder, key: &str| request.bearer_auth(key).send();
    let body = zip(&[("red.png", pictures::plain(4, 4, RED))]);
    let request =
        app.client.post(app.url("/v1/jobs?model=colours")).header("content-type", "application/zip").body(body);
    let id = taken(ask(request, "key-number-one-1").await.unwrap()).await;
    for (key, seen) in [("key-number-one-1", true), ("key-number-two-2", false), ("key-of-the-boss-3", true)] {
        let list: Value = ask(app.client.get(app.url("/v1/jobs")), key).await.unwrap().json().await.unwrap();
        assert_eq!(list["jobs"].as_array().unwrap().len(), usize::from(seen), "{key}");
        let found = ask(app.client.get(app.url(&format!("/v1/jobs/{id}"))), key).await.unwrap();
        match seen {
            true => assert_eq!(found.json::<Value>().await.unwrap()["author"], "one"),
            false => _ = problem(found, 404, "unknown-job").await,
        }
    }
    let cancel = app.client.post(app.url(&format!("/v1/jobs/{id}/cancel")));
    problem(ask(cancel, "key-number-two-2").await.unwrap(), 404, "unknown-job").await;
}

async fn what_makes_no_job_is_refused_with_the_reason(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app = server(&database, |settings| {
        settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
        settings.jobs.max_pictures = 2;
        settings.jobs.max_bytes = 100_000;
        settings.jobs.sources = vec!["s3://photos/public".parse().unwrap()];
    })
    .await;
    let source = |address: &str| json!({"source": address}).to_string().into_bytes();
    let red = pictures::plain(4, 4, RED);
    let three: Vec<(&str, Vec<u8>)> = ["a", "b", "c"].map(|name| (name, red.clone())).to_vec();
    // Ten times as much as may come out of it.
    let bomb = {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        archive.start_file("bomb.png", packed).unwrap();
        archive.write_all(&vec![0; 4_000_000]).unwrap();
        archive.finish().unwrap().into_inner()
    };
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        ("", "application/zip", zip(&three[..1]), 400, "parameter"),
        ("model=colours&format=csv", "application/zip", zip(&three[..1]), 400, "parameter"),
        ("model=colours&timeout=1", "application/zip", zip(&three[..1]), 400, "parameter"),
        ("model=colours&operating_point=no", "application/zip", zip(&three[..1]), 400, "parameter"),
        ("model=colours&output=s3://photos/x/", "application/zip", zip(&three[..1]), 400, "parameter"),
        ("model=colours&output=s3://photos/x", "application/zip", zip(&three[..1]), 403, "address-refused"),
        ("model=none", "application/zip", zip(&three[..1]), 404, "unknown-model"),
        ("model=colours&version=7", "application/zip", zip(&three[..1]), 404, "unknown-version"),
        ("model=colours", "application/zip", b"no archive".to_vec(), 400, "body"),
        ("model=colours", "application/zip", zip(&[]), 422, "no-picture"),
        ("model=colours", "application/zip", zip(&three), 413, "too-many-pictures"),
        ("model=colours", "application/zip", bomb, 413, "body-too-large"),
        ("model=colours", "application/zip", zip(&[("a", pictures::noise(300, 300, 1))]), 413, "body-too-large"),
        ("model=colours", "text/plain", b"hello".to_vec(), 415, "media-type"),
        ("model=colours", "application/json", source("s3://photos/publicity"), 403, "address-refused"),
        ("model=colours", "application/json", source("file:///etc"), 403, "address-refused"),
        ("model=colours", "application/json", source("/etc"), 400, "body"),
        ("model=colours", "application/json", json!(["s3://photos/public"]).to_string().into_bytes(), 400, "body"),
        ("model=colours", "application/x-ndjson", br#"["s3://photos/public/a.png", null]"#.to_vec(), 400, "body"),
        ("model=colours", "application/json", b"{}".to_vec(), 400, "body"),
        ("model=colours", "application/x-ndjson", b"{\"url\": \"https://example.org/a.jpg\"}".to_vec(), 400, "url-off"),
        ("model=colours", "application/x-ndjson", b"{\"url\": \"s3://other/a.jpg\"}".to_vec(), 403, "address-refused"),
        ("model=colours", "application/x-ndjson", b"{\"link\": 1}".to_vec(), 400, "body"),
        ("model=colours", "application/x-ndjson", b"\n\n".to_vec(), 422, "no-picture"),
    ];
    for (query, content_type, body, status, kind) in cases {
        let response = post(&app, query, content_type, body).await;
        let text = format!("{query} {content_type}");
        let found = response.status().as_u16();
        let said: Value = response.json().await.unwrap();
        let kinds = (found, said["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned());
        assert_eq!(kinds, (status, kind.to_owned()), "{text}: {said}");
    }
    let list: Value = app.get("/v1/jobs").await.json().await.unwrap();
    assert_eq!(list, json!({"jobs": []}));
    let kept = std::fs::read_dir(folder.path()).unwrap().flatten();
    let left = kept.filter(|entry| std::fs::read_dir(entry.path()).is_ok_and(|files| files.count() > 0)).count();
    assert_eq!(left, 0, "no upload is left of what was refused");
    for id in ["nothing", "%00", "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23"] {
        problem(app.get(&format!("/v1/jobs/{id}")).await, 404, "unknown-job").await;
    }
}

async fn a_task_whose_server_is_not_heard_of_is_done_by_another_once(database: TestDatabase) {
    use tagpoint::store::{
        Store,
        jobs::{Given, NewJob, Outcome},
    };
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let job = NewJob {
        id: "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23".to_owned(),
        author: None,
        model: "colours".to_owned(),
        version: 1,
        selection: "{}".to_owned(),
        source: "zip".to_owned(),
        output: None,
        format: "jsonl".to_owned(),
    };
    store.add_job(&job, 2, vec!["[1]".to_owned(), "[2]".to_owned()]).await.unwrap();
    let loaded = ["colours/1".to_owned()];
    let long = Duration::from_secs(600);
    let passes = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&mut database.connect().await).await.unwrap();
    };
    assert_eq!(store.lease_task(&["colours/2".to_owned()], long).await.unwrap(), None);
    let lost = store.lease_task(&loaded, long).await.unwrap().unwrap();
    let other = store.lease_task(&loaded, long).await.unwrap().unwrap();
    assert_eq!(((lost.task, lost.attempts), (other.task, other.attempts)), ((1, 1), (2, 1)));
    assert_eq!(store.lease_task(&loaded, long).await.unwrap(), None);
    passes("UPDATE job_tasks SET leased_until_ms = 1 WHERE task = 1").await;
    let again = store.lease_task(&loaded, long).await.unwrap().unwrap();
    assert_eq!((again.task, again.attempts, again.pictures.as_deref()), (1, 2, Some("[1]")));
    let outcome = |text: &str| Outcome::Predicted { answered: 1, failed: 0, results: format!("{text}\n") };
    // The first one was only slow: it can do nothing any more.
    assert!(!store.renew_lease(&lost, long).await.unwrap());
    store.release_task(&lost, &Given::Unbegun).await.unwrap();
    assert!(!store.finish_task(&lost, &outcome("\"lost\"")).await.unwrap());
    assert!(store.renew_lease(&again, long).await.unwrap());
    assert!(store.finish_task(&again, &outcome("\"again\"")).await.unwrap());
    assert!(!store.finish_task(&again, &outcome("\"twice\"")).await.unwrap());
    // What is given back may be taken at once, and was no attempt.
    store.release_task(&other, &Given::Unbegun).await.unwrap();
    let other = store.lease_task(&loaded, long).await.unwrap().unwrap();
    assert_eq!((other.task, other.attempts), (2, 1));
    let failed = Given::Failed { reason: "no".to_owned(), pause: long };
    store.release_task(&other, &failed).await.unwrap();
    assert_eq!(store.lease_task(&loaded, long).await.unwrap(), None);
    passes("UPDATE job_tasks SET not_before_ms = 1 WHERE task = 2").await;
    let other = store.lease_task(&loaded, long).await.unwrap().unwrap();
    assert_eq!(other.attempts, 2);
    assert!(store.finish_task(&other, &outcome("\"other\"")).await.unwrap());
    let row = store.job(&job.id).await.unwrap().unwrap();
    assert_eq!((row.state.name(), row.total, row.answered, row.failed), ("completed", Some(2), 2, 0));
    let lines = store.job_results(&job.id).try_concat().await.unwrap().concat();
    assert_eq!(lines, "\"again\"\n\"other\"\n");
}

async fn a_server_that_requests_keep_busy_leaves_tasks_to_one_that_is_idle(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let files = |settings: &mut Settings| settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned());
    let busy = server(&database, |settings| {
        files(settings);
        // A picture waits for more than there are places for, and has half of the places.
        (settings.queue_limit, settings.max_batch, settings.max_delay) = (2, 3, Duration::from_secs(600));
        settings.request_timeout = Duration::from_secs(600);
    })
    .await;
    let waits = tokio::spawn(busy.predict("colours/predict", &pictures::plain(4, 4, BLUE)).send());
    busy.until_waiting("colours", |length| length == 1).await;
    let body = zip(&[("a.png", pictures::plain(4, 4, RED)), ("b.png", pictures::plain(4, 4, RED))]);
    let id = taken(post(&busy, "model=colours", "application/zip", body).await).await;
    // It looks for tasks when a job is made, and every second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let idle = server(&database, files).await;
    let ended = end(&idle, &id).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["pictures"], json!({"total": 2, "done": 2, "failed": 0}), "{ended}");
    assert!(!waits.is_finished());
}

fn jobs(database: &TestDatabase, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
    command.arg("jobs").args(arguments).env("TAGPOINT_DATABASE", &database.address).env_remove("RUST_LOG");
    // Off the runtime's threads, which forward to PostgreSQL.
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(said).unwrap())
}

async fn the_program_lists_watches_and_cancels_jobs(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let app =
        server(&database, |settings| settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned())).await;
    assert_eq!(jobs(&database, &["list"]), (true, "there are no jobs; POST /v1/jobs makes one\n".to_owned()));
    let id = taken(post(&app, "model=colours", "application/zip", zip(&[("a.png", pictures::plain(4, 4, RED))])).await)
        .await;
    let (succeeded, said) = jobs(&database, &["watch", &id]);
    assert!(succeeded && said == format!("{id}: completed, 1 answered, 0 failed\n"), "{said}");
    let (_, list) = jobs(&database, &["list"]);
    assert!(list.contains(&id) && list.contains("1/1") && list.contains("colours/1"), "{list}");
    let (_, lines) = jobs(&database, &["results", &id]);
    assert_eq!(parsed(&lines), results(&app, &id).await);
    let (succeeded, said) = jobs(&database, &["cancel", &id]);
    assert!(!succeeded && said.contains("has ended already: it is completed"), "{said}");
    let (succeeded, said) = jobs(&database, &["watch", "nothing"]);
    assert!(!succeeded && said.contains("there is no job \"nothing\""), "{said}");
    // None that is not at an end.
    assert_eq!(jobs(&database, &["watch"]), (true, String::new()));
}

async fn old_jobs_are_forgotten_with_their_uploads(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let start = || server(&database, |settings| settings.jobs.files = Some(folder.path().to_str().unwrap().to_owned()));
    let app = start().await;
    let body = zip(&[("a.png", pictures::plain(4, 4, RED)), ("b.png", pictures::plain(4, 4, RED))]);
    let old = taken(post(&app, "model=colours", "application/zip", body.clone()).await).await;
    let young = taken(post(&app, "model=colours", "application/zip", body).await).await;
    end(&app, &old).await;
    end(&app, &young).await;
    let sql = format!("UPDATE jobs SET finished_ms = finished_ms - 2678400000 WHERE id = '{old}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut database.connect().await).await.unwrap();
    let files = |id: &str| std::fs::read_dir(folder.path().join(id)).map_or(0, Iterator::count);
    assert_eq!((files(&old), files(&young)), (2, 2));
    let _again = start().await;
    let begun = Instant::now();
    while app.get(&format!("/v1/jobs/{old}")).await.status() != 404 {
        assert!(begun.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rows(&database, "jobs", 1).await;
    assert_eq!((files(&old), files(&young)), (0, 2));
}

/// PostgreSQL does the same; but there a test has no connection of its own while the server's are stuck.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_comes_while_the_server_stops_goes_back_unbegun() {
    let database = TestDatabase::sqlite().await;
    let app = server(&database, |_| {}).await;
    let mut stuck = database.get_stuck().await.unwrap();
    let sql = "INSERT INTO jobs (id, created_ms, model, version, selection, source, format, state, total)
            VALUES ('0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23', 0, 'colours', 1, '{}', 'urls', 'jsonl', 'queued', 1);
        INSERT INTO job_tasks (job_id, task, kind, pictures, not_before_ms, attempts)
            VALUES ('0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23', 1, 'predict', '[]', 0, 0)";
    sqlx::raw_sql(sql).execute(&mut stuck).await.unwrap();
    // Servers look for tasks every second: this one asks for the task now, and is told to stop before it has it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    app.stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::raw_sql("COMMIT").execute(&mut stuck).await.unwrap();
    app.task.await.unwrap().unwrap();
    let sql = "SELECT attempts, leased_by, done_ms FROM job_tasks";
    let found: (i64, Option<String>, Option<i64>) = sqlx::query_as(sql).fetch_one(&mut stuck).await.unwrap();
    assert_eq!(found, (0, None, None));
}
