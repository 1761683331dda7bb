//! The commands of `tagpoint-train`, one in each file: its flags, and what it does with them.

mod check;
mod data;
mod draw_shapes;
mod evaluate;
mod fit;
mod learn_args;
mod lr_find;
mod stop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::{
    check::CheckArgs,
    data::{DataArgs, PointFrameArg, TaskArg},
    draw_shapes::DrawShapesArgs,
    evaluate::EvaluateArgs,
    fit::{FitArgs, NewRunArgs},
    learn_args::{AugmentArgs, LearnArgs, LearningRate, PointSet},
    lr_find::LrFindArgs,
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
    /// Find a learning rate: train some batches with a growing one, and say where the loss fell well.
    LrFind(Box<LrFindArgs>),
    /// Say what is wrong with a data set before any training: unreadable or duplicate pictures, labels, points, splits.
    Check(CheckArgs),
    /// Judge a model file on the validation split of a data set.
    Evaluate(EvaluateArgs),
    /// Draw a data set of circles, squares and triangles, to try the trainer without photos.
    DrawShapes(DrawShapesArgs),
}

/// Runs a command.
///
/// # Errors
/// Whatever stops it, with what to do about it where that is known.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Fit(args) => return fit::run(args),
        Command::LrFind(args) => lr_find::run(args)?,
        Command::Check(args) => return check::run(args),
        Command::Evaluate(args) => evaluate::run(args)?,
        Command::DrawShapes(args) => draw_shapes::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
