//! A training run's settings, as data: validated once, saved with the model.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{augment::Augmentation, schedule::FineTune};
use crate::{
    model::YRange,
    onnx::arch::Architecture,
    picture::{PictureSize, ResizeMethod, ResizeRule},
};

/// Everything that decides what a run computes, apart from the data set and the weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The backbone.
    #[serde(with = "architecture_name")]
    pub architecture: Architecture,
    /// The `.safetensors` file or model of our own that training starts from; none for random weights.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weights: Option<PathBuf>,
    /// How pictures become the model's pixels.
    pub resize: ResizeRule,
    /// Epochs with the backbone frozen (its batch norm trains all the same, as in fastai).
    pub freeze_epochs: usize,
    /// Epochs with everything trained.
    pub epochs: usize,
    /// fastai's `base_lr`.
    pub learning_rate: f64,
    /// fastai's `lr_mult`: the first layers train at `learning_rate / 2 / lr_mult` after the frozen epochs.
    pub lr_mult: f64,
    /// Decoupled weight decay; not on norm parameters and biases.
    pub weight_decay: f64,
    /// Dropout before the last layer; half of it before the first layer of the head.
    pub dropout: f32,
    /// Pictures a step.
    pub batch_size: usize,
    /// Decides every random draw of the run.
    pub seed: u64,
    /// Augmentation of the training pictures.
    pub augmentation: Augmentation,
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
            architecture: Architecture::MobilenetV2,
            weights: None,
            resize: ResizeRule { method: ResizeMethod::Squish, size },
            freeze_epochs: 1,
            epochs: 5,
            learning_rate: 2e-3,
            lr_mult: 100.0,
            weight_decay: 0.01,
            dropout: 0.5,
            batch_size: 64,
            seed: 1,
            augmentation: Augmentation::default(),
            y_range: Vec::new(),
            accuracy_threshold: 0.5,
        }
    }
}

impl Recipe {
    /// fastai's `fine_tune` with these settings.
    pub fn schedule(&self) -> FineTune {
        FineTune {
            epochs: self.epochs,
            base_lr: self.learning_rate,
            freeze_epochs: self.freeze_epochs,
            lr_mult: self.lr_mult,
            ..FineTune::default()
        }
    }

    /// The recipe as a model file records it: without the path of the weight file, whose digest is recorded instead.
    pub fn for_manifest(&self) -> serde_json::Value {
        let recipe = Self { weights: None, ..self.clone() };
        serde_json::to_value(recipe).unwrap_or_default()
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// Every mistake, each in a sentence of its own.
    pub fn validate(&self) -> Result<(), String> {
        let size = self.resize.size;
        let checks = [
            (
                (32..=1024).contains(&size.width) && (32..=1024).contains(&size.height),
                "size has to be 32 to 1024 pixels a side",
            ),
            (self.freeze_epochs + self.epochs > 0, "there is no epoch to train: epochs and freeze-epochs are both 0"),
            (self.learning_rate > 0.0 && self.learning_rate < 10.0, "lr has to lie between 0 and 10"),
            (self.lr_mult >= 1.0 && self.lr_mult.is_finite(), "lr-mult has to be 1 or more"),
            ((0.0..1.0).contains(&self.weight_decay), "weight-decay has to lie in 0…1"),
            ((0.0..1.0).contains(&self.dropout), "dropout has to lie in 0…1"),
            (self.batch_size >= 2, "batch-size has to be 2 or more: batch norm has no variance over one picture"),
            (self.y_range.iter().all(|range| range.low < range.high), "y-range has to go from low to high"),
            ((0.0..=1.0).contains(&self.accuracy_threshold), "threshold has to lie in 0…1"),
        ];
        let mut mistakes: Vec<String> =
            checks.iter().filter(|(right, _)| !right).map(|&(_, mistake)| mistake.to_owned()).collect();
        mistakes.extend(self.augmentation.validate().err());
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
    }
}

/// An architecture as its name.
mod architecture_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Architecture;

    pub(super) fn serialize<S: Serializer>(architecture: &Architecture, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(architecture.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Architecture, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
