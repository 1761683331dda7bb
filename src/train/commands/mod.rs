//! The commands of `tagpoint-train`, one in each file: its flags, and what it does with them.

mod data;
mod draw_shapes;
mod evaluate;
mod fit;

use clap::{Parser, Subcommand};

pub use self::{
    data::{DataArgs, PointFrameArg, TaskArg},
    draw_shapes::DrawShapesArgs,
    evaluate::EvaluateArgs,
    fit::{AugmentArgs, FitArgs, PointSet},
};

/// Train picture taggers and keypoint models on your own photos.
#[derive(Debug, Parser)]
#[command(name = "tagpoint-train", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a model on a data set and write OUT/NEXT-VERSION/model.onnx.
    Fit(Box<FitArgs>),
    /// Judge a model file on the validation split of a data set.
    Evaluate(EvaluateArgs),
    /// Draw a data set of circles, squares and triangles, to try the trainer without photos.
    DrawShapes(DrawShapesArgs),
}

/// Runs a command.
///
/// # Errors
/// Whatever stops it, with what to do about it where that is known.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Fit(args) => fit::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::DrawShapes(args) => draw_shapes::run(args),
    }
}
