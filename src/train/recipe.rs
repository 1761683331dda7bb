//! A training run's settings, as data: validated once, saved with the model.

use serde::{Deserialize, Serialize};

use super::{
    augment::{Augmentation, Mixing},
    backbone::Backbone,
    groups::GROUPS,
    learner::FrozenBody,
    losses::LossSettings,
    metrics,
    precision::Precision,
    schedule::{FineTune, PhasePlan, one_cycle},
    weights::WeightsSource,
};
use crate::{
    model::{Task, YRange},
    onnx::arch::{Architecture, Normalisation},
    picture::{PictureSize, ResizeMethod, ResizeRule},
};

/// How the learning rate runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// fastai's fine_tune: the head alone for the frozen epochs, then everything, each in a cycle of its own.
    #[default]
    FineTune,
    /// fastai's fit_one_cycle: one cycle for all epochs.
    OneCycle,
}

fn one() -> usize {
    1
}

/// Whether a network can be trained at this size.
fn is_trainable(size: &PictureSize) -> bool {
    [size.width, size.height].iter().all(|side| (32..=1024).contains(side))
}

/// Everything that decides what a run computes, apart from the data set and the weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The backbone.
    pub architecture: Backbone,
    /// Where the weights come from that training starts from; none for random ones, or those of an exported backbone.
    #[serde(skip_serializing_if = "WeightsSource::is_none", default)]
    pub weights: WeightsSource,
    /// What the graph subtracts from the pixels and divides them by; where nothing is said, what a model of one's own does
    /// that training starts from, or else ImageNet's.
    #[serde(default)]
    pub normalisation: Option<Normalisation>,
    /// How pictures become the model's pixels.
    pub resize: ResizeRule,
    /// Epochs with the backbone frozen.
    pub freeze_epochs: usize,
    /// What of the backbone trains in the frozen epochs.
    #[serde(default)]
    pub frozen: FrozenBody,
    /// Epochs with everything trained.
    pub epochs: usize,
    /// fastai's `base_lr`.
    pub learning_rate: f64,
    /// fastai's `lr_mult`: the first layers train at `learning_rate / 2 / lr_mult` after the frozen epochs.
    pub lr_mult: f64,
    /// How the learning rate runs.
    #[serde(default)]
    pub schedule: Schedule,
    /// How many of the first parameter groups stay frozen to the end; their normalisations train all the same.
    #[serde(default)]
    pub keep_frozen: usize,
    /// Sizes of earlier epochs, in order, before the model's own; the epochs are shared out evenly among all.
    #[serde(default)]
    pub smaller_sizes: Vec<PictureSize>,
    /// Batches whose gradients are averaged for one step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Gradients longer than this are scaled down to it.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// Decay of the exponential average of the weights that is judged and kept in place of the last ones.
    #[serde(default)]
    pub ema: Option<f64>,
    /// Whether the weights of the best epoch are kept rather than those of the last.
    #[serde(default)]
    pub keep_best: bool,
    /// Training ends after so many epochs that were no better than the best.
    #[serde(default)]
    pub patience: Option<usize>,
    /// The metric that says which epoch is the best; the task's own where there is none.
    #[serde(default)]
    pub metric: Option<String>,
    /// Decoupled weight decay; not on norm parameters and biases.
    pub weight_decay: f64,
    /// Dropout before the last layer; half of it before the first layer of the head.
    pub dropout: f32,
    /// Pictures a step.
    pub batch_size: usize,
    /// What convolutions and matrix products compute in while training.
    #[serde(default)]
    pub precision: Precision,
    /// Decides every random draw of the run.
    pub seed: u64,
    /// Augmentation of the training pictures.
    pub augmentation: Augmentation,
    /// Mixing of the pictures of a training batch; labels only.
    #[serde(default)]
    pub mixing: Mixing,
    /// What training makes small.
    #[serde(default)]
    pub loss: LossSettings,
    /// What the outputs are confined to. Points: one range, in units of the frame (−1…1 is the frame), −1.2…1.2 where
    /// there is none. Values: one range, one for each, or none.
    pub y_range: Vec<YRange>,
    /// The threshold of `accuracy_multi`; labels only.
    pub accuracy_threshold: f64,
}

impl Default for Recipe {
    /// fastai's defaults for `fine_tune`, at 224 px.
    fn default() -> Self {
        let size = PictureSize { width: 224, height: 224 };
        Self {
            architecture: Backbone::Named(Architecture::MobilenetV2),
            weights: WeightsSource::None,
            normalisation: None,
            resize: ResizeRule { method: ResizeMethod::Squish, size },
            freeze_epochs: 1,
            frozen: FrozenBody::Norms,
            epochs: 5,
            learning_rate: 2e-3,
            lr_mult: 100.0,
            schedule: Schedule::FineTune,
            keep_frozen: 0,
            smaller_sizes: Vec::new(),
            accumulate: 1,
            clip_norm: None,
            ema: None,
            keep_best: false,
            patience: None,
            metric: None,
            weight_decay: 0.01,
            dropout: 0.5,
            batch_size: 64,
            precision: Precision::Float32,
            seed: 1,
            augmentation: Augmentation::default(),
            mixing: Mixing::default(),
            loss: LossSettings::default(),
            y_range: Vec::new(),
            accuracy_threshold: 0.5,
        }
    }
}

