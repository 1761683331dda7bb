//! An application with models of its own, on a free port.

pub mod between;
pub mod clients;
pub mod database;
pub mod graphs;
pub mod grpc;
pub mod models;
pub mod origin;
pub mod pictures;
pub mod program;
pub mod stores;

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tagpoint::{
    model::ModelFile,
    serve::{Application, Models, Settings},
    store::Database,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// A running application.
pub struct App {
    pub address: SocketAddr,
    pub client: Client,
    pub models: Arc<Models>,
    /// Tells the application to stop; dropping it does too.
    pub stop: oneshot::Sender<()>,
    pub task: JoinHandle<std::io::Result<()>>,
    /// The models folder; deleted with the application.
    pub folder: tempfile::TempDir,
}

/// A client over the TLS of the program.
pub fn client() -> Client {
    tagpoint::tls::use_ring();
    Client::new()
}

/// Writes version 1 of a model into a models folder.
pub fn put(folder: &Path, name: &str, file: &ModelFile) {
    put_version(folder, name, 1, file);
}

/// Writes a version of a model into a models folder.
pub fn put_version(folder: &Path, name: &str, version: u32, file: &ModelFile) {
    file.write(&folder.join(name).join(version.to_string()).join("model.onnx")).unwrap();
}

impl App {
    /// Starts an application with these models and waits until they are loaded.
    pub async fn start(models: &[(&str, &ModelFile)]) -> Self {
        Self::start_with(models, |_| {}).await
    }

    /// The same with other settings.
    pub async fn start_with(models: &[(&str, &ModelFile)], adjust: impl FnOnce(&mut Settings)) -> Self {
        let app = Self::start_loading(models, adjust).await;
        app.models.loaded().await;
        app
    }

    /// The same without waiting for the models.
    pub async fn start_loading(models: &[(&str, &ModelFile)], adjust: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, file) in models {
            put(folder.path(), name, file);
        }
        let database = Database::None;
        let mut settings = Settings { models: folder.path().to_owned(), database, ..Settings::default() };
        adjust(&mut settings);
        let application = Application::build(settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let models = application.models();
        let task = tokio::spawn(application.run(listener, async move {
            let _ = stopped.await;
        }));
        Self { address, client: client(), models, stop, task, folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// A prediction's request: a raw body of any type.
    pub fn predict(&self, target: &str, body: &[u8]) -> RequestBuilder {
        let url = self.url(&format!("/v1/models/{target}"));
        self.client.post(url).header("content-type", "application/octet-stream").body(body.to_vec())
    }

    /// Sends a POST's head, with these headers too, and waits until the server asks for the body: then it has let the request in.
    pub async fn begin_post(&self, path: &str, headers: &[&str], length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    /// Returns once the number of pictures that wait for version 1 of a model is one that is wanted.
    pub async fn until_waiting(&self, model: &str, is_wanted: impl Fn(usize) -> bool) {
        let series = format!("tagpoint_queue_length{{model=\"{model}\",version=\"1\"}} ");
        let begun = Instant::now();
        loop {
            let page = self.get("/metrics").await.text().await.unwrap();
            let waiting = page.lines().find_map(|line| line.strip_prefix(&series)).unwrap();
            if is_wanted(waiting.parse().unwrap()) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{waiting} pictures wait for {model}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The answer to a picture, which has to be a 200.
    pub async fn answer(&self, target: &str, picture: &[u8]) -> Value {
        let response = self.predict(target, picture).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// An admin's request, which has to succeed: the model after it.
    pub async fn change(&self, method: Method, path: &str) -> Value {
        let response = self.ask(method, path).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        body["model"].clone()
    }

    /// An admin's request without a body.
    pub async fn ask(&self, method: Method, path: &str) -> Response {
        self.client.request(method, self.url(&format!("/v1/admin/{path}"))).send().await.unwrap()
    }

    /// The answer to a form of pictures, with its status.
    pub async fn form(&self, target: &str, parts: &[(&str, &[u8])]) -> (u16, Value) {
        let mut form = reqwest::multipart::Form::new();
        for (name, bytes) in parts {
            let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name((*name).to_owned());
            form = form.part("picture", part);
        }
        let url = self.url(&format!("/v1/models/{target}"));
        let response = self.client.post(url).multipart(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

/// The problem document of a response, after checking what holds for every problem.
pub async fn problem(response: Response, status: u16, kind: &str) -> Value {
    let found = response.status().as_u16();
    let headers = response.headers().clone();
    let body: Value = response.json().await.unwrap();
    assert_eq!(found, status, "{body}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], format!("urn:tagpoint:problem:{kind}"), "{body}");
    assert_eq!(body["instance"], headers["x-request-id"].to_str().unwrap());
    assert!(!body["title"].as_str().unwrap().is_empty() && !body["detail"].as_str().unwrap().is_empty());
    body
}

/// The labels of an answer, in order.
pub fn label_names(answer: &Value) -> Vec<&str> {
    answer["labels"].as_array().unwrap().iter().map(|label| label["label"].as_str().unwrap()).collect()
}
