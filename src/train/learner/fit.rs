//! The training loop.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tch::{Kind, Tensor};

use super::{Best, Learner, Progress, loader_options};
use crate::{
    picture::{PictureSize, ResizeRule},
    train::{
        TrainError,
        dropout::DropoutMasks,
        evaluate::Evaluation,
        loader::Loader,
        metrics,
        network::Mode,
        objective::Fed,
        observer::{EpochReport, Observer, StepReport},
        optimiser::Update,
        precision::Precision,
        schedule::{Hyper, PhasePlan},
    },
};

/// A checkpoint within an epoch is written no more often than this.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(300);

/// Who goes along with a run.
pub struct Companions<'a> {
    /// Is told what happens.
    pub observer: &'a mut dyn Observer,
    /// The file that checkpoints are written to, each in the place of the last: after every epoch, every five minutes,
    /// and when the run is stopped.
    pub checkpoint: Option<&'a Path>,
    /// The run stops after the step in which this becomes true.
    pub stop: Option<&'a AtomicBool>,
}

impl<'a> Companions<'a> {
    /// An observer alone: nothing is saved, nothing stops the run.
    pub fn with(observer: &'a mut dyn Observer) -> Self {
        Self { observer, checkpoint: None, stop: None }
    }

    fn stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// How a run came to its end.
#[derive(Debug)]
pub enum Outcome {
    /// The plan is done, or its metric did not get better any more; judged with the weights that the learner now has.
    Finished(Box<Evaluation>),
    /// It was stopped, and its checkpoint written.
    Stopped,
}

/// A step whose loss nobody has looked at.
struct Made {
    loss: Tensor,
    /// All but the loss.
    report: StepReport,
}

/// How an epoch came to its end.
enum EpochEnd {
    Done(Box<Evaluation>),
    NoLongerBetter(Box<Evaluation>),
    Stopped,
}

impl Learner {
    /// Follows a plan from where the learner's progress stands in it.
    ///
    /// At the end the learner has the weights of the best epoch where the recipe keeps those, or else the averaged
    /// weights where it averages, or else the last ones.
    ///
    /// # Errors
    /// A loss that is not a number, a picture that can no longer be read, a checkpoint that cannot be written, or a
    /// failure of libtorch.
    pub fn fit(&mut self, plan: &[PhasePlan], companions: &mut Companions<'_>) -> Result<Outcome, TrainError> {
        let outcome = self.follow(plan, companions);
        // However it ended, the last checkpoint is whole on the disk.
        let saved = self.saved();
        outcome.and_then(|outcome| saved.map(|()| outcome))
    }

    fn follow(&mut self, plan: &[PhasePlan], companions: &mut Companions<'_>) -> Result<Outcome, TrainError> {
        // Whether the last epoch is judged in the precision that the model is served in.
        let as_served = self.recipe.precision == Precision::Float32 || !self.compares_epochs();
        let mut evaluation = None;
        'plan: while let Some(phase) = plan.get(self.progress.phase).filter(|_| !self.progress.done) {
            // A checkpoint within the phase has its optimiser's state, which this would clear.
            if !self.is_under_way() {
                self.begin(phase)?;
            }
            while self.progress.epoch < phase.epochs {
                match self.epoch(plan, phase, companions)? {
                    EpochEnd::Done(judged) => evaluation = as_served.then_some(judged),
                    EpochEnd::NoLongerBetter(judged) => {
                        evaluation = as_served.then_some(judged);
                        break 'plan;
                    }
                    EpochEnd::Stopped => return Ok(Outcome::Stopped),
                }
            }
            self.progress = Progress { phase: self.progress.phase + 1, epoch: 0, ..std::mem::take(&mut self.progress) };
        }
        (self.progress.phase, self.progress.epoch, self.progress.step, self.progress.done) = (0, 0, 0, false);
        let last = self.progress.epochs.last().map(|epoch| epoch.epoch);
        if let Some(best) = &self.best {
            self.network.restore(best)?;
            if self.progress.best.as_ref().map(|best| best.epoch) != last {
                evaluation = None;
            }
        } else if let Some(average) = &self.average {
            self.network.restore(average)?;
        }
        let evaluation = evaluation.map_or_else(|| self.evaluate().map(Box::new), Ok)?;
        Ok(Outcome::Finished(evaluation))
    }

    /// Whether the phase that the progress stands in has begun.
    pub(super) fn is_under_way(&self) -> bool {
        self.progress.epoch > 0 || self.progress.step > 0
    }

    /// Chooses what trains in a phase, with a cleared optimiser.
    pub(super) fn begin(&mut self, phase: &PhasePlan) -> Result<(), TrainError> {
        let frozen = phase.frozen_groups;
        let norms_train = self.views_of(phase).is_none();
        self.features = None;
        self.optimiser.set_trainable(&mut self.network, |group, parameter| {
            group >= frozen || norms_train && parameter.role.is_norm()
        })?;
        Ok(())
    }

