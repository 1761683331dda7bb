//! `tagpoint feedback`: what people have corrected.

use std::{io::Write, path::PathBuf};

use clap::{Args, Subcommand};

use super::DatabaseArgs;
use crate::{feedback, store::Pictures};

/// The flags of `tagpoint feedback`.
#[derive(Args, Clone, Debug)]
pub struct FeedbackArgs {
    #[command(subcommand)]
    command: FeedbackCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum FeedbackCommand {
    /// Write corrected predictions as a data set that `tagpoint-train fit` reads
    Export(ExportArgs),
}

#[derive(Args, Clone, Debug)]
struct ExportArgs {
    /// The model whose predictions were corrected
    #[arg(long)]
    model: String,
    /// One of its versions only
    #[arg(long)]
    version: Option<i64>,
    /// Folder for labels.csv and the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the server keeps pictures: its record_pictures
    #[arg(long, env = "TAGPOINT_RECORD_PICTURES", value_name = "PLACE")]
    record_pictures: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `tagpoint feedback`.
///
/// # Errors
/// A database or a store of pictures that fails, or nothing that could be written.
pub async fn run(args: &FeedbackArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let FeedbackCommand::Export(args) = &args.command;
    let store = args.database.open().await?;
    let place =
        args.record_pictures.clone().or(args.database.settings()?.and_then(|settings| settings.record.pictures));
    let place = place.ok_or_else(|| anyhow::anyhow!("say where pictures are kept with --record-pictures"))?;
    let pictures = Pictures::open(&place)?;
    let exported = feedback::export(&store, &pictures, &args.model, args.version, &args.out).await?;
    let table = exported.table.display();
    writeln!(out, "{table}: {} pictures", exported.pictures)?;
    if exported.without_picture > 0 {
        writeln!(out, "{} corrections have no picture that is kept", exported.without_picture)?;
    }
    if exported.repeated > 0 {
        writeln!(out, "{} earlier corrections of the same pictures are left out", exported.repeated)?;
    }
    for (version, corrections) in &exported.other_names {
        writeln!(
            out,
            "{corrections} corrections of version {version} are left out, which names other things: \
             export them by themselves with --version {version}"
        )?;
    }
    Ok(writeln!(
        out,
        "next: tagpoint-train fit --data {table} --task {} --valid-pct 0.2 --out models/NAME",
        exported.task
    )?)
}
