//! The commands of `tagpoint-train`, one in each file: its flags, and what it does with them.

mod augment_args;
mod data;
mod draw_shapes;
mod evaluate;
mod fit;
mod learn_args;
mod loss_args;
mod lr_find;
mod show_batch;
mod stop;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::{
    augment_args::{AugmentArgs, FillArg, PaddingArg},
    data::{DataArgs, PointFrameArg, TaskArg},
    draw_shapes::DrawShapesArgs,
    evaluate::EvaluateArgs,
    fit::{FitArgs, NewRunArgs},
    learn_args::{LearnArgs, LearningRate, PointSet},
    loss_args::{LossArgs, PositiveWeight},
    lr_find::LrFindArgs,
    show_batch::ShowBatchArgs,
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
    Fit(FitArgs),
    /// Find a learning rate: train some batches with a growing one, and say where the loss fell well.
    LrFind(Box<LrFindArgs>),
    /// Draw a batch of pictures as the network gets them, with their labels or points.
    ShowBatch(ShowBatchArgs),
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
        Command::ShowBatch(args) => show_batch::run(args)?,
        Command::Evaluate(args) => evaluate::run(args)?,
        Command::DrawShapes(args) => draw_shapes::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
