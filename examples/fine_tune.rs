//! Trains a tagger in a few lines: data → learner → `fine_tune` → save.
//!
//!     cargo run --release --features train --example fine_tune -- photos.csv mobilenet_v2.safetensors models/photos
#![allow(clippy::print_stdout, reason = "the output of the program")]

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tagpoint::{
    infer::Runtime,
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        dataset::{DataOptions, TaskKind, read},
        environment,
        learner::Learner,
        loader::Resources,
        progress::Progress,
        recipe::Recipe,
        save::{SaveSettings, save},
        task::{PointSettings, task_of},
        weights::WeightsSource,
    },
};

fn main() -> anyhow::Result<()> {
    environment::settle()?;
    let arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [table, weights, out] =
        <[PathBuf; 3]>::try_from(arguments).ok().context("give a table, weights and a folder")?;

    let dataset = Arc::new(read(&DataOptions::new(table, TaskKind::MultiLabel))?);
    let task = task_of(&dataset, &[], &PointSettings::default())?;
    let size = PictureSize { width: 128, height: 128 };
    let recipe = Recipe {
        weights: WeightsSource::File(weights),
        resize: ResizeRule { method: ResizeMethod::Squish, size },
        epochs: 3,
        ..Recipe::default()
    };
    let mut learner = Learner::new(dataset, task, recipe, Resources::default())?;
    let evaluation = learner.fine_tune(&mut Progress::new())?;
    let saved = save(&mut learner, evaluation, SaveSettings::default(), &Runtime::load(None)?, &out)?;
    println!("{}", saved.path.display());
    Ok(())
}
