//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tagpoint::{
    model::ModelFile,
    serve::{FetchRules, Scheme, openapi_document, parse_keys},
    store::{Database, Store, keys::KeyRow},
};

use crate::helpers::{App, database::TestDatabase, models, origin::Origin, pictures, put_version};

/// `UPDATE_OPENAPI=1 cargo test --test api` writes the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    let made = with_quoted_times(&openapi_document().to_yaml().unwrap());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == made, "openapi.yaml is not the code's: run UPDATE_OPENAPI=1 cargo test --test api");
}

/// Without quotes YAML takes for a time what is text that looks like one.
fn with_quoted_times(yaml: &str) -> String {
    let is_time = |text: &str| text.len() == 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    let mut quoted = String::with_capacity(yaml.len());
    for line in yaml.lines() {
        match line.rsplit_once(": ") {
            Some((name, text)) if is_time(text) => quoted += &format!("{name}: '{text}'\n"),
            _ => quoted += &format!("{line}\n"),
        }
    }
    quoted
}

/// (operation, status) of what the document says of the Open Inference Protocol, or of everything else.
pub fn documented(protocol: bool) -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut found = BTreeSet::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        for status in operation["responses"].as_object().unwrap().keys() {
            found.insert((operation["operationId"].as_str().unwrap().to_owned(), status.clone()));
        }
    }
    found.retain(|(operation, _)| operation.starts_with("v2_") == protocol);
    found
}

#[test]
fn the_document_is_openapi_3_1_and_every_answer_has_its_header_and_example() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for response in item.as_object().unwrap().values().flat_map(|op| op["responses"].as_object().unwrap().values())
        {
            assert!(response["headers"]["x-request-id"].is_object(), "{path}: {response}");
            let content = response["content"].as_object().unwrap().values().next().unwrap();
            assert!(content.get("example").is_some() || content.get("examples").is_some(), "{path}: {response}");
        }
    }
}

/// (operation, status) of every answer so far.
#[derive(Default)]
pub struct Seen(pub BTreeSet<(String, String)>);

impl Seen {
    fn add(&mut self, operation: &str, response: &reqwest::Response) {
        self.0.insert((operation.to_owned(), response.status().as_str().to_owned()));
    }

    /// Predictions, by the default version and by one of the caller's choice.
    async fn predictions(&mut self, app: &App, model: &str, query: &str, body: &[u8]) {
        let by_default = app.predict(&format!("{model}/predict{query}"), body).send().await.unwrap();
        self.add("predict", &by_default);
        let by_version = app.predict(&format!("{model}/versions/1/predict{query}"), body).send().await.unwrap();
        self.add("predict_by_version", &by_version);
    }

    /// A picture whose URL's host has none.
    async fn by_url(&mut self) {
        let missing = Origin::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        let (port, networks) = (missing.address.port(), vec!["127.0.0.1".parse().unwrap()]);
        let app = App::start_with(&[("colours", &models::colours())], |settings| {
            let schemes = vec![Scheme::Http];
            settings.fetch = Some(FetchRules { schemes, ports: vec![port], networks, ..FetchRules::default() });
        })
        .await;
        let body = serde_json::json!({"url": missing.url()});
        for (operation, target) in [("predict", "predict"), ("predict_by_version", "versions/1/predict")] {
            let request = app.client.post(app.url(&format!("/v1/models/colours/{target}"))).json(&body);
            self.add(operation, &request.send().await.unwrap());
        }
    }

