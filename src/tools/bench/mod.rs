//! `tagpoint bench`: asks a server that runs, from many connections at once, and tells how fast it answered.
//!
//! Closed loop: each connection sends its next request when it has the answer to the one before. So the rate is what
//! the server can carry, and more connections than it can serve at once show what it does with too many.

mod summary;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use reqwest::{Client, Url, header};

pub use summary::Summary;

/// The flags of `tagpoint bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// The address to send pictures to, such as http://127.0.0.1:8000/v1/models/scenes/predict
    pub url: Url,
    /// Pictures, sent in turn
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub connections: usize,
    /// Seconds that are measured
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds before them that are not
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub warm_up: f64,
    /// An API key to send along
    #[arg(long, env = "TAGPOINT_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// One answer: its status, 0 where none came, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) took: Duration,
}

/// Runs `tagpoint bench`.
///
/// # Errors
/// A picture that cannot be read, or a client that cannot be made. Requests that fail are counted, not errors.
pub async fn run(args: &BenchArgs) -> anyhow::Result<Summary> {
    crate::tls::use_ring();
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string()).map(Bytes::from);
    let pictures: Arc<[Bytes]> = args.files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.into();
    let client = Client::builder().no_proxy().pool_max_idle_per_host(args.connections).build()?;
    let measured_from = Instant::now() + Duration::from_secs_f64(args.warm_up);
    let until = measured_from + Duration::from_secs_f64(args.seconds);
    let connections: Vec<_> = (0..args.connections)
        .map(|first| {
            let (client, pictures, args) = (client.clone(), Arc::clone(&pictures), args.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                let mut next = first;
                while Instant::now() < until {
                    let began = Instant::now();
                    let status = ask(&client, &args, pictures[next % pictures.len()].clone()).await;
                    next += args.connections;
                    if began >= measured_from {
                        answered.push(Answered { status, took: began.elapsed() });
                    }
                }
                answered
            })
        })
        .collect();
    let mut all = Vec::new();
    for connection in connections {
        all.extend(connection.await?);
    }
    Ok(Summary::of(&all, Instant::now() - measured_from))
}

async fn ask(client: &Client, args: &BenchArgs, picture: Bytes) -> u16 {
    let mut request =
        client.post(args.url.clone()).header(header::CONTENT_TYPE, "application/octet-stream").body(picture);
    if let Some(key) = &args.key {
        request = request.bearer_auth(key);
    }
    match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            // The answer counts once it is here whole.
            response.bytes().await.map_or(0, |_| status)
        }
        Err(_) => 0,
    }
}
