//! That it learns, and that it learns the same thing again.

use std::sync::Arc;

use tagpoint::{
    model::YRange,
    onnx::arch::Architecture,
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        TrainError,
        augment::Augmentation,
        dataset::{DataOptions, Dataset, Target, TaskKind, read},
        learner::{FrozenBody, Learner},
        loader::Resources,
        lr_find::suggest,
        network::Snapshot,
        observer::Silent,
        precision::Precision,
        recipe::Recipe,
        task::{PointSettings, task_of},
        weights::WeightsSource,
    },
};

use tch::{Kind, Tensor};

use crate::{shapes, shared};

pub(crate) fn square(side: u32) -> ResizeRule {
    ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: side, height: side } }
}

/// The first `count` training pictures, as both splits.
pub(crate) fn few(csv: &std::path::Path, task: TaskKind, count: usize) -> Dataset {
    let mut dataset = read(&DataOptions::new(csv, task)).unwrap();
    dataset.train.truncate(count);
    dataset.valid = dataset.train.clone();
    dataset
}

pub(crate) fn learner(dataset: Dataset, recipe: &Recipe, workers: usize) -> Learner {
    try_learner(dataset, recipe, workers).unwrap()
}

fn try_learner(dataset: Dataset, recipe: &Recipe, workers: usize) -> Result<Learner, TrainError> {
    let task = task_of(&dataset, &recipe.y_range, &PointSettings::default()).unwrap();
    let resources = Resources { workers, ..Resources::default() };
    Learner::new(Arc::new(dataset), task, recipe.clone(), resources)
}

/// A recipe without anything that keeps a network from learning its pictures by heart.
pub(crate) fn by_heart() -> Recipe {
    Recipe {
        architecture: Architecture::Resnet18.into(),
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
        architecture: Architecture::MobilenetV2.into(),
        weights: WeightsSource::File(weights),
        resize: square(128),
        epochs: 40,
        ..by_heart()
    };
    let mut learner = learner(few(&csv, TaskKind::MultiLabel, 32), &recipe, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.05, "loss {}", evaluation.loss);
}

#[test]
fn it_learns_32_drawn_pictures_by_heart_in_bfloat16_and_is_judged_in_float32() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    let recipe = Recipe { precision: Precision::Bfloat16, ..by_heart() };
    let mut learner = learner(few(&csv, TaskKind::MultiLabel, 32), &recipe, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.05, "loss {}", evaluation.loss);
    assert_eq!(learner.evaluate().unwrap().outputs, evaluation.outputs);
}

#[test]
fn on_kept_features_the_head_learns_and_the_body_stays_as_it_was() {
    let folder = shapes(60);
    let recipe = Recipe {
        freeze_epochs: 12,
        epochs: 0,
        learning_rate: 2e-2,
        frozen: FrozenBody::Features { views: 2 },
        augmentation: Augmentation::default(),
        ..by_heart()
    };
    let mut learner = learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 48), &recipe, 2);
    let before = learner.network().snapshot().unwrap();
    let first = learner.evaluate().unwrap();
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    assert!(evaluation.loss < 0.9 * first.loss, "{} after {}", evaluation.loss, first.loss);
    let after = learner.network().snapshot().unwrap();
    for ((name, before), (_, after)) in before.values.iter().zip(&after.values) {
        assert_eq!(before.equal(after), !name.starts_with("head."), "{name}");
    }
    // The head alone gave the same figures for the features as the whole network gives for the pictures.
    let judged: Vec<f64> = learner.progress().epochs.iter().map(|epoch| epoch.valid_loss).collect();
    assert_eq!(judged.len(), 12);
    assert!(judged[10] < first.loss, "{judged:?}");
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

/// Two short epochs with everything random.
fn short() -> Recipe {
    Recipe { epochs: 2, dropout: 0.5, augmentation: Augmentation::default(), ..by_heart() }
}

#[test]
fn the_learning_rate_finder_puts_every_weight_back() {
    let folder = shapes(60);
    let recipe = short();
    let mut learner = learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40), &recipe, 2);
    let before = learner.graph().unwrap();
    let curve = learner.lr_find(&recipe.plan(learner.group_count())).unwrap();
    assert!(curve.len() > 20 && curve.len() <= 100, "{}", curve.len());
    assert!(curve.windows(2).all(|pair| pair[0].lr < pair[1].lr));
    assert!(learner.graph().unwrap() == before, "a weight or a statistic changed");
    let suggestions = suggest(&curve).unwrap();
    assert!((1e-6..1.0).contains(&suggestions.valley), "{suggestions:?}");
}

