//! `check`: what is wrong with a data set, before any training.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::data::{DataArgs, TaskArg};
use crate::{
    output::say,
    train::dataset::{Findings, findings::Severity, inspect},
};

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The data set.
    #[command(flatten)]
    pub data: DataArgs,
    /// What it is to be used for.
    #[arg(long, value_enum, default_value_t = TaskArg::MultiLabel)]
    pub task: TaskArg,
    /// Draws the split of --valid-pct, as in `fit`.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Also write everything that is found, with every file name, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The report for programs.
#[derive(Serialize)]
struct Report<'a> {
    data: String,
    /// Of the rows and the pictures; none where there are errors.
    fingerprint: Option<String>,
    #[serde(flatten)]
    findings: &'a Findings,
}

/// Prints the report; the exit code is 1 where the data set has errors.
///
/// # Errors
/// Where the data set cannot be read at all, or the report cannot be written.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let inspection = inspect(&args.data.options(args.task.into(), args.seed))?;
    let findings = &inspection.findings;
    say!("{} ({}, {})", args.data.data.display(), findings.format, findings.task.name());
    say!("{}", findings.to_string().trim_end());
    if let Some(path) = &args.json {
        let fingerprint = inspection.dataset.as_ref().ok().map(|dataset| dataset.fingerprint.to_string());
        let report = Report { data: args.data.data.display().to_string(), fingerprint, findings };
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let has_errors = findings.of_severity(Severity::Error).next().is_some();
    Ok(if has_errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
