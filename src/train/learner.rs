//! The learner: a data set and a recipe in, a fine-tuned graph out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tch::{Device, Kind};

use super::{
    TrainError,
    dataset::Dataset,
    dropout::DropoutMasks,
    evaluate::{Evaluation, Judge, evaluate},
    groups::parameter_groups,
    loader::{Batch, Loader, LoaderOptions},
    network::{Mode, Network},
    objective::Objective,
    observer::{EpochReport, Observer, StepReport},
    optimiser::Optimiser,
    recipe::Recipe,
    schedule::{Hyper, Phase, PhasePlan},
    start::starting_graph,
};
use crate::{
    model::{Digest, Task},
    onnx::{GraphProto, OPSET_VERSION, head::HEAD_PREFIX},
};

/// A network on its way from a weight file to a fine-tuned model.
pub struct Learner {
    recipe: Recipe,
    task: Task,
    graph: GraphProto,
    network: Network,
    optimiser: Optimiser,
    dataset: Arc<Dataset>,
    loader: Loader,
    objective: Objective,
    base_weights: Option<Digest>,
}

impl Learner {
    /// Builds the network: architecture, weights, head.
    ///
    /// # Errors
    /// A recipe that contradicts itself, a weight file that cannot be read or does not fit, an architecture that the
    /// interpreter cannot run.
    pub fn new(dataset: Arc<Dataset>, task: Task, recipe: Recipe, workers: usize) -> Result<Self, TrainError> {
        recipe.validate().map_err(TrainError::Recipe)?;
        let objective = Objective::new(&task, &dataset);
        let (graph, base_weights) = starting_graph(&recipe, &task, objective.standards())?;
        let mut network = Network::new(&graph, OPSET_VERSION, Device::Cpu, Kind::Float)?;
        let names: Vec<&str> = network.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        let groups = parameter_groups(recipe.architecture, &names);
        let optimiser = Optimiser::new(&mut network, groups)?;
        let loader = Loader::new(Arc::clone(&dataset), loader_options(&recipe, &task, workers));
        Ok(Self { recipe, task, graph, network, optimiser, dataset, loader, objective, base_weights })
    }

    /// fastai's `fine_tune`: the frozen epochs, then everything, each with a one-cycle schedule.
    ///
    /// Returns the evaluation after the last epoch.
    ///
    /// # Errors
    /// A loss that is not a number, or a failure of libtorch.
    pub fn fine_tune(&mut self, observer: &mut dyn Observer) -> Result<Evaluation, TrainError> {
        let phases = self.recipe.schedule().plan(self.optimiser.group_count());
        let epochs = phases.iter().map(|phase| phase.epochs as u64).sum();
        let mut run = Run { observer, loss: SmoothedLoss::default(), epoch: 0, epochs };
        let mut evaluation = None;
        for phase in &phases {
            self.optimiser.set_trainable(&mut self.network, |parameter| {
                phase.phase == Phase::Unfrozen || parameter.role.is_norm() || parameter.name.starts_with(HEAD_PREFIX)
            })?;
            for epoch in 0..phase.epochs {
                evaluation = Some(self.epoch(phase, epoch, &mut run)?);
            }
        }
        evaluation.ok_or_else(|| TrainError::Recipe("there is no epoch to train".into()))
    }

