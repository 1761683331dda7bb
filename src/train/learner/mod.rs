//! The learner: a data set and a recipe in, a fine-tuned graph out.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{path::Path, sync::Arc};
//! use tagpoint::infer::Runtime;
//! use tagpoint::train::{
//!     dataset::{DataOptions, TaskKind, read},
//!     learner::Learner,
//!     loader::Resources,
//!     progress::Progress,
//!     recipe::Recipe,
//!     save::{SaveSettings, save},
//!     task::{PointSettings, task_of},
//!     weights::WeightsSource,
//! };
//!
//! let dataset = Arc::new(read(&DataOptions::new("photos.csv", TaskKind::MultiLabel))?);
//! let task = task_of(&dataset, &[], &PointSettings::default())?;
//! let recipe = Recipe { weights: WeightsSource::Imagenet(None), epochs: 3, ..Recipe::default() };
//! let mut learner = Learner::new(dataset, task, recipe, Resources::default())?;
//! let evaluation = learner.fine_tune(&mut Progress::new())?;
//! let saved = save(&mut learner, evaluation, SaveSettings::default(), &Runtime::load(None)?, Path::new("models/mine"))?;
//! println!("{}", saved.path.display());
//! # Ok(())
//! # }
//! ```
//!
//! [`Learner::fine_tune`] is fastai's; [`Learner::fit`] follows any plan of phases and tells, stops and saves as its
//! [`Companions`] say. What a run has done so far is its `progress`; a `checkpoint` is that and every number that
//! training changes, so that a run goes on where it was to the same bits.

mod checkpoint;
mod features;
mod feeds;
mod fit;
mod lr_find;
mod metric;
mod progress;
mod smoothed;

use std::sync::Arc;

use tch::Kind;

pub use self::{
    checkpoint::CheckpointError,
    features::FrozenBody,
    fit::{Companions, Outcome},
    progress::{Best, Progress},
};
use super::{
    TrainError,
    backbone::{Backbone, check_batch},
    dataset::Dataset,
    device,
    evaluate::{Evaluation, Judge, evaluate_on},
    groups::parameter_groups,
    loader::{Loader, LoaderOptions, Resources},
    network::{Network, Snapshot},
    objective::{Fed, Objective},
    observer::Observer,
    optimiser::Optimiser,
    precision::Precision,
    recipe::Recipe,
    refit::{is_unit_scale, refit},
    start::{Start, starting_graph},
};
use crate::{
    model::{Digest, Task},
    onnx::SourceGraph,
    picture::{PictureSize, ResizeRule},
};

/// A network on its way from a weight file to a fine-tuned model.
pub struct Learner {
    recipe: Recipe,
    task: Task,
    source: SourceGraph,
    notes: Vec<String>,
    network: Network,
    optimiser: Optimiser,
    dataset: Arc<Dataset>,
    /// Batches of the model's size; every validation is at that size.
    loader: Loader,
    /// Training batches of an earlier, smaller size, where the running epoch has one.
    smaller: Option<(PictureSize, Loader)>,
    resources: Resources,
    objective: Objective,
    base_weights: Option<Digest>,
    progress: Progress,
    /// The average of the weights over the steps, where the recipe wants one.
    average: Option<Snapshot>,
    /// The weights of the best epoch so far, where the recipe keeps them.
    best: Option<Snapshot>,
    /// What the body gives, where it stays as it is for a phase.
    features: Option<features::KeptFeatures>,
    /// The checkpoint that is being written.
    saving: Option<checkpoint::Saving>,
}

