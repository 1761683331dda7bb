//! The commands of `tagpoint-train`, one in each file: its flags, and what it does with them.

mod augment_args;
mod check;
mod data;
mod draw_shapes;
mod evaluate;
mod fit;
mod inspect;
mod judged;
mod learn_args;
mod loss_args;
mod lr_find;
mod predict;
mod quantize;
mod show_batch;
mod stop;
mod tables;
mod thresholds;
mod vocabulary;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::{
    augment_args::{AugmentArgs, FillArg, PaddingArg},
    check::CheckArgs,
    data::{DataArgs, PointFrameArg, TaskArg},
    draw_shapes::DrawShapesArgs,
    evaluate::EvaluateArgs,
    fit::{FitArgs, NewRunArgs},
    inspect::InspectArgs,
    judged::SplitArg,
    learn_args::{LearnArgs, LearningRate, PointSet, TargetArgs},
    loss_args::{LossArgs, PositiveWeight},
    lr_find::LrFindArgs,
    predict::{FormatArg, PredictArgs},
    quantize::QuantizeArgs,
    show_batch::ShowBatchArgs,
    thresholds::ThresholdsArgs,
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
    /// Say what is wrong with a data set before any training: unreadable or duplicate pictures, labels, points, splits.
    Check(CheckArgs),
    /// Judge a model file on the validation split of a data set.
    Evaluate(EvaluateArgs),
    /// Answer for pictures as the server would: a line of JSON or CSV for each.
    Predict(PredictArgs),
    /// Show a model's operating points, or fit them anew on a data set and write the next version.
    Thresholds(ThresholdsArgs),
    /// Write a model's INT8 form beside it, judged on validation pictures.
    Quantize(QuantizeArgs),
    /// Say what is in a model file, or in any other ONNX file.
    Inspect(InspectArgs),
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
        Command::Check(args) => return check::run(args),
        Command::Evaluate(args) => evaluate::run(args)?,
        Command::Predict(args) => predict::run(args)?,
        Command::Thresholds(args) => thresholds::run(args)?,
        Command::Quantize(args) => return quantize::run(args),
        Command::Inspect(args) => inspect::run(args)?,
        Command::DrawShapes(args) => draw_shapes::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
