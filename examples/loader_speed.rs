//! Pictures that the loader makes in a second at 128 px, by augmentation: `cargo run --release --features train
//! --example loader_speed [threads] [pictures]`. The pictures are drawn, and decoded before the clock starts.
#![allow(clippy::print_stdout, reason = "an example prints what it measures")]

use std::{sync::Arc, time::Instant};

use anyhow::Result;
use tagpoint::{
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        augment::{Augmentation, Erasing, Mixing, RandomCrop},
        dataset::{DataOptions, TaskKind, read},
        loader::{Loader, LoaderOptions, Resources},
    },
};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let workers = arguments.next().transpose()?.unwrap_or(1);
    let pictures = arguments.next().transpose()?.unwrap_or(256) as u32;
    let folder = tempfile::tempdir()?;
    let mut table = "fname,labels,is_valid\n".to_owned();
    for i in 0..pictures {
        let picture =
            image::RgbImage::from_fn(320, 240, |x, y| image::Rgb([x * 7 + i, y * 11 + i, x * y + i].map(|v| v as u8)));
        picture.save(folder.path().join(format!("{i}.png")))?;
        table += &format!("{i}.png,{},{}\n", ["a", "b", "a b"][i as usize % 3], i == 0);
    }
    std::fs::write(folder.path().join("train.csv"), table)?;
    let dataset = Arc::new(read(&DataOptions::new(folder.path().join("train.csv"), TaskKind::MultiLabel))?);
    let usual = Augmentation::default();
    let (none, mixup) = (Mixing::default(), Mixing { mixup_alpha: 0.4, cutmix_alpha: 0.0 });
    let crop = Augmentation { crop: Some(RandomCrop { min_area: 0.35, ..RandomCrop::default() }), ..usual };
    let erase = Augmentation { erase: Erasing { p: 0.5, ..Erasing::default() }, ..usual };
    let settings = [
        ("none", Augmentation::none(), none),
        ("aug_transforms", usual, none),
        ("and random crops", crop, none),
        ("and erasing", erase, none),
        ("and mixup", usual, mixup),
    ];
    let resources = Resources { workers, ..Resources::default() };
    let resize = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 128, height: 128 } };
    for (name, augmentation, mixing) in settings {
        let options = LoaderOptions { augmentation, mixing, resources, batch_size: 32, ..LoaderOptions::new(resize) };
        let loader = Loader::new(Arc::clone(&dataset), options);
        let epoch =
            |epoch| loader.train_epoch(epoch, 0).map(|batch| batch.map_or(0, |batch| batch.items.len())).sum::<usize>();
        epoch(0);
        let mut best = 0.0_f64;
        for number in 1..6 {
            let start = Instant::now();
            best = best.max(epoch(number) as f64 / start.elapsed().as_secs_f64());
        }
        println!("{name:<20} {best:>8.0} pictures/s");
    }
    Ok(())
}
