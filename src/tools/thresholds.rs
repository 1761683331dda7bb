//! `tagpoint thresholds`: new thresholds from corrected predictions, and the way back.

use std::io::Write;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::DatabaseArgs;
use crate::{
    feedback,
    store::{Store, predictions::ModelRow},
    thresholds::OperatingPoint,
};

/// The flags of `tagpoint thresholds`.
#[derive(Args, Clone, Debug)]
pub struct ThresholdsArgs {
    #[command(subcommand)]
    command: ThresholdsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ThresholdsCommand {
    /// Fit thresholds on corrected predictions and put them in force as a new revision
    Refit(RefitArgs),
    /// Put the thresholds in force that were before
    Rollback(RollbackArgs),
}

#[derive(Args, Clone, Debug)]
struct RefitArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// An operating point that the model has under a name of its own: strict=precision:.95. The standard ones are known
    #[arg(long = "point", value_name = "NAME=GOAL")]
    points: Vec<OperatingPoint>,
    /// Only show what would be
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Clone, Debug)]
struct RollbackArgs {
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Args, Clone, Debug)]
struct ModelArgs {
    /// The model
    #[arg(long)]
    model: String,
    /// Its version; where none is named, the highest that has remembered predictions
    #[arg(long)]
    version: Option<i64>,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl ModelArgs {
    async fn open(&self) -> anyhow::Result<(Store, ModelRow)> {
        let store = self.database.open().await?;
        let row = store.model(&self.model, self.version).await?;
        let version = self.version.map(|version| format!(" version {version}")).unwrap_or_default();
        let missing = || format!("no prediction of model {:?}{version} is remembered", self.model);
        Ok((store, row.with_context(missing)?))
    }
}

/// Runs `tagpoint thresholds`.
///
/// # Errors
/// A database that fails, a model without thresholds, or too few corrections.
pub async fn run(args: &ThresholdsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    match &args.command {
        ThresholdsCommand::Refit(args) => {
            let (store, row) = args.model.open().await?;
            let points = OperatingPoint::standard_and(&args.points);
            let refit = feedback::refit(&store, &row, &points, !args.dry_run, None).await?;
            show(&refit, out)?;
            let what = format!("{} version {}", row.model, row.version);
            match refit.revision {
                Some(revision) => writeln!(out, "{what}: revision {revision} is in force; servers take it within 2 s")?,
                None => writeln!(out, "{what}: nothing was changed")?,
            }
            Ok(())
        }
        ThresholdsCommand::Rollback(args) => {
            let (store, row) = args.model.open().await?;
            let revision = store.roll_back_thresholds(&row.digest).await?;
            let what = format!("{} version {}", row.model, row.version);
            let revision = revision.with_context(|| format!("{what} has the model file's own thresholds already"))?;
            let now = if revision == 0 {
                "the model file's own thresholds are".to_owned()
            } else {
                format!("revision {revision} is")
            };
            Ok(writeln!(out, "{what}: {now} in force; servers take it within 2 s")?)
        }
    }
}

fn show(refit: &feedback::Refit, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{} corrected pictures", refit.pictures)?;
    writeln!(out, "{:<24} {:>5} {:>8} {:<14} {:>9}  95 % interval", "label", "with", "without", "point", "threshold")?;
    for label in &refit.labels {
        for (point, fitted) in &label.thresholds {
            let interval = match (fitted.low, fitted.high) {
                (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
                _ => "as it was".to_owned(),
            };
            let (name, with, without) = (&label.label, label.positives, label.negatives);
            writeln!(out, "{name:<24} {with:>5} {without:>8} {point:<14} {:>9.4}  {interval}", fitted.threshold)?;
        }
    }
    Ok(())
}
