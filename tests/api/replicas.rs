//! Many servers on one database and one object store: three processes, a real PostgreSQL and a real S3 server, one process
//! killed and the database restarted while they work.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use object_store::{ObjectStoreExt as _, aws::AmazonS3Builder};
use serde_json::{Value, json};

use crate::helpers::{client, models, pictures, program::Program, put, stores::Store};

/// A PostgreSQL server that is this test's own, so that it may be restarted.
struct Postgres {
    process: Child,
    said: BufReader<ChildStdout>,
    address: String,
}

impl Postgres {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-postgres");
        let mut process = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut server = Self { said: BufReader::new(process.stdout.take().unwrap()), process, address: String::new() };
        server.address = server.line();
        assert!(server.address.starts_with("postgres://"), "{:?}", server.address);
        server
    }

    /// Ends it as a crash does, and starts it again.
    fn restart(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"restart\n").unwrap();
        assert_eq!(self.line(), "restarted");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The script stops the server when its input ends.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

const PICTURES: usize = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_give_every_picture_one_result_though_one_is_killed_and_the_database_restarts() {
    let count = PICTURES;
    let (mut postgres, s3) = (Postgres::start(), Store::s3(&[]));
    let url = s3.url("");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ENDPOINT", url.as_str()),
    ];
    assert!(client().put(s3.url("/photos")).send().await.unwrap().status().is_success());
    let bucket = AmazonS3Builder::new().with_bucket_name("photos").with_endpoint(&url).with_region("us-east-1");
    let bucket = bucket.with_access_key_id("testing").with_secret_access_key("testing").with_allow_http(true);
    let bucket = bucket.build().unwrap();
    let colours = [("red", [255, 0, 0]), ("green", [0, 255, 0]), ("blue", [0, 0, 255])];
    let pictures = colours.map(|(_, colour)| bytes::Bytes::from(pictures::plain(4, 4, colour)));
    let puts = (0..count).map(|index| {
        let (bucket, picture) = (&bucket, pictures[index % 3].clone());
        async move { bucket.put(&format!("in/{index:05}.png").into(), picture.into()).await.unwrap() }
    });
    let puts: Vec<_> = puts.collect();
    stream::iter(puts).buffer_unordered(8).count().await;

    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let arguments = [
        "--models",
        folder.path().to_str().unwrap(),
        "--database",
        &postgres.address,
        "--job-sources",
        "s3://photos/in",
        "--job-outputs",
        "s3://photos/out",
        "--job-lease-s",
        "3",
        "--intra-threads",
        "1",
        "--decode-threads",
        "1",
    ];
    let mut replicas: Vec<Program> = (0..3).map(|_| Program::serve(&arguments, &variables)).collect();
    let client = client();
    let get = async |program: &Program, path: &str| -> Option<Value> {
        client.get(program.url(path)).send().await.ok()?.json().await.ok()
    };
    for replica in &replicas {
        while get(replica, "/readyz").await.is_none_or(|ready| ready["status"] != "ready") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let request = client.post(replicas[0].url("/v1/jobs?model=colours&output=s3://photos/out/results.jsonl"));
    let answer: Value = request.json(&json!({"source": "s3://photos/in/"})).send().await.unwrap().json().await.unwrap();
    let id = answer["id"].as_str().unwrap().to_owned();
    let (mut killed, mut restarted, begun) = (false, false, Instant::now());
    let ended = loop {
        // While the database restarts there is no job to see.
        if let Some(job) =
            get(&replicas[replicas.len() - 1], &format!("/v1/jobs/{id}")).await.filter(|job| job["id"] == *id)
        {
            let done = job["pictures"]["done"].as_u64().unwrap() as usize;
            if job["state"] != "queued" && job["state"] != "running" {
                break job;
            }
            if !killed && done >= count / 3 {
                killed = true;
                // SIGKILL: it gives nothing back.
                drop(replicas.remove(0));
            }
            if !restarted && done >= count / 2 {
                restarted = true;
                tokio::task::block_in_place(|| postgres.restart());
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", replicas[0].log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(ended["state"], "completed", "{ended}");
    assert!(killed && restarted, "the job was done before anything happened to it");
    assert_eq!(ended["pictures"], json!({"total": count, "done": count, "failed": 0}));
    let written = bucket.get(&"out/results.jsonl".into()).await.unwrap().bytes().await.unwrap();
    let asked = client.get(replicas[0].url(&format!("/v1/jobs/{id}/results"))).send().await.unwrap();
    assert_eq!(written, asked.bytes().await.unwrap());
    let lines: Vec<Value> =
        std::str::from_utf8(&written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: HashSet<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), names.len()), (count, count));
    for line in &lines {
        let index: usize = line["name"].as_str().unwrap().trim_end_matches(".png").parse().unwrap();
        assert_eq!(line["labels"][0]["label"], colours[index % 3].0, "{line}");
    }
}
