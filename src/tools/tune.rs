//! `tagpoint tune`: which instances, threads and waiting suit this host and a model, by measurement.
//!
//! Each setting serves the model in this process and is asked over the loopback by as many connections as make full
//! batches: decoding, the queue and HTTP share the processors with the model, as they will.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::{net::TcpListener, sync::oneshot};

use super::bench::{self, BenchArgs, Summary};
use crate::{
    files::write_new,
    output::Answering,
    serve::{Access, Application, Connections, ServeArgs, Settings},
    store::Database,
};

/// The flags of `tagpoint tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    /// The model to tune for
    pub model: String,
    /// Pictures as clients send them
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Seconds for each setting
    #[arg(long, value_name = "S", default_value_t = 4.0)]
    pub seconds: f64,
    /// Where to write the settings; to standard output unless given
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The settings that stay as they are.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trial {
    instances: usize,
    intra_threads: usize,
    spinning: bool,
}

/// How a trial did.
struct Outcome {
    trial: Trial,
    per_second: f64,
    p99_ms: f64,
}

/// Runs `tagpoint tune`; says on standard error how each setting does.
///
/// # Errors
/// Settings that are not valid, or a model that does not answer.
#[expect(clippy::print_stderr, reason = "progress, beside the settings on standard output")]
pub async fn run(args: TuneArgs) -> anyhow::Result<()> {
    let settings = unguarded(Settings::resolve(args.serve.clone())?.settings);
    // Before minutes of measuring, too.
    if let Some(path) = args.out.as_deref().filter(|path| path.exists()) {
        bail!("{} is there already, and stays as it is: name a new file", path.display());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut outcomes = Vec::new();
    eprintln!("{:>9} {:>13} {:>8} {:>11} {:>9}", "instances", "intra_threads", "spinning", "pictures/s", "p99 ms");
    for trial in trials(cores) {
        let Trial { instances, intra_threads, spinning } = trial;
        let summary = measure(&args, Settings { instances, intra_threads, spinning, ..settings.clone() }).await?;
        let answered = summary.statuses.get(&200).filter(|_| summary.statuses.len() == 1);
        let p99_ms = answered.with_context(|| format!("not every request was answered:\n{summary}"))?.p99_ms;
        let outcome = Outcome { trial, per_second: summary.answered_per_second, p99_ms };
        eprintln!("{instances:>9} {intra_threads:>13} {spinning:>8} {:>11.1} {p99_ms:>9.1}", outcome.per_second);
        outcomes.push(outcome);
    }
    let text = written(&outcomes, &args).context("nothing was tried")?;
    match &args.out {
        Some(path) => write_new(path, text.as_bytes()).with_context(|| path.display().to_string()),
        None => Ok(std::io::Write::write_all(&mut Answering, text.as_bytes())?),
    }
}

/// Every way to share the processors evenly: 1 × 4, 2 × 2, 4 × 1. One thread alone has none to wait for.
fn trials(cores: usize) -> Vec<Trial> {
    let splits = (1..=cores).filter(|instances| cores.is_multiple_of(*instances));
    let of = |instances| {
        let intra_threads = cores / instances;
        let waits: &[bool] = if intra_threads > 1 { &[false, true] } else { &[false] };
        waits.iter().map(move |&spinning| Trial { instances, intra_threads, spinning }).collect::<Vec<_>>()
    };
    splits.flat_map(of).collect()
}

/// The same for the loopback alone. Keys, TLS and limits of connections would stand before the measurement; without a
/// database no job of others is worked on, and no answer is remembered.
fn unguarded(settings: Settings) -> Settings {
    Settings {
        database: Database::None,
        fetch: None,
        access: Access::default(),
        connections: Connections::default(),
        watch: Duration::ZERO,
        ..settings
    }
}

async fn measure(args: &TuneArgs, settings: Settings) -> anyhow::Result<Summary> {
    let application = Application::build(settings)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1/models/{}/predict", listener.local_addr()?, args.model).parse()?;
    let models = application.models();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(application.run(listener, async move {
        // Dropping the other end says the same.
        let _ = stopped.await;
    }));
    if !models.loaded().await.contains(&args.model) {
        bail!("there is no model {:?} that answers; `tagpoint serve` says why", args.model);
    }
    let bench = BenchArgs {
        url,
        files: args.files.clone(),
        connections: args.connections,
        rate: None,
        seconds: args.seconds,
        warm_up: args.seconds / 4.0,
        key: None,
        json: false,
    };
    let summary = bench::run(&bench).await?;
    drop(stop);
    drop(models);
    server.await??;
    Ok(summary)
}

/// The fastest setting as lines of the configuration file, with what was measured. Of those within 2 %, which is less
/// than a run differs from the next, the one with the shortest p99.
fn written(outcomes: &[Outcome], args: &TuneArgs) -> Option<String> {
    let most = outcomes.iter().map(|outcome| outcome.per_second).fold(0.0, f64::max);
    let near = outcomes.iter().filter(|outcome| outcome.per_second >= 0.98 * most);
    let best = near.min_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms))?;
    let Trial { instances, intra_threads, spinning } = best.trial;
    let mut text = format!("# tagpoint tune {} at {} connections; pictures/s, p99 ms:\n", args.model, args.connections);
    for Outcome { trial, per_second, p99_ms } in outcomes {
        let waiting = if trial.spinning { ", spinning" } else { "" };
        let _ =
            writeln!(text, "# {} x {}{waiting}: {per_second:.1}, {p99_ms:.1}", trial.instances, trial.intra_threads);
    }
    let _ = write!(text, "instances = {instances}\nintra_threads = {intra_threads}\nspinning = {spinning}\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_even_share_of_the_processors_is_tried() {
        let shares =
            |cores| trials(cores).iter().map(|it| (it.instances, it.intra_threads, it.spinning)).collect::<Vec<_>>();
        assert_eq!(shares(1), [(1, 1, false)]);
        let four = [(1, 4, false), (1, 4, true), (2, 2, false), (2, 2, true), (4, 1, false)];
        assert_eq!(shares(4), four);
    }
}