    /// One epoch of a phase and its validation.
    fn epoch(&mut self, phase: &PhasePlan, epoch: usize, run: &mut Run<'_>) -> Result<Evaluation, TrainError> {
        let start = Instant::now();
        let steps = self.loader.train_batches();
        let mut batches = self.loader.train_epoch(run.epoch);
        let mut pictures = 0;
        for step in 0..steps {
            let Some(batch) = batches.next().transpose()? else { break };
            let hyper = phase.at(epoch, step, steps);
            let loss = self.step(&batch, run.epoch, &hyper)?;
            if !loss.is_finite() {
                let (epoch, step) = (run.epoch + 1, step as u64 + 1);
                return Err(TrainError::LossNotFinite { epoch, step, lr: self.recipe.learning_rate });
            }
            let count = batch.items.len() as u64;
            pictures += count;
            let (step, steps) = (step as u64 + 1, steps as u64);
            run.observer.step(&StepReport {
                epoch: run.epoch,
                step,
                steps,
                lrs: hyper.lrs,
                momentum: hyper.momentum,
                loss: run.loss.add(loss),
                pictures: count,
            });
        }
        let (training, waited) = (start.elapsed(), batches.waited());
        drop(batches);
        let evaluation = self.evaluate()?;
        run.epoch += 1;
        run.observer.epoch(&EpochReport {
            epoch: run.epoch,
            epochs: run.epochs,
            trains: if phase.phase == Phase::Frozen { "head" } else { "all" }.to_owned(),
            train_loss: run.loss.value(),
            valid_loss: evaluation.loss,
            metrics: evaluation.metrics.clone(),
            time: start.elapsed(),
            waiting: share(waited, training),
            pictures_per_second: pictures as f64 / training.as_secs_f64(),
        });
        Ok(evaluation)
    }

    /// Judges the network as it is now on the validation split.
    ///
    /// # Errors
    /// As [`evaluate()`].
    pub fn evaluate(&mut self) -> Result<Evaluation, TrainError> {
        let judge =
            Judge { dataset: &self.dataset, rule: self.recipe.resize, threshold: self.recipe.accuracy_threshold };
        evaluate(&mut self.network, &self.task, &self.loader, &self.objective, &judge)
    }

    /// Forward, loss, backward, update. Returns the loss.
    fn step(&mut self, batch: &Batch, epoch: u64, hyper: &Hyper) -> Result<f64, TrainError> {
        let masks = DropoutMasks::new(self.recipe.seed, epoch, &batch.items);
        let dropout = |_: &str, shape: &[i64], ratio: f64| masks.next(shape, ratio);
        let mode = Mode::Train { dropout: &dropout };
        let (loss, _) = self.objective.run(&mut self.network, self.recipe.resize.size, batch, &mode)?;
        let value = loss.double_value(&[]);
        self.optimiser.step(&loss, &hyper.lrs, hyper.momentum, self.recipe.weight_decay)?;
        Ok(value)
    }

    /// The graph with the weights as they are now.
    ///
    /// # Errors
    /// A failure of libtorch.
    pub fn graph(&self) -> Result<GraphProto, TrainError> {
        let mut graph = self.graph.clone();
        self.network.write_back(&mut graph)?;
        Ok(graph)
    }

    /// The network, to run pictures through.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// SHA-256 of the weight file that training started from.
    pub fn base_weights(&self) -> Option<Digest> {
        self.base_weights
    }
}

/// What goes on over the epochs of a run.
struct Run<'a> {
    observer: &'a mut dyn Observer,
    loss: SmoothedLoss,
    epoch: u64,
    epochs: u64,
}

fn loader_options(recipe: &Recipe, task: &Task, workers: usize) -> LoaderOptions {
    LoaderOptions {
        batch_size: recipe.batch_size,
        seed: recipe.seed,
        augmentation: recipe.augmentation,
        workers,
        ..LoaderOptions::new(recipe.resize).of_task(task)
    }
}

/// fastai's smoothed training loss: exponential average with beta .98, divided by what it lacks at the start.
#[derive(Clone, Copy, Debug, Default)]
struct SmoothedLoss {
    sum: f64,
    count: i32,
}

impl SmoothedLoss {
    const BETA: f64 = 0.98;

    fn add(&mut self, loss: f64) -> f64 {
        self.sum = Self::BETA * self.sum + (1.0 - Self::BETA) * loss;
        self.count += 1;
        self.value()
    }

    fn value(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum / (1.0 - Self::BETA.powi(self.count)) }
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smoothed_loss_of_a_constant_is_that_constant() {
        let mut loss = SmoothedLoss::default();
        for _ in 0..5 {
            assert!((loss.add(3.0) - 3.0).abs() < 1e-12);
        }
    }
}