    /// Every address that needs a key, asked with each of these.
    async fn with_keys(&mut self, app: &App, keys: &[Option<&str>]) {
        let document = serde_json::to_value(openapi_document()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if operation["responses"].get("401").is_none() {
                    continue;
                }
                let path = path.replace("{name}", "colours").replace("{version}", "1").replace("{id}", "1");
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                for key in keys {
                    let mut request = app.client.request(method.clone(), app.url(&path));
                    if let Some(key) = key {
                        request = request.bearer_auth(key);
                    }
                    self.add(operation["operationId"].as_str().unwrap(), &request.send().await.unwrap());
                }
            }
        }
    }

    /// Corrections and what becomes of them, asked of one prediction and one model.
    async fn of_feedback(&mut self, app: &App, id: &Value, model: &str, query: &str) {
        let url = app.url(&format!("/v1/predictions/{}/feedback{query}", id.as_str().unwrap()));
        let truth = serde_json::json!({"labels": ["red"]});
        self.add("give_feedback", &app.client.post(url).json(&truth).send().await.unwrap());
        let and = query.replace('?', "&");
        self.add("review", &app.get(&format!("/v1/review?model={model}{and}")).await);
        let path = format!("/v1/predictions/{}/picture{query}", id.as_str().unwrap());
        self.add("get_kept_picture", &app.get(&path).await);
        let path = format!("/v1/admin/models/{model}/thresholds/corrections{query}");
        self.add("get_corrections", &app.get(&path).await);
        for (operation, below) in [("refit_thresholds", "refit"), ("roll_back_thresholds", "rollback")] {
            let path = format!("models/{model}/thresholds/{below}{query}");
            self.add(operation, &app.ask(Method::POST, &path).await);
        }
    }

    /// Bodies of which nothing comes, and bodies that are too large.
    async fn bodies(&mut self) {
        let app = App::start_with(&[("colours", &models::colours())], |settings| {
            settings.max_body = 50_000;
            settings.request_timeout = std::time::Duration::from_millis(300);
            settings.database = Database::Sqlite(settings.models.join("test.db"));
        })
        .await;
        for (operation, method, path) in [
            ("predict", "POST", "models/colours/predict"),
            ("predict_by_version", "POST", "models/colours/versions/1/predict"),
            ("set_shadow", "PUT", "admin/models/colours/shadow"),
            ("give_feedback", "POST", "predictions/0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23/feedback"),
        ] {
            for length in [50_000, 50_001] {
                let status = status_without_body(&app, method, &format!("/v1/{path}"), length).await;
                self.0.insert((operation.to_owned(), status));
            }
        }
        let status = status_without_body(&app, "POST", "/v1/jobs?model=colours", 50_000).await;
        self.0.insert(("create_job".to_owned(), status));
    }

    /// Everything that corrections can run into.
    async fn feedback(&mut self) {
        let (database, kept) = (TestDatabase::sqlite().await, tempfile::tempdir().unwrap());
        let app = App::start_with(&[("colours", &models::colours())], |settings| {
            settings.database = database.setting();
            settings.record.share = 1.0;
            settings.record.pictures = Some(kept.path().to_str().unwrap().to_owned());
        })
        .await;
        let mut answered = serde_json::json!("none");
        for (red, truth) in [(0, "[]"), (255, "[\"red\"]")].repeat(5) {
            let answer = app.answer("colours/predict", &pictures::plain(4, 4, [red, 0, 0])).await;
            answered = answer["prediction_id"].clone();
            self.of_feedback(&app, &answered, "colours", "").await;
            let url = app.url(&format!("/v1/predictions/{}/feedback", answered.as_str().unwrap()));
            let truth = format!("{{\"labels\": {truth}}}");
            app.client.post(url).header("content-type", "application/json").body(truth).send().await.unwrap();
        }
        self.of_feedback(&app, &answered, "colours", "").await;
        self.of_feedback(&app, &answered, "colours", "?x=1").await;
        self.of_feedback(&app, &serde_json::json!("none"), "nothing", "").await;
        let without = App::start(&[("colours", &models::colours())]).await;
        self.of_feedback(&without, &answered, "colours", "").await;
        database.go_away().await;
        self.of_feedback(&app, &answered, "colours", "").await;
    }

    /// Bulk jobs, on a server with a database that goes away, and on one without.
    async fn jobs(&mut self) {
        let database = TestDatabase::sqlite().await;
        let app = App::start_with(&[("colours", &models::colours())], |settings| {
            settings.database = database.setting();
            settings.jobs.max_pictures = 1;
            settings.jobs.sources = vec!["file:///no/such/folder".parse().unwrap()];
            // What has been asked for once stays as it is.
            settings.jobs.workers = 0;
        })
        .await;
        let allowed = r#"{"source": "file:///no/such/folder/"}"#;
        let url = r#"{"url": "file:///no/such/folder/a"}"#;
        for (query, content_type, body) in [
            ("", "application/json", allowed.to_owned()),
            ("?model=nothing", "application/json", allowed.to_owned()),
            ("?model=colours", "application/json", allowed.replace("folder", "other")),
            ("?model=colours", "text/plain", String::new()),
            ("?model=colours", "application/x-ndjson", "\n".to_owned()),
            ("?model=colours", "application/x-ndjson", format!("{url}\n{url}")),
        ] {
            self.job(&app, "", query, content_type, body).await;
        }
        let id = self.job(&app, "", "?model=colours", "application/json", allowed.to_owned()).await;
        for query in ["?x=1", "", ""] {
            self.job(&app, &id, query, "application/json", allowed.to_owned()).await;
        }
        self.job(&app, "nothing", "", "application/json", allowed.to_owned()).await;
        let without = App::start(&[("colours", &models::colours())]).await;
        self.job(&without, &id, "?model=colours", "application/json", allowed.to_owned()).await;
        self.job(&without, &id, "", "application/json", allowed.to_owned()).await;
        database.go_away().await;
        self.job(&app, &id, "?model=colours", "application/json", allowed.to_owned()).await;
        self.job(&app, &id, "", "application/json", allowed.to_owned()).await;
    }

    /// Asks for a job, or where one is named, all that is asked of it: the id of the new one.
    async fn job(&mut self, app: &App, id: &str, query: &str, content_type: &'static str, body: String) -> String {
        let make = app.client.post(app.url(&format!("/v1/jobs{query}"))).header("content-type", content_type);
        if id.is_empty() || query.contains("model") {
            let response = make.body(body).send().await.unwrap();
            self.add("create_job", &response);
            let made: Value = response.json().await.unwrap();
            return made["id"].as_str().unwrap_or_default().to_owned();
        }
        self.add("list_jobs", &app.get(&format!("/v1/jobs{query}")).await);
        self.add("get_job", &app.get(&format!("/v1/jobs/{id}{query}")).await);
        self.add("get_job_results", &app.get(&format!("/v1/jobs/{id}/results{query}")).await);
        let cancel = app.client.post(app.url(&format!("/v1/jobs/{id}/cancel{query}")));
        self.add("cancel_job", &cancel.send().await.unwrap());
        id.to_owned()
    }

    /// What is read of a model, and its changes, with one path and query for all.
    async fn of_model(&mut self, app: &App, model: &str, version: u32, query: &str) {
        for (operation, below) in [
            ("get_model", String::new()),
            ("get_model_version", format!("/versions/{version}")),
            ("get_shadow_report", format!("/versions/{version}/shadow")),
        ] {
            self.add(operation, &app.get(&format!("/v1/models/{model}{below}{query}")).await);
        }
        let and = query.replace('?', "&");
        self.add("get_drift", &app.get(&format!("/v1/models/{model}/drift?version={version}{and}")).await);
        for (operation, below) in [
            ("load_version", format!("/versions/{version}/load")),
            ("promote_version", format!("/versions/{version}/promote")),
            ("follow_newest", "/follow-newest".to_owned()),
            ("roll_back", "/rollback".to_owned()),
            ("unload_version", format!("/versions/{version}/unload")),
            ("unload_model", "/unload".to_owned()),
        ] {
            self.add(operation, &app.ask(Method::POST, &format!("models/{model}{below}{query}")).await);
        }
        self.add("end_shadow", &app.ask(Method::DELETE, &format!("models/{model}/shadow{query}")).await);
        let url = app.url(&format!("/v1/admin/models/{model}/shadow{query}"));
        let body = serde_json::json!({"version": version.to_string(), "share": 1});
        self.add("set_shadow", &app.client.put(url).json(&body).send().await.unwrap());
    }
}