impl Learner {
    /// Builds the network: architecture, weights, head.
    ///
    /// # Errors
    /// A recipe that contradicts itself or names a metric that the validation split cannot be judged by, a weight file that cannot be read or does not fit, an architecture that the
    /// interpreter cannot run, a device that is not there.
    pub fn new(dataset: Arc<Dataset>, task: Task, recipe: Recipe, resources: Resources) -> Result<Self, TrainError> {
        recipe.validate().and_then(|()| recipe.mixing.suits(&task)).map_err(TrainError::Recipe)?;
        metric::check(&recipe, &task, &dataset).map_err(TrainError::Recipe)?;
        device::prepare(resources.device)?;
        let objective = Objective::new(&task, &dataset, &recipe.loss)?;
        let Start { mut source, base_weights, normalisation, mut notes } =
            starting_graph(&recipe, &task, objective.standards())?;
        let recipe = Recipe { normalisation: Some(normalisation), ..recipe };
        let loader = Loader::new(Arc::clone(&dataset), loader_options(&recipe, &task, resources, recipe.resize));
        if base_weights.is_some() && is_unit_scale(&source.graph)? {
            notes.push(refit(&mut source, &loader, recipe.resize.size)?.to_string());
        }
        let mut network = Network::new(&source.graph, source.opset, resources.device, Kind::Float)?;
        if let Backbone::File(path) = &recipe.architecture {
            check_batch(&mut network, path, recipe.resize.size)?;
        }
        let names: Vec<&str> = network.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        let groups = parameter_groups(&recipe.architecture, &names);
        let optimiser = Optimiser::new(&mut network, groups.into())?;
        let mut learner = Self {
            loader,
            recipe,
            task,
            source,
            notes,
            network,
            optimiser,
            dataset,
            smaller: None,
            resources,
            objective,
            base_weights,
            progress: Progress::default(),
            average: None,
            best: None,
            features: None,
            saving: None,
        };
        learner.average = learner.recipe.ema.map(|_| learner.network.snapshot()).transpose()?;
        Ok(learner)
    }

    /// fastai's `fine_tune`, or what else the recipe's schedule is, to its end.
    ///
    /// Returns the evaluation of the weights that the learner then has: the last ones, their average, or the best.
    ///
    /// # Errors
    /// A loss that is not a number, a picture that can no longer be read, or a failure of libtorch.
    pub fn fine_tune(&mut self, observer: &mut dyn Observer) -> Result<Evaluation, TrainError> {
        let plan = self.recipe.plan(self.optimiser.group_count());
        match self.fit(&plan, &mut Companions::with(observer))? {
            Outcome::Finished(evaluation) => Ok(*evaluation),
            Outcome::Stopped => Err(TrainError::Recipe("the run was stopped".into())),
        }
    }

    /// Judges the network as it is now on the validation split.
    ///
    /// # Errors
    /// As [`evaluate`](super::evaluate::evaluate).
    pub fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let batches = self.loader.valid().map(|batch| Ok(Fed::from(batch?)));
        self.evaluate_on(batches)
    }

    /// The same on what the network is fed: the validation split, in order.
    fn evaluate_on(
        &mut self,
        batches: impl Iterator<Item = Result<Fed, TrainError>>,
    ) -> Result<Evaluation, TrainError> {
        let judge =
            Judge { dataset: &self.dataset, rule: self.recipe.resize, threshold: self.recipe.accuracy_threshold };
        evaluate_on(&mut self.network, &self.task, batches, &self.objective, &judge)
    }

    /// The graph with the weights as they are now.
    ///
    /// # Errors
    /// A failure of libtorch.
    pub fn graph(&self) -> Result<SourceGraph, TrainError> {
        let mut source = self.source.clone();
        self.network.write_back(&mut source.graph)?;
        Ok(source)
    }

    /// What a user should know of the backbone and its weights.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The network, to run pictures through.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The settings that it trains with.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The learning rate of the plans to come, such as one that [`Learner::lr_find`] found.
    pub fn set_learning_rate(&mut self, lr: f64) {
        self.recipe.learning_rate = lr;
    }

    /// Trains in the precision that is faster for the network on its device from now on, and says which it is.
    pub fn choose_precision(&mut self) -> Precision {
        self.recipe.precision = Precision::faster(&self.source.graph, self.network.device());
        self.recipe.precision
    }

    /// What it learns.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What it learns from.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// How many parameter groups there are, each with a learning rate of its own; the last one is the head.
    pub fn group_count(&self) -> usize {
        self.optimiser.group_count()
    }

    /// What the run has done so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// SHA-256 of the weight file that training started from.
    pub fn base_weights(&self) -> Option<Digest> {
        self.base_weights
    }
}

fn loader_options(recipe: &Recipe, task: &Task, resources: Resources, resize: ResizeRule) -> LoaderOptions {
    LoaderOptions {
        batch_size: recipe.batch_size,
        // Nothing is kept for a way back, so twice as many take less memory.
        valid_batch_size: 2 * recipe.batch_size,
        seed: recipe.seed,
        augmentation: recipe.augmentation,
        mixing: recipe.mixing,
        resources,
        ..LoaderOptions::new(resize).of_task(task)
    }
}
