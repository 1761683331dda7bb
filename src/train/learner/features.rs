//! The frozen phase on kept features: where nothing of the body trains, its outputs for the training pictures are
//! computed once and the head learns from them.
//!
//! The body runs as it is served, with its running statistics. Each view is a whole pass over the training split with
//! an augmentation of its own; epoch e of the phase takes view e modulo the number of views, in an order of its own.
//! What is kept is a function of the body and the seed, so a resumed run computes the same again.
//! Memory: 4 bytes for each element of the head's input, picture and view (MobileNetV2: 10 KB a picture).

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use tch::{Tensor, no_grad};

use super::Learner;
use crate::{
    onnx::head::features_of,
    picture::PictureSize,
    train::{
        TrainError,
        loader::{Batch, Batches},
        network::{Mode, uploaded},
        objective::Fed,
        random::{Purpose, draws},
        schedule::PhasePlan,
    },
};

/// What of the body trains while only the head's group does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrozenBody {
    /// Its normalisations do, and their statistics follow: as in fastai.
    #[default]
    Norms,
    /// Nothing does: its outputs are computed once for each of so many augmented views of the training split.
    Features {
        /// Views, 1 or more.
        views: usize,
    },
}

impl fmt::Display for FrozenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Norms => f.write_str("norms"),
            Self::Features { views } => write!(f, "features:{views}"),
        }
    }
}

impl FromStr for FrozenBody {
    type Err = String;

    /// `norms`, `features` for one view, or `features:VIEWS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give norms, features, or features:VIEWS with 1 view or more".to_owned();
        match text.split_once(':') {
            None if text == "norms" => Ok(Self::Norms),
            None if text == "features" => Ok(Self::Features { views: 1 }),
            Some(("features", views)) => {
                let views = views.parse().ok().filter(|&views| views > 0);
                views.map(|views| Self::Features { views }).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

/// What the body gives for some pictures of one size.
struct Rows {
    /// The tensor's name in the graph.
    name: String,
    /// [pictures, elements].
    features: Tensor,
    /// Targets, masks and places of the same pictures, without pixels.
    targets: Arc<Batch>,
}

/// What has been computed in a phase, for pictures of one size.
pub(super) struct KeptFeatures {
    size: PictureSize,
    /// The training split by view, once it was needed.
    views: HashMap<usize, Rows>,
    valid: Option<Rows>,
}

impl Learner {
    /// The number of views where the phase trains on kept features.
    pub(super) fn views_of(&self, phase: &PhasePlan) -> Option<usize> {
        match self.recipe.frozen {
            FrozenBody::Features { views } if phase.frozen_groups + 1 == self.optimiser.group_count() => Some(views),
            _ => None,
        }
    }

    /// The batches of an epoch on kept features, without its first `skipped` ones; computes what is not there yet.
    pub(super) fn feature_epoch(
        &mut self,
        views: usize,
        epoch: u64,
        skipped: usize,
    ) -> Result<impl Iterator<Item = Result<Fed, TrainError>> + use<>, TrainError> {
        let size = self.smaller.as_ref().map_or(self.recipe.resize.size, |(size, _)| *size);
        let view = epoch as usize % views;
        let rows = match self.kept(size).views.get(&view) {
            Some(rows) => rows.shallow_copy(),
            None => {
                let rows = self.rows(self.train_loader().train_epoch(view as u64, 0), size)?;
                self.kept(size).views.insert(view, rows.shallow_copy());
                rows
            }
        };
        let mut order: Vec<usize> = (0..rows.targets.items.len()).collect();
        order.shuffle(&mut draws(self.recipe.seed, Purpose::Shuffle, epoch, 1));
        let batch_size = self.recipe.batch_size;
        order.drain(..(skipped * batch_size).min(order.len()));
        let batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
        Ok(batches.into_iter().map(move |places| rows.fed(&places)))
    }

    /// The validation split as it is, for the head alone; it is judged at the model's size whatever trains.
    pub(super) fn valid_features(&mut self) -> Result<Fed, TrainError> {
        let kept = self.features.as_ref().and_then(|kept| kept.valid.as_ref());
        let rows = match kept {
            Some(rows) => rows.shallow_copy(),
            None => self.rows(self.loader.valid(), self.recipe.resize.size)?,
        };
        if let Some(kept) = &mut self.features {
            kept.valid = Some(rows.shallow_copy());
        }
        Ok(Fed { batch: rows.targets.as_ref().clone(), features: Some((rows.name, rows.features)) })
    }

    /// What is kept for training pictures of a size; empty at first, and when another size is trained.
    fn kept(&mut self, size: PictureSize) -> &mut KeptFeatures {
        let usable = self.features.take().filter(|kept| kept.size == size);
        self.features.insert(usable.unwrap_or_else(|| KeptFeatures { size, views: HashMap::new(), valid: None }))
    }

    /// Runs the body on batches, as it is served, in the precision of training.
    fn rows(&mut self, batches: Batches, size: PictureSize) -> Result<Rows, TrainError> {
        let name = features_of(&self.source.graph).ok_or_else(|| TrainError::Recipe("the graph has no head".into()))?;
        let name = name.to_owned();
        let mut targets = Batch { pixels: Vec::new(), targets: Vec::new(), mask: Vec::new(), items: Vec::new() };
        let mut parts = Vec::new();
        for batch in batches {
            let batch = batch?;
            let features = self.in_training_precision(|learner| {
                no_grad(|| learner.network.forward(&batch.image(size)?, &[&name], &Mode::Evaluate))
            })?;
            parts.push(features[0].f_to_kind(self.network.kind())?);
            targets.targets.extend(batch.targets);
            targets.mask.extend(batch.mask);
            targets.items.extend(batch.items);
        }
        Ok(Rows { name, features: Tensor::f_cat(&parts, 0)?, targets: Arc::new(targets) })
    }
}

impl Rows {
    /// The same rows, sharing their memory.
    fn shallow_copy(&self) -> Self {
        Self { name: self.name.clone(), features: self.features.shallow_clone(), targets: Arc::clone(&self.targets) }
    }

    /// The batch of the rows at these places.
    fn fed(&self, places: &[usize]) -> Result<Fed, TrainError> {
        let index: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let index = uploaded(&Tensor::f_from_slice(&index)?, self.features.device())?;
        let features = self.features.f_index_select(0, &index)?;
        let count = self.targets.items.len().max(1);
        let rows = |values: &[f32]| -> Vec<f32> {
            let width = values.len() / count;
            places.iter().flat_map(|&place| &values[place * width..(place + 1) * width]).copied().collect()
        };
        let batch = Batch {
            pixels: Vec::new(),
            targets: rows(&self.targets.targets),
            mask: rows(&self.targets.mask),
            items: places.iter().map(|&place| self.targets.items[place]).collect(),
        };
        Ok(Fed { batch, features: Some((self.name.clone(), features)) })
    }
}