/// The status for a body that is announced and never sent.
pub async fn status_without_body(app: &App, method: &str, path: &str, length: usize) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status[9..]).into_owned()
}

/// Everything that needs a key, asked without one, with one of another scope, with one used too often, and with one of a
/// database that is away; of the Open Inference Protocol, or of everything else.
pub async fn guarded(protocol: bool) -> BTreeSet<(String, String)> {
    let mut seen = Seen::default();
    let app = App::start_with(&[], |settings| {
        let keys = "website:predict:the-key-of-the-website operator:admin:the-key-of-an-operator";
        settings.access.keys = parse_keys(keys).unwrap();
        settings.access.rate = Some("0.0001/1".parse().unwrap());
        settings.access.protect_metrics = true;
    })
    .await;
    let keys = [None, Some("the-key-of-the-website"), Some("the-key-of-an-operator")];
    for (path, key) in [("/v1/models", keys[1]), ("/v1/admin/none", keys[2])] {
        app.client.get(app.url(path)).bearer_auth(key.unwrap()).send().await.unwrap();
    }
    seen.with_keys(&app, &keys).await;
    let (app, key) = with_its_database_away().await;
    seen.with_keys(&app, &[Some(&key)]).await;
    seen.0.retain(|(operation, _)| operation.starts_with("v2_") == protocol);
    seen.0
}

