//! That it learns, and that it learns the same thing again.

use std::sync::Arc;

use tagpoint::{
    model::YRange,
    onnx::arch::Architecture,
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        augment::Augmentation,
        dataset::{CsvOptions, Dataset, TaskKind, read_csv},
        learner::Learner,
        observer::Silent,
        recipe::Recipe,
        task::{PointSettings, task_of},
    },
};

use crate::{shapes, shared};

fn square(side: u32) -> ResizeRule {
    ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: side, height: side } }
}

/// The first `count` training pictures, as both splits.
fn few(csv: &std::path::Path, task: TaskKind, count: usize) -> Dataset {
    let mut dataset = read_csv(&CsvOptions::new(csv, task)).unwrap();
    dataset.train.truncate(count);
    dataset.valid = dataset.train.clone();
    dataset
}

fn learner(dataset: Dataset, recipe: &Recipe, workers: usize) -> Learner {
    let task = task_of(&dataset, &recipe.y_range, &PointSettings::default()).unwrap();
    Learner::new(Arc::new(dataset), task, recipe.clone(), workers).unwrap()
}

/// A recipe without anything that keeps a network from learning its pictures by heart.
fn by_heart() -> Recipe {
    Recipe {
        architecture: Architecture::Resnet18,
        resize: square(64),
        freeze_epochs: 0,
        epochs: 60,
        learning_rate: 5e-3,
        lr_mult: 1.0,
        weight_decay: 0.0,
        dropout: 0.0,
        batch_size: 16,
        augmentation: Augmentation::none(),
        ..Recipe::default()
    }
}

#[test]
fn it_learns_32_drawn_pictures_by_heart() {
    let folder = shapes(60);
    let mut learner = learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 32), &by_heart(), 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.05, "loss {}", evaluation.loss);
}

#[test]
fn it_learns_32_photos_by_heart() {
    let (Some(csv), Some(weights)) =
        (shared("data/scenes/train.csv"), shared("weights/mobilenet_v2-imagenet.safetensors"))
    else {
        return;
    };
    let recipe = Recipe {
        architecture: Architecture::MobilenetV2,
        weights: Some(weights),
        resize: square(128),
        epochs: 30,
        ..by_heart()
    };
    let mut learner = learner(few(&csv, TaskKind::MultiLabel, 32), &recipe, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.05, "loss {}", evaluation.loss);
}

#[test]
fn it_learns_where_the_circles_are_and_passes_over_missing_ones() {
    let folder = shapes(100);
    let dataset = few(&folder.path().join("points.csv"), TaskKind::Points, 32);
    let missing = dataset.targets.counts(&dataset.train)[0];
    assert!((4..28).contains(&missing), "some circles, not all, are missing: {missing}");
    let mut learner = learner(dataset, &Recipe { y_range: vec![YRange { low: -1.1, high: 1.1 }], ..by_heart() }, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.05, "loss {}", evaluation.loss);
    let (name, pixels) = &evaluation.metrics[0];
    assert_eq!(name, "point_error_px");
    assert!(*pixels < 6.0, "{pixels} pixels of 96 × 72");
}

#[test]
fn the_same_seed_gives_the_same_weights_whatever_the_number_of_workers() {
    let folder = shapes(60);
    let recipe =
        Recipe { freeze_epochs: 1, epochs: 1, dropout: 0.5, augmentation: Augmentation::default(), ..by_heart() };
    let train = |seed: u64, workers: usize| {
        let dataset = few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40);
        let mut learner = learner(dataset, &Recipe { seed, ..recipe.clone() }, workers);
        learner.fine_tune(&mut Silent).unwrap();
        learner.graph().unwrap()
    };
    let first = train(1, 1);
    assert!(first == train(1, 3), "the same seed gave other weights");
    assert!(first != train(2, 1), "another seed gave the same weights");
}