    /// One epoch, or what is left of it, and its validation.
    fn epoch(
        &mut self,
        plan: &[PhasePlan],
        phase: &PhasePlan,
        companions: &mut Companions<'_>,
    ) -> Result<EpochEnd, TrainError> {
        let start = Instant::now();
        let number = self.progress.epochs.len() as u64;
        let epochs: usize = plan.iter().map(|phase| phase.epochs).sum();
        self.use_size(self.recipe.size_of_epoch(number as usize, epochs));
        let micro = self.recipe.accumulate;
        let steps = self.steps_of_epoch();
        let mut batches = self.feeds(phase, number, self.progress.step * micro)?;
        let mut saved = Instant::now();
        let mut pictures = 0;
        let mut under_way = None;
        while self.progress.step < steps {
            let hyper = phase.at(self.progress.epoch, self.progress.step, steps);
            let taken = batches.by_ref().take(micro).collect::<Result<Vec<Fed>, _>>()?;
            let loss = self.step(&taken, number, &hyper)?;
            let count: u64 = taken.iter().map(|fed| fed.batch.items.len() as u64).sum();
            pictures += count;
            self.progress.step += 1;
            let report = StepReport {
                epoch: number,
                step: self.progress.step as u64,
                steps: steps as u64,
                lrs: hyper.lrs,
                momentum: hyper.momentum,
                loss: f64::NAN,
                pictures: count,
            };
            let made = Made { loss, report };
            // A card still works on this step: the one before it is told meanwhile.
            let done = if self.network.device().is_cuda() { under_way.replace(made) } else { Some(made) };
            self.tell(done, companions)?;
            let stopped = companions.stopped();
            if stopped || saved.elapsed() > CHECKPOINT_EVERY {
                self.tell(under_way.take(), companions)?;
                self.save(companions)?;
                saved = Instant::now();
            }
            if stopped {
                return Ok(EpochEnd::Stopped);
            }
        }
        self.tell(under_way, companions)?;
        let (training, waited) = (start.elapsed(), batches.waited());
        drop(batches);
        // The last one is of the model as it is served, unless it is compared with those before it, which are not.
        let last = self.progress.phase + 1 == plan.len() && self.progress.epoch + 1 == phase.epochs;
        let last = last && !self.compares_epochs();
        let evaluation =
            if last { self.judge(None)? } else { self.in_training_precision(|learner| learner.judge(Some(phase)))? };
        let report = EpochReport {
            epoch: number + 1,
            epochs: epochs as u64,
            trains: self.what_trains(phase),
            train_loss: self.progress.loss.value(),
            valid_loss: evaluation.loss,
            metrics: evaluation.metrics.clone(),
            time: start.elapsed(),
            waiting: share(waited, training),
            pictures_per_second: pictures as f64 / training.as_secs_f64(),
        };
        companions.observer.epoch(&report);
        self.progress.epochs.push(report);
        (self.progress.epoch, self.progress.step) = (self.progress.epoch + 1, 0);
        self.progress.done = self.keep_best(&evaluation, number + 1)?;
        self.save(companions)?;
        let evaluation = Box::new(evaluation);
        Ok(if self.progress.done { EpochEnd::NoLongerBetter(evaluation) } else { EpochEnd::Done(evaluation) })
    }

    /// Waits for a step's loss, where there is a step, and reports it.
    fn tell(&mut self, made: Option<Made>, companions: &mut Companions<'_>) -> Result<(), TrainError> {
        let Some(Made { loss, mut report }) = made else { return Ok(()) };
        let loss = loss.f_double_value(&[])?;
        if !loss.is_finite() {
            let (epoch, step) = (report.epoch + 1, report.step);
            return Err(TrainError::LossNotFinite { epoch, step, lr: self.recipe.learning_rate });
        }
        report.loss = self.progress.loss.add(loss);
        companions.observer.step(&report);
        self.progress.steps.push(report);
        Ok(())
    }

    /// Steps of an epoch at the size that the running one has.
    pub(super) fn steps_of_epoch(&self) -> usize {
        (self.train_loader().train_batches() / self.recipe.accumulate).max(1)
    }

    /// One update: forward, loss and backward for each batch, then the optimiser. Returns the mean loss, a number on the
    /// device: nothing here waits for it.
    fn step(&mut self, batches: &[Fed], epoch: u64, hyper: &Hyper) -> Result<Tensor, TrainError> {
        let loss = self.gradients(batches, epoch)?;
        self.optimiser.update(&Update {
            lrs: &hyper.lrs,
            momentum: hyper.momentum,
            weight_decay: self.recipe.weight_decay,
            clip: self.recipe.clip_norm,
        })?;
        if let (Some(decay), Some(average)) = (self.recipe.ema, &mut self.average) {
            // The first weights are soon forgotten, however long the memory is to be in the end.
            let updates = self.progress.averaged as f64;
            average.approach(&self.network, 1.0 - decay.min((1.0 + updates) / (10.0 + updates)))?;
            self.progress.averaged += 1;
        }
        Ok(loss)
    }