/// An application that cannot ask its database for keys any more, and a key that it knew.
async fn with_its_database_away() -> (App, String) {
    let (database, key) = (TestDatabase::sqlite().await, "the-key-of-the-database".to_owned());
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let row = KeyRow {
        id: "1".to_owned(),
        name: "stored".to_owned(),
        digest: parse_keys(&format!("stored:predict:{key}")).unwrap()[0].digest(),
        scopes: "predict+admin".to_owned(),
        rate: None,
        created_ms: 0,
        expires_ms: None,
        last_used_ms: None,
        revoked_ms: None,
    };
    store.add_key(&row).await.unwrap();
    let app = App::start_with(&[], |settings| {
        settings.database = database.setting();
        settings.access.grace = std::time::Duration::ZERO;
        settings.access.protect_metrics = true;
    })
    .await;
    database.go_away().await;
    while app.client.get(app.url("/v1/models")).bearer_auth(&key).send().await.unwrap().status() != 503 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    (app, key)
}

#[tokio::test]
async fn every_documented_status_occurs() {
    let mut seen = Seen::default();
    let picture = pictures::plain(4, 4, [1, 1, 1]);

    let app = App::start_loading(&[("slow", &models::slow(200)), ("colours", &models::colours())], |_| {}).await;
    seen.add("readyz", &app.get("/readyz").await);
    app.models.loaded().await;
    for path in ["/readyz", "/healthz", "/metrics", "/openapi.json", "/v1/models", "/v1/models?x=1"] {
        let operation = match path {
            "/openapi.json" => "openapi_json",
            "/readyz" => "readyz",
            "/healthz" => "healthz",
            "/metrics" => "metrics",
            _ => "list_models",
        };
        seen.add(operation, &app.get(path).await);
    }
    // On a busy machine the answer may be there before anybody looks at the time.
    let late = |operation: &str| (operation.to_owned(), "504".to_owned());
    for _ in 0..100 {
        seen.predictions(&app, "slow", "?timeout=0.0001", &pictures::pattern(64, 1)).await;
        if seen.0.contains(&late("predict")) && seen.0.contains(&late("predict_by_version")) {
            break;
        }
    }

    // Version 2 is there twice: as it was made, and spoilt.
    let spoilt = ModelFile { bytes: Vec::new(), ..models::colours() };
    put_version(app.folder.path(), "colours", 2, &models::shifted_colours(-3.0));
    put_version(app.folder.path(), "colours", 3, &spoilt);
    for (model, version, query) in
        [("colours", 2, "?x=1"), ("nothing", 1, ""), ("colours", 9, ""), ("colours", 3, ""), ("colours", 2, "")]
    {
        seen.of_model(&app, model, version, query).await;
        app.ask(Method::POST, "models/colours/versions/1/load").await;
        app.ask(Method::POST, "models/colours/versions/2/load").await;
    }
    app.ask(Method::POST, "models/colours/versions/2/promote").await;
    seen.add("unload_version", &app.ask(Method::POST, "models/colours/versions/2/unload").await);
    seen.add("unload_version", &app.ask(Method::POST, "models/colours/versions/1/unload").await);
    app.ask(Method::POST, "models/colours/versions/1/promote").await;
    app.ask(Method::POST, "models/colours/versions/2/unload").await;
    put_version(app.folder.path(), "colours", 2, &spoilt);
    seen.add("roll_back", &app.ask(Method::POST, "models/colours/rollback").await);
    app.ask(Method::POST, "models/colours/versions/1/promote").await;
    let fresh = App::start(&[("colours", &models::colours())]).await;
    seen.add("roll_back", &fresh.ask(Method::POST, "models/colours/rollback").await);
    seen.add("get_shadow_report", &app.get("/v1/models/colours/versions/1/shadow").await);
    seen.add("get_drift", &app.get("/v1/models/colours/drift").await);
    for query in ["", "?x=1"] {
        seen.add("rescan", &app.ask(Method::POST, &format!("rescan{query}")).await);
    }

    let (odd, refused) = (models::undefined_for_black(), spoilt);
    let app = App::start_with(&[("odd", &odd), ("refused", &refused)], |settings| settings.picture.max_side = 50).await;
    let black = pictures::plain(4, 4, [0, 0, 0]);
    let wide = pictures::plain(51, 1, [0, 0, 0]);
    for (model, query, body) in [
        ("odd", "", picture.as_slice()),
        ("odd", "?x=1", &picture),
        ("nothing", "", &picture),
        ("odd", "", &wide),
        ("odd", "", b"this is text"),
        ("odd", "", b""),
        ("odd", "", &black),
        ("refused", "", &picture),
    ] {
        seen.predictions(&app, model, query, body).await;
    }

    let app = App::start_with(&[], |settings| settings.models = "no/such/folder".into()).await;
    seen.of_model(&app, "colours", 1, "").await;
    seen.add("rescan", &app.ask(Method::POST, "rescan").await);
    seen.0.extend(guarded(false).await);
    seen.by_url().await;
    seen.bodies().await;
    seen.feedback().await;
    seen.jobs().await;
    // A thread cannot be ended from outside: asserted beside the code.
    seen.0.insert(("healthz".to_owned(), "503".to_owned()));
    seen.0.retain(|(operation, _)| !operation.starts_with("v2_"));
    assert_eq!(seen.0, documented(false));
}

#[tokio::test]
async fn the_page_has_everything_it_needs_and_names_no_other_host() {
    let app = App::start(&[]).await;
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(openapi_document()).unwrap());
    let page = app.get("/docs").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let html = page.text().await.unwrap();
    let quoted = html.split('"').filter(|text| text.ends_with(".js") || text.ends_with(".css"));
    let files: Vec<&str> = quoted.map(|text| text.trim_start_matches("./")).collect();
    assert!(files.len() >= 4, "{html}");
    for file in files {
        let response = app.get(&format!("/docs/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
        if file == "swagger-initializer.js" {
            let script = response.text().await.unwrap();
            assert!(script.contains("/openapi.json") && !script.contains("://"), "{script}");
        }
    }
    assert!(!html.contains("://"), "{html}");
}
