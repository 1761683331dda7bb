//! That a run goes on where it was, and comes to the same bits.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tagpoint::{
    onnx::GraphProto,
    train::{
        dataset::TaskKind,
        learner::{Companions, FrozenBody, Learner, Outcome},
        observer::{EpochReport, Observer, Silent, StepReport},
        precision::Precision,
        recipe::Recipe,
    },
};

use crate::{
    learning::{by_heart, few, learner},
    shapes,
};

/// Asks for a stop after so many steps.
struct StopAfter {
    steps: usize,
    stop: Arc<AtomicBool>,
}

impl Observer for StopAfter {
    fn step(&mut self, _: &StepReport) {
        self.steps -= 1;
        self.stop.store(self.steps == 0, Ordering::Relaxed);
    }

    fn epoch(&mut self, _: &EpochReport) {}
}

/// Two steps an epoch, a frozen and two unfrozen epochs, everything random that there is.
fn recipe() -> Recipe {
    Recipe { freeze_epochs: 1, epochs: 2, dropout: 0.5, augmentation: Default::default(), ..by_heart() }
}

fn start(csv: &Path, recipe: &Recipe) -> Learner {
    learner(few(csv, TaskKind::MultiLabel, 36), recipe, 2)
}

/// Trains until `steps` are done, then goes on in a new learner from the checkpoint.
fn interrupted(csv: &Path, recipe: &Recipe, steps: usize, checkpoint: &Path) -> Learner {
    let mut first = start(csv, recipe);
    let plan = recipe.plan(first.group_count());
    let stop = Arc::new(AtomicBool::new(false));
    let mut observer = StopAfter { steps, stop: Arc::clone(&stop) };
    let mut companions = Companions { observer: &mut observer, checkpoint: Some(checkpoint), stop: Some(&stop) };
    assert!(matches!(first.fit(&plan, &mut companions).unwrap(), Outcome::Stopped));
    drop(first);
    let mut second = start(csv, recipe);
    second.resume(checkpoint, &plan).unwrap();
    let outcome = second.fit(&plan, &mut Companions::with(&mut Silent)).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    second
}

fn straight(csv: &Path, recipe: &Recipe) -> Learner {
    let mut learner = start(csv, recipe);
    learner.fine_tune(&mut Silent).unwrap();
    learner
}

fn graph(learner: &Learner) -> GraphProto {
    learner.graph().unwrap().graph
}

#[test]
fn a_run_that_was_stopped_anywhere_comes_to_the_same_bits() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    let expected = straight(&csv, &recipe());
    // In the frozen epoch, at its end, in the middle of the cycle, and before the last validation.
    for steps in [1, 2, 3, 6] {
        let resumed = interrupted(&csv, &recipe(), steps, &folder.path().join("run/checkpoint"));
        assert!(graph(&resumed) == graph(&expected), "stopped after {steps} steps, it came to other weights");
        let losses = |learner: &Learner| -> Vec<f64> {
            learner.progress().epochs.iter().flat_map(|epoch| [epoch.train_loss, epoch.valid_loss]).collect()
        };
        assert_eq!(losses(&resumed), losses(&expected));
        assert_eq!(resumed.progress().steps, expected.progress().steps);
    }
}

#[test]
fn on_kept_features_and_in_bfloat16_it_comes_to_the_same_bits_as_well() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    let recipe = Recipe {
        freeze_epochs: 3,
        frozen: FrozenBody::Features { views: 2 },
        precision: Precision::Bfloat16,
        ..recipe()
    };
    let expected = straight(&csv, &recipe);
    // Within the first view's epoch, within the one that takes it again, and after the phase.
    for steps in [1, 5, 7] {
        let resumed = interrupted(&csv, &recipe, steps, &folder.path().join("run/checkpoint"));
        assert!(graph(&resumed) == graph(&expected), "stopped after {steps} steps, it came to other weights");
    }
}

#[test]
fn averaged_and_best_weights_and_accumulated_steps_resume_as_well() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    let recipe = Recipe {
        ema: Some(0.9),
        keep_best: true,
        clip_norm: Some(1.0),
        batch_size: 8,
        accumulate: 2,
        smaller_sizes: vec![tagpoint::picture::PictureSize { width: 48, height: 48 }],
        ..recipe()
    };
    let expected = straight(&csv, &recipe);
    let resumed = interrupted(&csv, &recipe, 5, &folder.path().join("checkpoint"));
    assert!(graph(&resumed) == graph(&expected));
    assert_eq!(resumed.progress().best, expected.progress().best);
}

#[test]
fn a_checkpoint_of_other_settings_or_data_is_refused() {
    let folder = shapes(60);
    let csv = folder.path().join("labels.csv");
    let path = folder.path().join("checkpoint");
    interrupted(&csv, &recipe(), 1, &path);
    let refusal = |learner: &mut Learner, path: &Path| {
        learner.resume(path, &recipe().plan(learner.group_count())).unwrap_err().to_string()
    };
    let mut other = start(&csv, &Recipe { learning_rate: 1e-4, ..recipe() });
    assert!(refusal(&mut other, &path).contains("the settings changed"));
    let mut other = learner(few(&folder.path().join("points.csv"), TaskKind::Points, 36), &recipe(), 1);
    assert!(refusal(&mut other, &path).contains("the data set changed"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refusal(&mut start(&csv, &recipe()), &path).contains("no checkpoint that can be read"));
}
