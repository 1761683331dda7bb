//! `draw-shapes`: a data set to try the trainer on.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::train::shapes;

/// Options of `draw-shapes`.
#[derive(Debug, Args)]
pub struct DrawShapesArgs {
    /// Where to: pictures into images/, and the tables labels.csv and points.csv.
    pub folder: PathBuf,
    /// Pictures.
    #[arg(long, default_value_t = 500)]
    pub count: u64,
    /// Decides every random draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Draws the data set.
pub(super) fn run(args: &DrawShapesArgs) -> anyhow::Result<()> {
    shapes::draw_data_set(&args.folder, args.count, args.seed)
        .with_context(|| format!("cannot draw into {}", args.folder.display()))
}
