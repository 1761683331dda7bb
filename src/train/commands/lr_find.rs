//! `lr-find`: what learning rate a run could use.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;

use super::{
    data::{self, DataArgs},
    learn_args::LearnArgs,
};
use crate::{
    output::say,
    train::{TrainError, learner::Learner, lr_find::suggest, report},
};

/// Options of `lr-find`.
#[derive(Debug, Args)]
pub struct LrFindArgs {
    /// The data set.
    #[command(flatten)]
    pub data: DataArgs,
    /// Draw the curve here, with what its rules suggest: a PNG.
    #[arg(long)]
    pub plot: Option<PathBuf>,
    /// What to learn, and how.
    #[command(flatten)]
    pub learn: LearnArgs,
}

/// Runs the finder and prints what its rules suggest.
pub(super) fn run(args: &LrFindArgs) -> anyhow::Result<()> {
    let mut recipe = args.learn.recipe();
    recipe.validate().map_err(TrainError::Recipe)?;
    let dataset = Arc::new(data::read(&args.data, args.learn.targets.task.into(), args.learn.seed)?);
    let task = args.learn.task_of(&dataset)?;
    let mut learner = Learner::new(dataset, task, recipe.clone(), args.learn.resources())?;
    args.learn.settle_precision(&mut learner, &mut recipe);
    let curve = learner.lr_find(&recipe.plan(learner.group_count()))?;
    let suggestions = suggest(&curve)
        .with_context(|| format!("the loss went astray after {} mini-batches: too few to judge", curve.len()))?;
    if let Some(path) = &args.plot {
        report::lr_find_plot(path, &curve, &suggestions.named())?;
    }
    for (name, lr) in suggestions.named() {
        say!("{name:<8} {lr:.2e}");
    }
    Ok(())
}
