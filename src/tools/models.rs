//! `tagpoint models`: what lies in a models folder.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::model::{ModelFile, Task, list_versions};

/// The flags of `tagpoint models`.
#[derive(Args, Clone, Debug)]
pub struct ModelsArgs {
    /// Folder of NAME/VERSION/model.onnx
    #[arg(long, env = "TAGPOINT_MODELS", value_name = "DIR", default_value = "models")]
    pub models: PathBuf,
}

/// Runs `tagpoint models`: a line for each version, with what its manifest says, or why it cannot be read.
///
/// # Errors
/// A folder that cannot be read.
pub fn run(args: &ModelsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let shown = args.models.display();
    let folders = list_versions(&args.models).with_context(|| format!("the models folder {shown} cannot be read"))?;
    writeln!(
        out,
        "{:<20} {:>7} {:<13} {:>8} {:>9} {:<18} digest",
        "name", "version", "task", "answers", "input", "architecture"
    )?;
    for folder in folders {
        let name = format!("{:<20} {:>7}", folder.name.as_str(), folder.version.to_string());
        match ModelFile::read(&folder.file) {
            Ok(file) => {
                let manifest = &file.manifest;
                let answers = match &manifest.task {
                    Task::MultiLabel { labels } | Task::SingleLabel { labels } => labels.len(),
                    Task::Points(points) => points.names.len(),
                    Task::Values(values) => values.names.len(),
                };
                let size = manifest.input.resize.size;
                let input = format!("{}x{}", size.width, size.height);
                let digest: String = file.digest.to_string().chars().take(12).collect();
                let architecture = &manifest.provenance.architecture;
                let task = manifest.task.kind();
                writeln!(out, "{name} {task:<13} {answers:>8} {input:>9} {architecture:<18} {digest}")?;
            }
            Err(error) => writeln!(out, "{name} cannot be read: {error}")?,
        }
    }
    Ok(())
}
