//! The run of the learning-rate finder.

use super::{Learner, smoothed::SmoothedLoss};
use crate::train::{
    TrainError,
    lr_find::{CurvePoint, ITERATIONS, rate},
    objective::Fed,
    optimiser::Update,
    schedule::PhasePlan,
};

/// The loss that is this many times the smallest one ends the run.
const DIVERGED: f64 = 4.0;
/// Adam's first beta outside a cycle, fastai's default.
const MOMENTUM: f64 = 0.9;

impl Learner {
    /// Trains up to 100 steps with a growing learning rate, the same for all groups, as the first phase of the plan
    /// begins, and puts every weight back: fastai's `lr_find`.
    ///
    /// Returns the smoothed loss of each step; the last one may be no number.
    ///
    /// # Errors
    /// A plan without a phase, a picture that can no longer be read, or a failure of libtorch.
    pub fn lr_find(&mut self, plan: &[PhasePlan]) -> Result<Vec<CurvePoint>, TrainError> {
        let phase = plan.first().ok_or_else(|| TrainError::Recipe("there is no epoch to train".into()))?;
        let epochs = plan.iter().map(|phase| phase.epochs).sum();
        let before = self.network.snapshot()?;
        self.use_size(self.recipe.size_of_epoch(0, epochs));
        self.begin(phase)?;
        let curve = self.curve(phase);
        self.network.restore(&before)?;
        self.begin(phase)?;
        curve
    }

    fn curve(&mut self, phase: &PhasePlan) -> Result<Vec<CurvePoint>, TrainError> {
        let (mut curve, mut smoothed, mut least) = (Vec::new(), SmoothedLoss::default(), f64::INFINITY);
        for epoch in 0.. {
            let mut batches = self.feeds(phase, epoch, 0)?;
            for _ in 0..self.steps_of_epoch() {
                let lr = rate(curve.len());
                let taken = batches.by_ref().take(self.recipe.accumulate).collect::<Result<Vec<Fed>, _>>()?;
                let loss = smoothed.add(self.gradients(&taken, epoch)?.f_double_value(&[])?);
                curve.push(CurvePoint { lr, loss });
                least = least.min(loss);
                if curve.len() >= ITERATIONS || loss > DIVERGED * least || loss.is_nan() {
                    return Ok(curve);
                }
                let lrs = vec![lr; self.optimiser.group_count()];
                self.optimiser.update(&Update {
                    lrs: &lrs,
                    momentum: MOMENTUM,
                    weight_decay: self.recipe.weight_decay,
                    clip: self.recipe.clip_norm,
                })?;
            }
        }
        Ok(curve)
    }
}
