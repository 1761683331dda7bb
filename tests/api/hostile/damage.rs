//! Truncated, bit-flipped and spliced pictures of every format.

use std::path::Path;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    Target,
    mutation::{Random, damage},
};

/// `TAGPOINT_DAMAGED=1000000` sends so many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_damaged_pictures_of_every_format_get_their_error() {
    let count: u64 = std::env::var("TAGPOINT_DAMAGED").map_or(10_000, |count| count.parse().unwrap());
    // At most 8 bytes a pixel as decoded and 3 more as RGB, on two threads: 176 MiB.
    let target = Target::start(&["--max-picture-pixels", "8000000", "--decode-threads", "2"]).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/pictures");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(name).unwrap()).collect();
    let outcomes = stream::iter(0..count).map(async |seed| {
        let mut random = Random::new(seed);
        let file = &files[seed as usize % files.len()];
        let damaged = damage(file, &files[random.below(files.len())], &mut random);
        let response = target.predict(&damaged).await;
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        assert!(matches!(status, 200 | 413 | 415 | 422), "seed {seed}: {body}");
        assert!(status == 200 || body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
        status
    });
    let outcomes: Vec<u16> = outcomes.buffer_unordered(8).collect().await;
    let refused = outcomes.iter().filter(|status| **status != 200).count();
    // Damage that does not matter is rarer than damage that does.
    assert!(refused * 2 > outcomes.len(), "{refused} of {} refused", outcomes.len());
    target.is_well().await;
    target.took_at_most(256.0);
    // A span has an "ERROR" of OpenTelemetry's where the model was asked before it was there.
    let log = target.program.log();
    let faults: Vec<_> = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
    assert!(faults.is_empty(), "{faults:?}");
}