impl Recipe {
    /// The phases for `groups` parameter groups, in order.
    pub fn plan(&self, groups: usize) -> Vec<PhasePlan> {
        if self.schedule == Schedule::OneCycle {
            return one_cycle(self.epochs, self.learning_rate, self.lr_mult, groups, self.keep_frozen);
        }
        let fine_tune = FineTune {
            epochs: self.epochs,
            base_lr: self.learning_rate,
            freeze_epochs: self.freeze_epochs,
            lr_mult: self.lr_mult,
            keep_frozen: self.keep_frozen,
            ..FineTune::default()
        };
        fine_tune.plan(groups)
    }

    /// The size of the training pictures in an epoch, counted from 0, of `epochs`.
    pub fn size_of_epoch(&self, epoch: usize, epochs: usize) -> PictureSize {
        let place = epoch * (self.smaller_sizes.len() + 1) / epochs.max(1);
        self.smaller_sizes.get(place).copied().unwrap_or(self.resize.size)
    }

    /// The name of the metric that says which epoch is the best.
    pub fn metric_for(&self, task: &Task) -> String {
        self.metric.clone().unwrap_or_else(|| metrics::default_metric(task).to_owned())
    }

    /// The recipe as a model file records it: without the path of the weight file, whose digest is recorded instead.
    pub fn for_manifest(&self) -> serde_json::Value {
        let weights = self.weights.for_manifest(self.architecture.named());
        let recipe = Self { weights, architecture: self.architecture.without_folder(), ..self.clone() };
        serde_json::to_value(recipe).unwrap_or_default()
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// Every mistake, each in a sentence of its own.
    pub fn validate(&self) -> Result<(), String> {
        let checks = [
            (is_trainable(&self.resize.size), "size has to be 32 to 1024 pixels a side"),
            (
                self.normalisation.is_none_or(|normalisation| {
                    normalisation.mean.iter().all(|mean| (0.0..=1.0).contains(mean))
                        && normalisation.std.iter().all(|&std| std > 0.0 && std <= 1.0)
                }),
                "mean has to lie in 0…1 and std above 0 and up to 1: both are in units of 255",
            ),
            (self.freeze_epochs + self.epochs > 0, "there is no epoch to train: epochs and freeze-epochs are both 0"),
            (self.learning_rate > 0.0 && self.learning_rate < 10.0, "lr has to lie between 0 and 10"),
            (
                self.schedule == Schedule::FineTune || self.freeze_epochs == 0,
                "one-cycle has no frozen epochs: freeze-epochs has to be 0",
            ),
            (self.smaller_sizes.iter().all(is_trainable), "smaller sizes have to be 32 to 1024 pixels a side"),
            (
                self.frozen == FrozenBody::Norms || self.freeze_epochs > 0,
                "frozen says what trains in the frozen epochs, and there are no frozen epochs",
            ),
            (self.keep_frozen < GROUPS, "keep-frozen has to be 0, 1 or 2: the third group is the head"),
            (self.accumulate >= 1, "accumulate has to be 1 or more"),
            (self.clip_norm.is_none_or(|norm| norm > 0.0), "clip-norm has to be above 0"),
            (self.ema.is_none_or(|decay| (0.0..1.0).contains(&decay)), "ema has to lie in 0…1, such as 0.999"),
            (self.patience.is_none_or(|patience| patience > 0), "patience has to be 1 epoch or more"),
            (self.lr_mult >= 1.0 && self.lr_mult.is_finite(), "lr-mult has to be 1 or more"),
            ((0.0..1.0).contains(&self.weight_decay), "weight-decay has to lie in 0…1"),
            ((0.0..1.0).contains(&self.dropout), "dropout has to lie in 0…1"),
            (self.batch_size >= 2, "batch-size has to be 2 or more: batch norm has no variance over one picture"),
            (self.y_range.iter().all(|range| range.low < range.high), "y-range has to go from low to high"),
            ((0.0..=1.0).contains(&self.accuracy_threshold), "threshold has to lie in 0…1"),
        ];
        let mut mistakes: Vec<String> =
            checks.iter().filter(|(right, _)| !right).map(|&(_, mistake)| mistake.to_owned()).collect();
        mistakes.extend(self.metric.as_deref().and_then(|metric| self.metric_mistake(metric)));
        mistakes.extend(self.augmentation.validate().err());
        mistakes.extend(self.mixing.validate().err());
        mistakes.extend(self.loss.validate().err());
        mistakes.extend(self.weights.check(self.architecture.named()).err());
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
    }

    /// What can be said of a metric before there is an evaluation.
    fn metric_mistake(&self, metric: &str) -> Option<String> {
        if metrics::direction(metric).is_none() {
            let names: Vec<&str> = metrics::METRICS.iter().map(|(name, _)| *name).collect();
            return Some(format!("there is no metric {metric:?}: choose of {}", names.join(", ")));
        }
        let unused = !self.keep_best && self.patience.is_none();
        unused.then(|| "metric says which epoch is the best: give keep-best or patience too".to_owned())
    }
}
