//! Streams of gRPC calls: the key that they need for each message, and how they end.

use std::time::{Duration, Instant};

use tagpoint::serve::parse_keys;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    helpers::{
        App,
        grpc::{Said, Stream},
        models, pictures,
    },
    lifecycle::begin_request,
};

const KEY: &str = "the-key-of-the-website";
/// After this long nothing more is to be expected.
const PATIENCE: Duration = Duration::from_secs(30);

fn picture() -> Vec<u8> {
    pictures::plain(4, 4, [255, 0, 0])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let write = |key: &str| {
        let text = format!("[[key]]\nname = \"website\"\nscopes = [\"predict\"]\nkey = \"{key}\"\n");
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
    };
    write(KEY);
    let keys_file = path.clone();
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.access.keys_file = Some(keys_file);
    })
    .await;
    let mut used = Stream::open(app.address, Some(KEY)).await;
    let mut unused = Stream::open(app.address, Some(KEY)).await;
    used.ask("colours", &picture());
    assert_eq!(used.next().await, Said::Answer);
    write("another-key-of-the-website");
    let begun = Instant::now();
    let end = loop {
        used.ask("colours", &picture());
        match used.next().await {
            Said::Answer => assert!(begun.elapsed() < PATIENCE, "it is answered without a key"),
            end => break end,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(end, Said::End("16".to_owned()), "unauthenticated");
    // Nor is one that was opened with it and has not been used yet.
    unused.ask("colours", &picture());
    assert_eq!(unused.next().await, Said::End("16".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_a_stream_counts_against_its_keys_rate() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.access.keys = parse_keys(&format!("website:predict:{KEY}")).unwrap();
        settings.access.rate = Some("0.001/2".parse().unwrap());
    })
    .await;
    let mut stream = Stream::open(app.address, Some(KEY)).await;
    // The first was counted when the stream was opened.
    for _ in 0..2 {
        stream.ask("colours", &picture());
        assert_eq!(stream.next().await, Said::Answer);
    }
    for _ in 0..2 {
        stream.ask("colours", &picture());
        let said = stream.next().await;
        assert!(matches!(&said, Said::Error(text) if text.contains("more often than it may")), "{said:?}");
    }
    stream.finish();
    assert_eq!(stream.next().await, Said::End("0".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_the_message_in_hand_and_ends_the_streams() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.stop_timeout = 2 * PATIENCE;
        // Pictures wait in the queue until there are three.
        (settings.max_batch, settings.max_delay) = (3, Duration::from_secs(600));
    })
    .await;
    let mut idle = Stream::open(app.address, None).await;
    let mut open = Stream::open(app.address, None).await;
    let mut finished = Stream::open(app.address, None).await;
    open.ask("colours", &picture());
    finished.ask("colours", &picture());
    finished.finish();
    let mut third = begin_request(&app, picture().len()).await;
    app.until_waiting("colours", |length| length == 2).await;
    app.stop.send(()).unwrap();
    let told = Instant::now();
    let unavailable = Said::End("14".to_owned());
    assert_eq!(idle.next().await, unavailable);
    third.write_all(&picture()).await.unwrap();
    assert_eq!((open.next().await, open.next().await), (Said::Answer, unavailable));
    assert_eq!((finished.next().await, finished.next().await), (Said::Answer, Said::End("0".to_owned())));
    let mut answer = String::new();
    third.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    app.task.await.unwrap().unwrap();
    assert!(told.elapsed() < PATIENCE, "{:?}", told.elapsed());
}
