//! `tagpoint jobs`: how far bulk jobs are, their results, and their end.

use std::{io::Write, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use futures_util::TryStreamExt as _;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::DatabaseArgs;
use crate::store::{
    Store,
    jobs::{JobRow, JobState},
};

/// Between two looks at jobs that are watched.
const EVERY: Duration = Duration::from_millis(500);
/// The most jobs of a list.
const MOST: i64 = 200;

/// The flags of `tagpoint jobs`.
#[derive(Args, Clone, Debug)]
pub struct JobsArgs {
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, the newest first
    List(ListArgs),
    /// Show the progress of a job, or of all that are not at an end, until they are
    Watch(WatchArgs),
    /// End a job before it is done
    Cancel(JobArgs),
    /// Write a job's results to the standard output, one JSON object a line
    Results(JobArgs),
}

#[derive(Args, Clone, Debug)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
struct WatchArgs {
    /// The job
    id: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
struct JobArgs {
    /// The job
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `tagpoint jobs`.
///
/// # Errors
/// A database that fails, a job that is not there, or one that is watched and fails.
pub async fn run(args: &JobsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    match &args.command {
        JobsCommand::List(args) => list(&args.database.open().await?, out).await,
        JobsCommand::Watch(args) => watch(&args.database.open().await?, args.id.as_deref(), out).await,
        JobsCommand::Cancel(args) => {
            let store = args.database.open().await?;
            let job = find(&store, &args.id).await?;
            if !store.cancel_job(&args.id).await? {
                bail!("job {} has ended already: it is {}", args.id, job.state.name());
            }
            Ok(writeln!(out, "{}: cancelled", args.id)?)
        }
        JobsCommand::Results(args) => results(&args.database.open().await?, &args.id, out).await,
    }
}

async fn find(store: &Store, id: &str) -> anyhow::Result<JobRow> {
    store.job(id).await?.with_context(|| format!("there is no job {id:?}; `tagpoint jobs list` lists the jobs"))
}

async fn list(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    let jobs = store.jobs(None, MOST).await?;
    if jobs.is_empty() {
        return Ok(writeln!(out, "there are no jobs; POST /v1/jobs makes one")?);
    }
    writeln!(out, "{:<36}  {:<9}  {:>17}  {:>7}  {:<20} source", "job", "state", "pictures", "failed", "model")?;
    for row in jobs {
        let (job, state, done) = (&row.job, row.state.name(), row.answered + row.failed);
        let pictures = format!("{done}/{}", row.total.map_or_else(|| "?".to_owned(), |total| total.to_string()));
        let model = format!("{}/{}", job.model, job.version);
        writeln!(out, "{}  {state:<9}  {pictures:>17}  {:>7}  {model:<20} {}", job.id, row.failed, job.source)?;
    }
    Ok(())
}

async fn watch(store: &Store, id: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    let ids = match id {
        Some(id) => vec![id.to_owned()],
        None => {
            let jobs = store.jobs(None, MOST).await?;
            jobs.into_iter().filter(|row| !row.state.is_end()).map(|row| row.job.id).collect()
        }
    };
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let mut left: Vec<(String, ProgressBar)> = ids.into_iter().map(|id| (id, bars.add(bar()))).collect();
    let (mut failed, mut lines) = (0, Vec::new());
    while !left.is_empty() {
        let mut still = Vec::new();
        for (id, bar) in left {
            let row = find(store, &id).await?;
            show(&bar, &row);
            if row.state.is_end() {
                failed += usize::from(row.state == JobState::Failed);
                bar.abandon();
                lines.push(ended(&row));
            } else {
                still.push((id, bar));
            }
        }
        left = still;
        if !left.is_empty() {
            tokio::time::sleep(EVERY).await;
        }
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    if failed > 0 { bail!("{failed} of the jobs failed") } else { Ok(()) }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {per_sec:.0} {eta} {msg}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, row: &JobRow) {
    if let Some(total) = row.total.and_then(|total| u64::try_from(total).ok()) {
        bar.set_length(total);
    }
    bar.set_prefix(row.job.id.clone());
    bar.set_position(u64::try_from(row.answered + row.failed).unwrap_or_default());
    let failed = if row.failed > 0 { format!(", {} failed", row.failed) } else { String::new() };
    bar.set_message(format!("{}{failed}", row.state.name()));
}

fn ended(row: &JobRow) -> String {
    let state = row.state.name();
    let reason = row.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{}: {state}, {} answered, {} failed{reason}", row.job.id, row.answered, row.failed)
}

async fn results(store: &Store, id: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let job = find(store, id).await?;
    if !job.state.is_end() {
        bail!("job {id} is {}: its results are there once it has come to an end", job.state.name());
    }
    let mut pages = store.job_results(id);
    while let Some(page) = pages.try_next().await? {
        for lines in page {
            out.write_all(lines.as_bytes())?;
        }
    }
    Ok(())
}
