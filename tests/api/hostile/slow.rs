//! Clients that take their time: over their heads, over their bodies, over what they are told.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::{Target, listen, status};

/// Sends a byte now and then for as long as the server listens, and at most so long: its answer, and how long it
/// listened.
async fn drip(target: &Target, head: &str, drops: &str, most: Duration) -> (String, Duration) {
    let mut stream = target.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    for drop in drops.bytes().cycle() {
        let said = listen(&mut stream, Duration::from_millis(100)).await;
        if !said.is_empty() || began.elapsed() > most || stream.write_all(&[drop]).await.is_err() {
            return (said, began.elapsed());
        }
    }
    unreachable!("drops never end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_a_byte_at_a_time_has_as_long_as_any_other() {
    let target = Target::start(&["--header-timeout-s", "2"]).await;
    let began = Instant::now();
    let clients =
        (0..50).map(|_| drip(&target, "GET /healthz HTTP/1.1\r\nhost: a\r\nx: ", "y", Duration::from_secs(30)));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(clients), async {
        while began.elapsed() < Duration::from_secs(2) {
            target.is_well().await;
        }
    });
    for (answer, took) in answers {
        assert!(matches!(status(&answer), 0 | 408), "{answer}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    target.took_at_most(32.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_a_byte_at_a_time_keep_no_memory_from_others() {
    // Four bodies of the largest size are all that there is memory for.
    let target =
        Target::start(&["--max-body-bytes", "1000000", "--body-budget-bytes", "4000000", "--request-timeout-s", "4"])
            .await;
    let head = |length: &str| format!("POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\n{length}\r\n\r\n");
    for (length, drops) in [("content-length: 1000000", "x"), ("transfer-encoding: chunked", "1\r\nx\r\n")] {
        let head = head(length);
        let clients = (0..8).map(|_| drip(&target, &head, drops, Duration::from_secs(40)));
        let began = Instant::now();
        let (answers, ()) = tokio::join!(futures_util::future::join_all(clients), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // They may have to wait for one of those to be given up, but not for long.
            while target.predict(&super::good()).await.status() != 200 {
                assert!(began.elapsed() < Duration::from_secs(8), "nobody else is served");
            }
        });
        for (answer, took) in answers {
            // 503 where there was no memory for it from the start.
            assert!(matches!(status(&answer), 408 | 503), "{length}: {answer}");
            assert!(took < Duration::from_secs(15), "{length}: {took:?}");
        }
        target.is_well().await;
    }
    target.took_at_most(32.0);
}
