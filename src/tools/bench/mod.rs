//! `tagpoint bench`: asks a server that runs, over many connections at once, and tells how fast it answered.
//!
//! Closed loop, unless a rate is given: each connection sends its next request when it has the answer to the one before,
//! so the rate is what the server can carry. Open loop: requests leave at a fixed rate, whether or not answers come, and
//! their time counts from when they were due. That shows what the server does with more than it can carry.

mod connection;
mod pace;
mod summary;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use reqwest::Url;
use tokio::time::{sleep, sleep_until};

pub use summary::{Latencies, Summary};

use connection::{Connection, Target};
use pace::Pace;

/// The pause of a connection that got no answer, where no rate sets the pace: a closed port refuses at once.
const REST: Duration = Duration::from_millis(100);

/// The flags of `tagpoint bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// The address to send pictures to, such as http://127.0.0.1:8000/v1/models/scenes/predict
    pub url: Url,
    /// Pictures, sent in turn
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Requests a second, sent on time whether or not answers came; without it each connection waits for its answer
    #[arg(long, value_name = "R", value_parser = positive)]
    pub rate: Option<f64>,
    /// Seconds that are measured
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = positive)]
    pub seconds: f64,
    /// Seconds before them that are not
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = not_negative)]
    pub warm_up: f64,
    /// An API key to send along
    #[arg(long, env = "TAGPOINT_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (1e-3..=1e6).contains(number))
        .ok_or_else(|| "not from 0.001 to 1000000".to_owned())
}

fn not_negative(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) { Ok(0.0) } else { positive(text) }
}

/// One answer: its status, 0 where none came, and how long it took.
#[derive(Clone, Copy, Debug)]
struct Answered {
    status: u16,
    /// From when the request was due to the end of its answer.
    took: Duration,
    /// How much later than it was due the request left.
    late: Duration,
}

/// Runs `tagpoint bench`. Ctrl-C ends it early; what was measured by then is told.
///
/// # Errors
/// A picture that cannot be read, or an address that is none. Requests that fail are counted, not errors.
pub async fn run(args: &BenchArgs) -> anyhow::Result<Summary> {
    crate::tls::use_ring();
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string()).map(Bytes::from);
    let pictures: Arc<[Bytes]> = args.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.into();
    let target = Arc::new(Target::new(&args.url, args.key.as_deref())?);
    let began = Instant::now();
    let measured_from = began + Duration::from_secs_f64(args.warm_up);
    let until = measured_from + Duration::from_secs_f64(args.seconds);
    let pace = Arc::new(Pace::new(args.rate, began, until));
    let connections: Vec<_> = (0..args.connections as usize)
        .map(|first| {
            let (pace, pictures) = (Arc::clone(&pace), Arc::clone(&pictures));
            let mut connection = Connection::new(Arc::clone(&target));
            tokio::spawn(async move {
                let mut answered = Vec::new();
                let mut picture = first;
                while let Some(due) = pace.next() {
                    // The timer counts in milliseconds and rounds up, which is long beside what is measured.
                    if due > Instant::now() {
                        sleep_until(due.into()).await;
                    }
                    let late = due.elapsed();
                    let status = connection.ask(pictures[picture % pictures.len()].clone()).await;
                    picture += 1;
                    if due >= measured_from {
                        answered.push(Answered { status, took: due.elapsed(), late });
                    }
                    if status == 0 && !pace.has_rate() {
                        sleep(REST).await;
                    }
                }
                answered
            })
        })
        .collect();
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            pace.stop();
        }
    });
    let mut all = Vec::new();
    for connection in connections {
        all.extend(connection.await?);
    }
    interrupted.abort();
    Ok(Summary::of(&all, measured_from.elapsed()))
}
