//! `show-batch`: the pictures as the network gets them, to look at before hours of training.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;

use super::{
    augment_args::AugmentArgs,
    data::{self, DataArgs},
    learn_args::TargetArgs,
};
use crate::{
    output::say,
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        augment::Augmentation,
        loader::{Loader, LoaderOptions, Resources},
        report::batch_grid,
    },
};

/// Options of `show-batch`.
#[derive(Debug, Args)]
pub struct ShowBatchArgs {
    /// The data set.
    #[command(flatten)]
    pub data: DataArgs,
    /// What to learn.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// Pixels a side, such as 224, or WIDTHxHEIGHT.
    #[arg(long, default_value = "224")]
    pub size: PictureSize,
    /// How a picture of another shape fits: `squish` or `pad` the whole of it, or `crop` its centre.
    #[arg(long, default_value = "squish")]
    pub method: ResizeMethod,
    /// Decides every random draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which epoch's pictures, counted from 1; each is augmented anew.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub epoch: u64,
    /// How training pictures are changed at random.
    #[command(flatten)]
    pub augment: AugmentArgs,
    /// Show validation pictures, as they are.
    #[arg(long)]
    pub plain: bool,
    /// Pictures.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub count: u16,
    /// The PNG to write.
    #[arg(long)]
    pub out: PathBuf,
}

/// Draws one batch.
pub(super) fn run(args: &ShowBatchArgs) -> anyhow::Result<()> {
    let augmentation = if args.plain { Augmentation::none() } else { args.augment.augmentation() };
    let mixing = args.augment.mixing();
    augmentation.validate().and_then(|()| mixing.validate()).map_err(anyhow::Error::msg)?;
    let dataset = Arc::new(data::read(&args.data, args.targets.task.into(), args.seed)?);
    let task = args.targets.task_of(&dataset, augmentation.mirrors(), None)?;
    mixing.suits(&task).map_err(anyhow::Error::msg)?;
    let resize = ResizeRule { method: args.method, size: args.size };
    let options = LoaderOptions {
        batch_size: usize::from(args.count),
        valid_batch_size: usize::from(args.count),
        seed: args.seed,
        augmentation,
        mixing,
        resources: Resources { workers: 1, ..Resources::default() },
        prefetch: 1,
        ..LoaderOptions::new(resize).of_task(&task)
    };
    let loader = Loader::new(Arc::clone(&dataset), options);
    let (mut batches, examples) = if args.plain {
        (loader.valid(), &dataset.valid)
    } else {
        (loader.train_epoch(args.epoch - 1, 0), &dataset.train)
    };
    let batch = batches.next().context("there is no picture")??;
    batch_grid(&args.out, &batch, examples, args.size, &task)?;
    say!("{}: {} pictures", args.out.display(), batch.items.len());
    Ok(())
}
