//! What hostile clients and hostile files do: each gets its documented error, the next good request is answered, and
//! memory stays bounded. Asked of the real program, whose memory is its own.

mod bombs;
mod connections;
mod damage;
mod files;
mod forms;
mod heads;
#[path = "../../fuzz/mutation.rs"]
mod mutation;
mod names;
mod slow;

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::helpers::{client, models, pictures, program::Program, put};

/// The program with the model `colours`, and where it lies.
struct Target {
    program: Program,
    client: reqwest::Client,
    folder: tempfile::TempDir,
    /// The most MiB that it had in RAM before anything hostile came.
    before: f64,
}

impl Target {
    async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join("models"), "colours", &models::colours());
        Self::start_in(folder, arguments).await
    }

    /// The same with a folder that has `models`, with `colours` in it.
    async fn start_in(folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let models = folder.path().join("models");
        let arguments = [&["--models", models.to_str().unwrap(), "--database", "none"], arguments].concat();
        let program = Program::serve(&arguments, &[]);
        let mut target = Self { program, client: client(), folder, before: 0.0 };
        while target.client.get(target.program.url("/v1/models")).send().await.unwrap().status() != 200
            || target.predict(&good()).await.status() == 503
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        target.is_well().await;
        target.before = target.program.memory().1;
        target
    }

    async fn predict(&self, picture: &[u8]) -> reqwest::Response {
        let url = self.program.url("/v1/models/colours/predict");
        self.client.post(url).body(picture.to_vec()).send().await.unwrap()
    }

    /// A good request is answered.
    async fn is_well(&self) {
        let response = self.predict(&good()).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["labels"][0]["label"], "red", "{body}");
    }

    /// Nothing has ever taken more than so many MiB beyond what it had at the start.
    fn took_at_most(&self, mebibytes: f64) {
        let most = self.program.memory().1;
        assert!(most < self.before + mebibytes, "{:.0} MiB before, {most:.0} MiB at most", self.before);
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.program.address).await.unwrap()
    }

    /// What comes back for these bytes until the server hangs up, or says nothing for a while.
    async fn said(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // It may hang up before all is sent.
        let _ = stream.write_all(bytes).await;
        listen(&mut stream, Duration::from_secs(1)).await
    }
}

/// What a server says until it hangs up, or is silent for so long.
async fn listen(stream: &mut TcpStream, silence: Duration) -> String {
    let (mut said, mut part) = (Vec::new(), vec![0; 4096]);
    while let Ok(Ok(read)) = tokio::time::timeout(silence, stream.read(&mut part)).await
        && read > 0
    {
        said.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The status of the first answer; 0 where there is none.
fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok()).unwrap_or(0)
}

fn good() -> Vec<u8> {
    pictures::plain(8, 8, [255, 0, 0])
}
