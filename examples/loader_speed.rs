//! Pictures that the loader makes in a second from a data set, augmented as in training, from files and from what it keeps
//! in memory after the first epoch: `cargo run --release --features train --example loader_speed -- --data photos.csv --size 224 --workers 1`.
#![allow(clippy::print_stdout, reason = "an example prints what it measures")]

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::Result;
use clap::Parser;
use tagpoint::{
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        augment::{Augmentation, Erasing, Mixing, RandomCrop},
        dataset::{DataOptions, TaskKind, read},
        loader::{Loader, LoaderOptions, Resources},
    },
};

/// What is measured.
#[derive(Parser)]
struct Args {
    /// A CSV of pictures with labels.
    #[arg(long)]
    data: PathBuf,
    /// Pixels a side.
    #[arg(long, default_value_t = 224)]
    size: u32,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

fn main() -> Result<()> {
    let Args { data, size, workers } = Args::parse();
    let dataset = Arc::new(read(&DataOptions::new(data, TaskKind::MultiLabel))?);
    let usual = Augmentation::default();
    let (none, mixup) = (Mixing::default(), Mixing { mixup_alpha: 0.4, cutmix_alpha: 0.0 });
    let crop = Augmentation { crop: Some(RandomCrop { min_area: 0.35, ..RandomCrop::default() }), ..usual };
    let erase = Augmentation { erase: Erasing { p: 0.5, ..Erasing::default() }, ..usual };
    let settings = [
        ("aug_transforms", usual, none),
        ("none", Augmentation::none(), none),
        ("and random crops", crop, none),
        ("and erasing", erase, none),
        ("and mixup", usual, mixup),
    ];
    let resize = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: size, height: size } };
    let from_files = settings.map(|(name, augmentation, mixing)| (name, augmentation, mixing, 0));
    let kept = ("aug_transforms, decoded in an epoch before", usual, none, Resources::default().cache_bytes);
    for (name, augmentation, mixing, cache_bytes) in from_files.into_iter().chain([kept]) {
        let resources = Resources { workers, cache_bytes, ..Resources::default() };
        let options = LoaderOptions { augmentation, mixing, resources, ..LoaderOptions::new(resize) };
        let loader = Loader::new(Arc::clone(&dataset), options);
        let mut best = 0.0_f64;
        for epoch in 0..3 {
            let (start, mut pictures) = (Instant::now(), 0);
            for batch in loader.train_epoch(epoch, 0) {
                pictures += batch?.items.len();
            }
            best = best.max(pictures as f64 / start.elapsed().as_secs_f64());
        }
        println!("{best:>8.0} pictures/s, {name}");
    }
    Ok(())
}
