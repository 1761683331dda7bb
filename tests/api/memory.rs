//! Memory of a model that is no longer loaded comes back. `scripts/soak swaps` measures the same with a real model.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::helpers::{client, models, pictures, put_version};

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// MiB in RAM that are of no file.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

/// The program itself: its allocator is part of what is tested.
#[tokio::test]
async fn memory_comes_back_after_swaps_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let heavy = models::heavy();
    (1..=2).for_each(|version| put_version(folder.path(), "heavy", version, &heavy));
    let mut server = Command::new(env!("CARGO_BIN_EXE_tagpoint"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("TAGPOINT_MODELS", folder.path())
        .env("RUST_LOG", "off")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server = Server(server);
    let predict = line.split_whitespace().last().unwrap().to_owned();
    let admin = predict.replace("/v1/models/", "/v1/admin/models/").replace("predict", "versions");

    let client = client();
    let ask = async |url: String, body: Vec<u8>| {
        let response = client.post(&url).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
    };
    let picture = pictures::plain(8, 8, [255, 0, 0]);
    let use_it = async || {
        for _ in 0..20 {
            ask(predict.clone(), picture.clone()).await;
        }
    };
    use_it().await;
    let before = server.memory();
    for swap in 0..6 {
        // Version 2, the newest, was loaded first.
        let (new, old) = if swap % 2 == 0 { (1, 2) } else { (2, 1) };
        for change in [format!("{new}/load"), format!("{new}/promote"), format!("{old}/unload")] {
            ask(format!("{admin}/{change}"), Vec::new()).await;
            use_it().await;
        }
    }
    // What is free goes back to the system by and by, within about ten seconds.
    let patience = Instant::now() + Duration::from_secs(40);
    while server.memory() > before + 16.0 {
        assert!(Instant::now() < patience, "{before:.1} MiB before, {:.1} MiB after", server.memory());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
