//! The trainer from outside: its library on real data sets, its program on files, its models in the server.
#![cfg(feature = "train")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy exempts test functions, but not their helpers"
)]

mod agreement;
mod backbones;
mod corrected;
mod download;
#[allow(dead_code, reason = "tests/parity uses the rest")]
#[path = "../parity/formula.rs"]
mod formula;
mod importing;
mod judging;
mod learning;
mod own_model;
mod program;
mod quantizing;
mod refit;
mod resuming;
mod runs;
mod shipped;
mod weights;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tagpoint::{
    serve::{Application, Settings},
    store::Database,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The repository's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of ../shared; none, saying so, where that folder is absent.
fn shared(file: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

/// A data set of drawn shapes in a folder of its own, which is removed when the handle is dropped.
fn shapes(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tagpoint::train::shapes::draw_data_set(folder.path(), count, 1).unwrap();
    folder
}

/// The real server on a free port.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves the models of a folder, and waits until they are loaded.
    async fn start(models: PathBuf) -> Self {
        Self::start_with(Settings { models, database: Database::None, ..Settings::default() }).await
    }

    /// The same with other settings.
    async fn start_with(settings: Settings) -> Self {
        let application = Application::build(settings).unwrap();
        let models = application.models();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(application.run(listener, async move { stopped.await.unwrap_or_default() }));
        models.loaded().await;
        Self { address, stop, task }
    }

    /// The answer for a picture, which has to be a 200.
    async fn predict(&self, target: &str, picture: Vec<u8>) -> serde_json::Value {
        tagpoint::tls::use_ring();
        let request = reqwest::Client::new().post(format!("http://{}/v1/models/{target}", self.address));
        let request = request.header("content-type", "application/octet-stream").body(picture);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}
