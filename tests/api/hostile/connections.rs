//! A thousand connections on which nothing happens.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;

use super::Target;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_cost_little_and_are_ended() {
    let target = Target::start(&["--header-timeout-s", "20"]).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(target.connect().await);
    }
    let began = Instant::now();
    for _ in 0..20 {
        target.is_well().await;
    }
    // While all of them are still there.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    target.took_at_most(64.0);
    for mut stream in idle {
        let end = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut [0])).await.expect("it is kept open");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    target.is_well().await;
}