    /// Forward, loss and backward of the batches of one step. Returns the mean loss, a number on the device.
    pub(super) fn gradients(&mut self, batches: &[Fed], epoch: u64) -> Result<Tensor, TrainError> {
        let mut total = Tensor::f_zeros([0; 0], (Kind::Double, self.network.device()))?;
        for batch in batches {
            total = total.f_add(&self.backward(batch, epoch)?)?;
        }
        Ok(total.f_div_scalar(batches.len().max(1) as f64)?)
    }

    /// Forward, loss and backward of one batch. Returns the loss, a number on the device.
    fn backward(&mut self, fed: &Fed, epoch: u64) -> Result<Tensor, TrainError> {
        let masks = DropoutMasks::new(self.recipe.seed, epoch, &fed.batch.items);
        let dropout = |_: &str, shape: &[i64], ratio: f64| masks.next(shape, ratio);
        let mode = Mode::Train { dropout: &dropout };
        let frame = self.smaller.as_ref().map_or(self.recipe.resize.size, |(size, _)| *size);
        let (loss, ..) =
            self.in_training_precision(|learner| learner.objective.run(&mut learner.network, frame, fed, &mode))?;
        self.optimiser.backward(&loss)?;
        Ok(loss.f_detach()?)
    }

    /// Lets the network compute in the recipe's precision for the time of `work`.
    pub(super) fn in_training_precision<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.network.compute_in(self.recipe.precision.kind());
        let done = work(self);
        self.network.compute_in(self.network.kind());
        done
    }

    /// Judges what would be kept: the averaged weights where there are such, else the present ones.
    /// Within a phase on kept features the head alone runs.
    fn judge(&mut self, phase: Option<&PhasePlan>) -> Result<Evaluation, TrainError> {
        let evaluate = |learner: &mut Self| match phase.and_then(|phase| learner.views_of(phase)) {
            Some(_) => learner.valid_features().and_then(|fed| learner.evaluate_on(std::iter::once(Ok(fed)))),
            None => learner.evaluate(),
        };
        let Some(average) = &self.average else { return evaluate(self) };
        let present = self.network.snapshot()?;
        self.network.restore(average)?;
        let evaluation = evaluate(self);
        self.network.restore(&present)?;
        evaluation
    }

    /// Whether it matters which epoch is the best.
    fn compares_epochs(&self) -> bool {
        self.recipe.keep_best || self.recipe.patience.is_some()
    }

    /// Keeps the weights just judged where they are the best so far; whether it is time to stop early.
    fn keep_best(&mut self, evaluation: &Evaluation, epoch: u64) -> Result<bool, TrainError> {
        if !self.compares_epochs() {
            return Ok(false);
        }
        let metric = self.recipe.metric_for(&self.task);
        // An epoch whose outputs leave nothing to measure is no better than any other.
        let value = evaluation.value(&metric).unwrap_or(f64::NAN);
        let direction = metrics::direction(&metric);
        let is_better = |best: &Best| direction.is_some_and(|direction| direction.is_better(value, best.value));
        if self.progress.best.as_ref().is_none_or(is_better) {
            self.progress.best = Some(Best { epoch, metric, value });
            if self.recipe.keep_best {
                self.best = Some(match &self.average {
                    Some(average) => average.copy()?,
                    None => self.network.snapshot()?,
                });
            }
        }
        let best = self.progress.best.as_ref().map_or(epoch, |best| best.epoch);
        Ok(self.recipe.patience.is_some_and(|patience| epoch - best >= patience as u64))
    }

    /// Training batches of this size from now on.
    pub(super) fn use_size(&mut self, size: PictureSize) {
        if size == self.recipe.resize.size {
            self.smaller = None;
        } else if self.smaller.as_ref().is_none_or(|(now, _)| *now != size) {
            let rule = ResizeRule { size, ..self.recipe.resize };
            let options = loader_options(&self.recipe, &self.task, self.resources, rule);
            self.smaller = Some((size, Loader::new(Arc::clone(&self.dataset), options)));
        }
    }

    pub(super) fn train_loader(&self) -> &Loader {
        self.smaller.as_ref().map_or(&self.loader, |(_, loader)| loader)
    }

    /// For the table of epochs.
    fn what_trains(&self, phase: &PhasePlan) -> String {
        match (phase.frozen_groups, self.optimiser.group_count()) {
            (0, _) => "all".to_owned(),
            (frozen, groups) if frozen + 1 >= groups => "head".to_owned(),
            (frozen, groups) => format!("{} of {groups}", groups - frozen),
        }
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE)
}
