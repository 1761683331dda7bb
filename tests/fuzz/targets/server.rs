//! A server in this process, with one small model, and a connection to it.

use std::{
    path::Path,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tagpoint::{
    onnx::{
        ModelProto,
        builder::{GraphBuilder, ints},
        proto::{DataType, OperatorSetIdProto},
    },
    serve::{Application, Settings},
    store::Database,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

/// Longer than any of these requests may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    runtime: Runtime,
    address: std::net::SocketAddr,
    /// For requests of HTTP/1.1; none after one that ended its connection.
    plain: Mutex<Option<http1::SendRequest<Full<Bytes>>>>,
    /// For gRPC.
    multiplexed: Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    _models: tempfile::TempDir,
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

pub static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// What is said of the model.
const SIDECAR: &str = r#"{"schema_version": 1, "task": {"kind": "values", "names": ["r", "g", "b"]},
    "input": {"resize": {"method": "squish", "size": {"width": 8, "height": 8}}, "mean": [0, 0, 0], "std": [1, 1, 1]}}"#;

/// The mean of each channel, as three values.
fn model() -> Vec<u8> {
    let mut builder = GraphBuilder::default();
    builder.input("x", DataType::Float, &[-1, 3, 8, 8]);
    let mean = builder.node("ReduceMean", "mean", &["x"], vec![ints("axes", &[2, 3])]);
    let flat = builder.node("Flatten", "flat", &[&mean], vec![]);
    builder.output(&flat, DataType::Float, &[-1, 3]);
    let model = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(builder.finish("means")),
        ..ModelProto::default()
    };
    prost::Message::encode_to_vec(&model)
}

impl Server {
    fn start() -> Self {
        let models = tempfile::tempdir().unwrap();
        let version = models.path().join("m/1");
        std::fs::create_dir_all(&version).unwrap();
        std::fs::write(version.join("model.onnx"), model()).unwrap();
        std::fs::write(version.join("manifest.json"), SIDECAR).unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = runtime.block_on(serve(models.path()));
        Self { runtime, address, plain: Mutex::default(), multiplexed: Mutex::default(), _models: models }
    }

    /// Posts a body over HTTP/1.1.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut kept = self.plain.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.runtime.block_on(async {
            let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => sender,
                None => {
                    let (sender, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
                    tokio::spawn(connection);
                    sender
                }
            };
            sender.ready().await.unwrap();
            let request = request(self.address, path, headers, body);
            let answer =
                tokio::time::timeout(PATIENCE, async { read(sender.send_request(request).await.unwrap()).await });
            let answer = answer.await.expect("the server does not answer");
            let ends = answer.headers.get("connection").is_some_and(|value| value == "close");
            *kept = Some(sender).filter(|_| !ends);
            answer
        })
    }

    /// Posts a body over HTTP/2.
    pub fn post_multiplexed(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut kept = self.multiplexed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.runtime.block_on(async {
            let mut sender = match kept.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => sender,
                None => {
                    let io = TokioIo::new(self.connect().await);
                    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
                    tokio::spawn(connection);
                    sender
                }
            };
            sender.ready().await.unwrap();
            let request = request(self.address, path, headers, body);
            let answer =
                tokio::time::timeout(PATIENCE, async { read(sender.send_request(request).await.unwrap()).await });
            let answer = answer.await.expect("the server does not answer");
            *kept = Some(sender);
            answer
        })
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

async fn serve(models: &Path) -> std::net::SocketAddr {
    let settings = Settings {
        models: models.to_owned(),
        database: Database::None,
        max_body: 1 << 20,
        // A picture of the 64 megapixels that are allowed by default takes most of the memory that a target may.
        picture: super::picture::LIMITS,
        intra_threads: 1,
        ..Settings::default()
    };
    let application = Application::build(settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let models = application.models();
    tokio::spawn(application.run(listener, std::future::pending()));
    models.loaded().await;
    address
}

fn request(address: std::net::SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Full<Bytes>> {
    let uri = format!("http://{address}{path}");
    let mut request = Request::builder().method(Method::POST).uri(uri).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let whole = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(whole.trailers().cloned().unwrap_or_default());
    Answer { status: head.status, headers, body: whole.to_bytes() }
}
