//! Memory of a model that is no longer loaded comes back. `scripts/soak swaps` measures the same with a real model.

use std::time::{Duration, Instant};

use crate::helpers::{client, models, pictures, program::Program, put_version};

/// The program itself: its allocator is part of what is tested.
#[tokio::test]
async fn memory_comes_back_after_swaps_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let heavy = models::heavy();
    (1..=2).for_each(|version| put_version(folder.path(), "heavy", version, &heavy));
    let server = Program::serve(&["--models", folder.path().to_str().unwrap(), "--database", "none"], &[]);
    let predict = server.url("/v1/models/heavy/predict");
    let admin = server.url("/v1/admin/models/heavy/versions");

    let client = client();
    server.until_ready(&client).await;
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
    let now = || server.memory().0;
    let before = now();
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
    while now() > before + 16.0 {
        assert!(Instant::now() < patience, "{before:.1} MiB before, {:.1} MiB after", now());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn instances_hold_the_weights_of_convolutions_once_and_answer_as_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let wide = models::wide();
    put_version(folder.path(), "wide", 1, &wide);
    let picture = pictures::pattern(8, 1);
    let client = client();
    let mut answers = Vec::new();
    let mut held = Vec::new();
    for instances in ["1", "4"] {
        let models = folder.path().to_str().unwrap();
        let server = Program::serve(&["--models", models, "--database", "none", "--instances", instances], &[]);
        server.until_ready(&client).await;
        assert!(!server.log().contains("holds the weights by itself"), "{}", server.log());
        let predict = server.url("/v1/models/wide/predict?all=true");
        let asked = (0..8).map(|_| async {
            let response = client.post(&predict).body(picture.clone()).send().await.unwrap();
            response.json::<serde_json::Value>().await.unwrap()["labels"].clone()
        });
        answers.extend(futures_util::future::join_all(asked).await);
        // What opening took goes back to the system by and by: the least of what is seen counts.
        let mut least = f64::INFINITY;
        for _ in 0..50 {
            least = least.min(server.memory().0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        held.push(least);
    }
    assert!(answers[0].is_array() && answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let weights = wide.bytes.len() as f64 / f64::from(1 << 20);
    let (one, four) = (held[0], held[1]);
    assert!(one > weights && four < one + weights, "{one:.0} MiB with one instance, {four:.0} with four");
}

#[tokio::test]
async fn instances_that_cannot_share_their_weights_serve_nevertheless_and_the_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    put_version(folder.path(), "wide", 1, &models::wide());
    let models = folder.path().to_str().unwrap();
    let arguments = ["--models", models, "--database", "none", "--instances", "2"];
    let server = Program::serve_on_a_full_disk(300, &arguments);
    server.until_ready(&client()).await;
    let log = server.log();
    assert!(log.contains("each session holds the weights by itself"), "{log}");
}
