//! The real program with its models in object stores: S3, Azure's and Google's.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use object_store::{
    ObjectStoreExt as _,
    aws::{AmazonS3, AmazonS3Builder},
    azure::{AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder},
};
use reqwest::Client;
use serde_json::Value;
use tagpoint::model::ModelFile;

use crate::helpers::{
    between::{Between, Objects},
    client, models, pictures,
    program::Program,
    stores::{Store, s3_variables},
};

/// A server over a store, with a cache of its own.
struct Served {
    program: Program,
    client: Client,
    _cache: Option<tempfile::TempDir>,
}

impl Served {
    /// Starts the program, and waits until it is ready.
    async fn start(place: &str, variables: &[(&str, &str)]) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let mut served = Self::with_cache(place, variables, cache.path());
        served._cache = Some(cache);
        served.wait_for("/readyz", |ready| ready["status"] == "ready").await;
        served
    }

    fn with_cache(place: &str, variables: &[(&str, &str)], cache: &Path) -> Self {
        Self::with(place, variables, cache, &["--watch-s", "0.2"])
    }

    fn with(place: &str, variables: &[(&str, &str)], cache: &Path, more: &[&str]) -> Self {
        let arguments = [&["--models", place, "--model-cache", cache.to_str().unwrap()][..], more].concat();
        Self { program: Program::serve(&arguments, variables), client: client(), _cache: None }
    }

    async fn get(&self, path: &str) -> Value {
        self.client.get(self.program.url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// Asks until the answer is as it should be.
    async fn wait_for(&self, path: &str, is_so: impl Fn(&Value) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let found = self.get(path).await;
            if is_so(&found) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{path}: {found}\n{}", self.program.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The version that answers a red picture, and its score for red.
    async fn answers(&self) -> (String, f64) {
        let url = self.program.url("/v1/models/colours/predict?all=true");
        let red = pictures::plain(4, 4, [255, 0, 0]);
        let response = self.client.post(url).header("content-type", "image/png").body(red).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["labels"][0]["label"], "red");
        (body["version"].as_str().unwrap().to_owned(), body["labels"][0]["score"].as_f64().unwrap())
    }

    /// An admin's request, with its status.
    async fn change(&self, path: &str) -> (u16, Value) {
        let url = self.program.url(&format!("/v1/admin/{path}"));
        let response = self.client.post(url).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn is(found: (String, f64), version: &str, logit: f64) {
    assert!(found.0 == version && (found.1 - sigmoid(logit)).abs() < 1e-5, "{found:?}, not {version} with {logit}");
}

/// The bucket of an S3, for writing.
async fn bucket_of(s3: &Store) -> AmazonS3 {
    s3.make_bucket("bucket").await;
    let bucket = AmazonS3Builder::new().with_bucket_name("bucket").with_endpoint(s3.url("")).with_allow_http(true);
    let bucket = bucket.with_access_key_id("key").with_secret_access_key("secret").with_region("us-east-1");
    bucket.build().unwrap()
}

/// Writes a version of `colours` into a bucket.
async fn put(bucket: &AmazonS3, version: u32, bytes: Vec<u8>) {
    bucket.put(&object(version), bytes.into()).await.unwrap();
}

fn object(version: u32) -> object_store::path::Path {
    format!("team/models/colours/{version}/model.onnx").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_of_an_s3_bucket_are_served_promoted_replaced_and_taken_away_as_the_bucket_changes() {
    let s3 = Store::s3(&[]);
    let bucket = bucket_of(&s3).await;
    let endpoint = s3.url("");
    let variables = s3_variables(&endpoint);
    put(&bucket, 1, models::colours().bytes).await;
    let served = Served::start("s3://bucket/team/models", &variables).await;
    is(served.answers().await, "1", 4.0);

    // A second version is loaded as it appears, and answers once it is promoted.
    let (status, pinned) = served.change("models/colours/versions/1/promote").await;
    assert_eq!(status, 200, "{pinned}");
    assert!(pinned["note"].as_str().unwrap().contains("until the server stops"), "{pinned}");
    put(&bucket, 2, models::shifted_colours(-5.0).bytes).await;
    served.wait_for("/v1/models/colours/versions/2", |version| version["state"] == "ready").await;
    is(served.answers().await, "1", 4.0);
    assert_eq!(served.change("models/colours/versions/2/promote").await.0, 200);
    is(served.answers().await, "2", 3.0);
    assert_eq!(served.change("models/colours/rollback").await.0, 200);
    is(served.answers().await, "1", 4.0);

    // What was replaced in the bucket is taken when it is loaded anew.
    put(&bucket, 2, models::shifted_colours(-6.0).bytes).await;
    assert_eq!(served.change("models/colours/versions/2/unload").await.0, 200);
    assert_eq!(served.change("models/colours/versions/2/promote").await.0, 200);
    is(served.answers().await, "2", 2.0);

    // What is no model is refused, and the one before goes on.
    put(&bucket, 3, b"this is no model".to_vec()).await;
    served.wait_for("/v1/models/colours/versions/3", |version| version["state"] == "refused").await;
    let refusal = served.program.log().lines().any(|line| {
        line.contains("model refused") && line.contains("\"version\":\"3\"") && line.contains("not an ONNX file")
    });
    assert!(refusal, "{}", served.program.log());
    is(served.answers().await, "2", 2.0);

    // What is gone from the bucket is no longer served.
    assert_eq!(served.change("models/colours/rollback").await.0, 200);
    for version in [2, 3] {
        bucket.delete(&object(version)).await.unwrap();
    }
    let only_the_first = |models: &Value| {
        models["models"][0]["version"] == "1" && models["models"][0]["versions"].as_array().unwrap().len() == 1
    };
    served.wait_for("/v1/models", only_the_first).await;
    is(served.answers().await, "1", 4.0);

    // Another server with the same cache downloads nothing.
    let cache = served._cache.as_ref().unwrap().path();
    let again = Served::with_cache("s3://bucket/team/models", &variables, cache);
    again.wait_for("/readyz", |ready| ready["status"] == "ready").await;
    is(again.answers().await, "1", 4.0);
    assert!(served.program.log().contains("downloading") && !again.program.log().contains("downloading"));

    // Without the store, what is loaded goes on answering, and the server stays ready.
    drop(s3);
    let (status, refused) = served.change("rescan").await;
    assert!(status == 503 && refused["detail"].as_str().unwrap().contains("does not answer"), "{refused}");
    assert_eq!(served.get("/readyz").await["status"], "ready");
    is(served.answers().await, "1", 4.0);
    // One that starts without it says why it has nothing.
    let late = Served::with_cache("s3://bucket/team/models", &variables, cache);
    let says_why = |ready: &Value| ready["detail"].as_str().is_some_and(|why| why.contains("s3://bucket/team/models"));
    late.wait_for("/readyz", says_why).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_gives_no_objects_for_a_while_leaves_no_server_unready_watching_or_not() {
    let s3 = Store::s3(&[]);
    let bucket = bucket_of(&s3).await;
    put(&bucket, 1, models::colours().bytes).await;
    put(&bucket, 2, b"this is no model".to_vec()).await;
    let between = Between::start(s3.address, "/colours/1/", Objects::Refused).await;
    let endpoint = between.url();
    let (variables, cache) = (s3_variables(&endpoint), tempfile::tempdir().unwrap());
    let servers = ["0", "0.2"].map(|watch| {
        let more = ["--watch-s", watch, "--versions", "2"];
        Served::with("s3://bucket/team/models", &variables, &cache.path().join(watch), &more)
    });
    let is_delayed = |version: &Value| {
        version["state"] == "loading" && version["reason"].as_str().is_some_and(|why| why.contains("does not answer"))
    };
    for served in &servers {
        served.wait_for("/v1/models/colours/versions/1", is_delayed).await;
        let (status, body) = served.change("models/colours/versions/1/load").await;
        assert!(status == 503 && body["type"] == "urn:tagpoint:problem:not-ready", "{body}");
        assert_ne!(served.get("/readyz").await["status"], "ready");
    }
    between.set(Objects::Pass);
    for served in &servers {
        served.wait_for("/readyz", |ready| ready["status"] == "ready").await;
        is(served.answers().await, "1", 4.0);
        // What is no model was not opened again and again meanwhile.
        let log = served.program.log();
        assert_eq!(log.matches("model refused").count(), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_waits_for_the_download_of_a_version_that_it_does_not_need() {
    let s3 = Store::s3(&[]);
    let bucket = bucket_of(&s3).await;
    put(&bucket, 1, models::colours().bytes).await;
    put(&bucket, 2, models::shifted_colours(-5.0).bytes).await;
    let between = Between::start(s3.address, "/colours/3/", Objects::Trickle).await;
    let (endpoint, cache) = (between.url(), tempfile::tempdir().unwrap());
    let more = ["--watch-s", "0.2", "--versions", "2"];
    let served = Served::with("s3://bucket/team/models", &s3_variables(&endpoint), cache.path(), &more);
    served.wait_for("/readyz", |ready| ready["status"] == "ready").await;
    for version in [1, 2] {
        let (status, promoted) = served.change(&format!("models/colours/versions/{version}/promote")).await;
        assert_eq!(status, 200, "{promoted}");
    }
    is(served.answers().await, "2", 3.0);

    // The third begins to come, and does not come to an end.
    put(&bucket, 3, models::shifted_colours(-6.0).bytes).await;
    served.wait_for("/v1/models/colours/versions/3", |version| version["state"] == "loading").await;
    let soon = async |path: &str| {
        let change = tokio::time::timeout(Duration::from_secs(60), served.change(path)).await;
        let (status, changed) = change.expect("it waits for a download");
        assert_eq!(status, 200, "{changed}");
    };
    soon("models/colours/rollback").await;
    is(served.answers().await, "1", 4.0);
    soon("models/colours/versions/2/unload").await;
    soon("models/colours/versions/2/load").await;
    assert_eq!(served.get("/v1/models/colours/versions/3").await["state"], "loading");

    // Once it has come it is loaded, and what was chosen meanwhile holds.
    between.set(Objects::Pass);
    served.wait_for("/v1/models/colours/versions/3", |version| version["state"] == "ready").await;
    let (status, scanned) = served.change("rescan").await;
    assert_eq!((status, scanned["ready"].as_array().unwrap().len()), (200, 3), "{scanned}");
    is(served.answers().await, "1", 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_of_an_azure_container_are_served() {
    let (account, key) = ("tagpoint", BASE64.encode([7; 64]));
    let azure = Store::azure(account, &key);
    let endpoint = azure.url(&format!("/{account}"));

    // A container is made by the store's own call, signed.
    let request = http::Request::put(format!("{endpoint}/models?restype=container")).header("content-length", "0");
    let mut request = request.body(object_store::client::HttpRequestBody::empty()).unwrap();
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(&key).unwrap());
    AzureAuthorizer::new(&credential, account).try_authorize(&mut request).unwrap();
    let made = client().put(request.uri().to_string()).headers(request.headers().clone()).send().await.unwrap();
    assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
    let container =
        MicrosoftAzureBuilder::new().with_account(account).with_access_key(&key).with_container_name("models");
    let container = container.with_endpoint(endpoint.clone()).with_allow_http(true).build().unwrap();
    let put = async |version: u32, file: ModelFile| {
        let path = format!("team/colours/{version}/model.onnx").into();
        container.put(&path, file.bytes.into()).await.unwrap();
    };
    put(1, models::colours()).await;

    let variables = [
        ("AZURE_STORAGE_ACCOUNT_NAME", account),
        ("AZURE_STORAGE_ACCOUNT_KEY", &key),
        ("AZURE_STORAGE_ENDPOINT", &endpoint),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    let served = Served::start("az://models/team", &variables).await;
    is(served.answers().await, "1", 4.0);
    put(2, models::shifted_colours(-5.0)).await;
    served.wait_for("/v1/models/colours", |model| model["version"] == "2").await;
    is(served.answers().await, "2", 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_of_a_google_bucket_are_served() {
    let google = Store::google();
    let post = async |path: &str, body: Vec<u8>| {
        let response = client().post(google.url(path)).body(body).send().await.unwrap();
        assert!(response.status().is_success(), "{}: {}", response.status(), response.text().await.unwrap());
    };
    post("/storage/v1/b?project=p", br#"{"name": "bucket"}"#.to_vec()).await;
    let put = async |version: u32, file: ModelFile| {
        let name = format!("team%2Fcolours%2F{version}%2Fmodel.onnx");
        let upload = format!("/upload/storage/v1/b/bucket/o?uploadType=media&name={name}");
        post(&upload, file.bytes).await;
    };
    put(1, models::colours()).await;

    // As Google's own account file, for a server that gives out no tokens.
    let folder = tempfile::tempdir().unwrap();
    let account = folder.path().join("account.json");
    let text = serde_json::json!({
        "gcs_base_url": google.url(""), "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
    });
    std::fs::write(&account, text.to_string()).unwrap();
    let variables = [("GOOGLE_SERVICE_ACCOUNT", account.to_str().unwrap())];
    let served = Served::start("gs://bucket/team", &variables).await;
    is(served.answers().await, "1", 4.0);
    put(2, models::shifted_colours(-5.0)).await;
    served.wait_for("/v1/models/colours", |model| model["version"] == "2").await;
    is(served.answers().await, "2", 3.0);
}