#[test]
fn the_learning_rate_finder_begins_as_the_training_that_follows() {
    let folder = shapes(60);
    let on_features = Recipe { freeze_epochs: 1, frozen: FrozenBody::Features { views: 1 }, epochs: 1, ..short() };
    let smaller_sizes = vec![PictureSize { width: 48, height: 48 }];
    let accumulated = Recipe { batch_size: 8, accumulate: 2, smaller_sizes, epochs: 1, ..short() };
    for recipe in [on_features, accumulated] {
        let fresh = || learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40), &recipe, 2);
        let mut finder = fresh();
        let curve = finder.lr_find(&recipe.plan(finder.group_count())).unwrap();
        let mut trained = fresh();
        trained.fine_tune(&mut Silent).unwrap();
        // Both are losses of the weights that training starts from.
        let (found, first) = (curve[0].loss, trained.progress().steps[0].loss);
        assert!((found - first).abs() < 1e-6, "{:?}: {found} {first}", recipe.frozen);
    }
}

#[test]
fn epochs_that_are_compared_are_judged_in_one_precision_and_what_is_kept_in_float32() {
    let folder = shapes(60);
    // Nothing but the last weights is kept.
    let recipe = Recipe { precision: Precision::Bfloat16, patience: Some(2), ..short() };
    let mut learner = learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40), &recipe, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    let compared = learner.progress().epochs[1].valid_loss;
    assert_eq!(learner.evaluate().unwrap().loss, evaluation.loss);
    learner.network().compute_in(Kind::BFloat16);
    assert_eq!(learner.evaluate().unwrap().loss, compared);
    assert_ne!(evaluation.loss, compared);
}

#[test]
fn training_ends_early_and_keeps_the_best_epoch() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    // Weights that are thrown about at this rate seldom get better for long.
    let recipe = Recipe {
        epochs: 30,
        learning_rate: 0.5,
        patience: Some(2),
        keep_best: true,
        metric: Some("loss".into()),
        ..short()
    };
    let mut learner = learner(few(&csv, TaskKind::MultiLabel, 40), &recipe, 2);
    let evaluation = learner.fine_tune(&mut Silent).unwrap();
    let progress = learner.progress();
    let best = progress.best.clone().unwrap();
    let least = progress.epochs.iter().map(|epoch| epoch.valid_loss).fold(f64::INFINITY, f64::min);
    assert!(progress.epochs.len() < 30, "all 30 epochs were trained");
    assert_eq!((best.value, best.epoch + 2), (least, progress.epochs.len() as u64));
    assert_eq!(evaluation.loss, least);
    assert_eq!(learner.evaluate().unwrap().loss, least);
}

#[test]
fn a_metric_of_another_task_is_refused_before_training_with_those_that_there_are() {
    let folder = shapes(60);
    let recipe = Recipe { keep_best: true, metric: Some("nme".into()), ..short() };
    let refused = try_learner(few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40), &recipe, 2);
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("\"nme\"") && error.contains("map"), "{error}");
}

#[test]
fn a_metric_that_does_not_exist_or_chooses_nothing_is_refused_before_training() {
    let metric = |name: &str| Some(name.to_owned());
    let unknown = Recipe { keep_best: true, metric: metric("mop"), ..short() }.validate().unwrap_err();
    assert!(unknown.contains("\"mop\"") && unknown.contains("map"), "{unknown}");
    let idle = Recipe { metric: metric("map"), ..short() };
    assert!(idle.validate().unwrap_err().contains("give keep-best or patience too"));
    for chooses in [Recipe { keep_best: true, ..idle.clone() }, Recipe { patience: Some(2), ..idle }] {
        assert_eq!(chooses.validate(), Ok(()));
    }
}

#[test]
fn averaged_weights_lie_between_the_first_and_the_last() {
    let folder = shapes(60);
    let train = |ema: Option<f64>| {
        let dataset = few(&folder.path().join("labels.csv"), TaskKind::MultiLabel, 40);
        let mut learner = learner(dataset, &Recipe { ema, ..short() }, 2);
        learner.fine_tune(&mut Silent).unwrap();
        learner.network().snapshot().unwrap()
    };
    let (last, forgetful, averaged) = (train(None), train(Some(0.0)), train(Some(0.999)));
    let distance = |a: &Snapshot, b: &Snapshot| -> f64 {
        let far = |((_, a), (_, b)): (&(String, Tensor), &(String, Tensor))| {
            (a - b).square().sum(Kind::Double).double_value(&[])
        };
        a.values.iter().zip(&b.values).map(far).sum()
    };
    // A decay of 0 remembers nothing but the last step.
    assert!(distance(&last, &forgetful) < 1e-6, "{}", distance(&last, &forgetful));
    assert!(distance(&last, &averaged) > 1e-3);
}

#[test]
fn a_loss_that_is_no_number_says_where_and_what_to_do() {
    let folder = shapes(60);
    let mut dataset = few(&folder.path().join("points.csv"), TaskKind::Points, 40);
    // The square of such a distance has no float32.
    for example in &mut dataset.train {
        example.target = Target::Points(vec![Some((1e30, 0.0))]);
    }
    let recipe = Recipe { y_range: vec![YRange { low: -f32::MAX / 4.0, high: f32::MAX / 4.0 }], ..short() };
    let mut learner = learner(dataset, &recipe, 2);
    let error = learner.fine_tune(&mut Silent).unwrap_err().to_string();
    assert!(error.contains("epoch 1, step 1") && error.contains("--lr"), "{error}");
}
