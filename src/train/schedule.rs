//! fastai's one-cycle schedule and its fine-tuning plan: what learning rate and momentum each step uses.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// A cycle ends at peak / this.
const FINAL_DIVISOR: f64 = 1e5;
/// Adam's beta1 at a cycle's start and end.
const MOMENTUM_HIGH: f64 = 0.95;
/// Adam's beta1 at the peak of the learning rate.
const MOMENTUM_LOW: f64 = 0.85;

/// What one step uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyper {
    /// The learning rate of each parameter group, the body's first layers first and the head last.
    pub lrs: Vec<f64>,
    /// Adam's beta1.
    pub momentum: f64,
}

/// One cycle: the learning rates rise by a cosine to their peaks, then fall; momentum does the opposite.
#[derive(Clone, Debug, PartialEq)]
pub struct OneCycle {
    /// The peak of each parameter group.
    pub peaks: Vec<f64>,
    /// The cycle starts at peak / `div`.
    pub div: f64,
    /// The fraction of the steps before the peak, above 0 and below 1.
    pub pct_start: f64,
}

impl OneCycle {
    /// fastai's `fit_one_cycle` with its defaults: a start at peak / 25, the peak after a quarter of the steps.
    pub fn new(peaks: Vec<f64>) -> Self {
        Self { peaks, div: 25.0, pct_start: 0.25 }
    }

    /// What step `step` of `steps` uses, counted from 0.
    pub fn at(&self, step: usize, steps: usize) -> Hyper {
        let done = step as f64 / steps as f64;
        let through = |start: f64, middle: f64, end: f64| {
            if done < self.pct_start {
                cosine(start, middle, done / self.pct_start)
            } else {
                cosine(middle, end, (done - self.pct_start) / (1.0 - self.pct_start))
            }
        };
        Hyper {
            lrs: self.peaks.iter().map(|&peak| through(peak / self.div, peak, peak / FINAL_DIVISOR)).collect(),
            momentum: through(MOMENTUM_HIGH, MOMENTUM_LOW, MOMENTUM_HIGH),
        }
    }
}

/// From `start` to `end` along half a cosine; `done` in 0…1.
fn cosine(start: f64, end: f64, done: f64) -> f64 {
    start + (1.0 + (PI * (1.0 - done)).cos()) * (end - start) / 2.0
}

/// Peaks for `groups` groups from one rate: the head's as it is, all others a tenth.
pub fn head_and_tenths(lr: f64, groups: usize) -> Vec<f64> {
    (0..groups).map(|group| if group + 1 == groups { lr } else { lr / 10.0 }).collect()
}

/// Peaks for `groups` groups in equal ratios from `low` (the first group) to `high` (the head).
pub fn even_ratios(low: f64, high: f64, groups: usize) -> Vec<f64> {
    if groups == 1 {
        return vec![high];
    }
    (0..groups).map(|group| low * (high / low).powf(group as f64 / (groups - 1) as f64)).collect()
}

/// fastai's `fine_tune`: the head alone for some epochs, then everything, the body more slowly than the head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FineTune {
    /// Epochs in which everything trains.
    pub epochs: usize,
    /// The head's peak while the body is frozen; half of it afterwards.
    pub base_lr: f64,
    /// Epochs in which the body is frozen.
    pub freeze_epochs: usize,
    /// How much slower than the head the first group trains.
    pub lr_mult: f64,
    /// The fraction of the unfrozen steps before the peak.
    pub pct_start: f64,
    /// The unfrozen cycle starts at peak / `div`.
    pub div: f64,
    /// How many of the first parameter groups stay frozen to the end.
    pub keep_frozen: usize,
}

impl Default for FineTune {
    fn default() -> Self {
        Self { epochs: 3, base_lr: 2e-3, freeze_epochs: 1, lr_mult: 100.0, pct_start: 0.3, div: 5.0, keep_frozen: 0 }
    }
}

/// Some epochs of one cycle; the optimiser's state is cleared at the start of each.
#[derive(Clone, Debug, PartialEq)]
pub struct PhasePlan {
    /// How many of the first parameter groups are frozen: all but their normalisations, which train all the same.
    pub frozen_groups: usize,
    /// How many epochs the cycle spans, at least 1.
    pub epochs: usize,
    /// What its steps use.
    pub cycle: OneCycle,
}

impl PhasePlan {
    /// What a step uses: the epoch counts from the start of this phase, the step from the start of the epoch.
    pub fn at(&self, epoch: usize, step: usize, steps_per_epoch: usize) -> Hyper {
        self.cycle.at(epoch * steps_per_epoch + step, self.epochs * steps_per_epoch)
    }
}

impl FineTune {
    /// The phases for `groups` parameter groups, in order; one without epochs is left out.
    pub fn plan(&self, groups: usize) -> Vec<PhasePlan> {
        let half = self.base_lr / 2.0;
        let frozen = OneCycle { pct_start: 0.99, ..OneCycle::new(head_and_tenths(self.base_lr, groups)) };
        let unfrozen = OneCycle {
            peaks: even_ratios(half / self.lr_mult, half, groups),
            div: self.div,
            pct_start: self.pct_start,
        };
        let phases = [
            PhasePlan { frozen_groups: groups.saturating_sub(1), epochs: self.freeze_epochs, cycle: frozen },
            PhasePlan { frozen_groups: self.keep_frozen, epochs: self.epochs, cycle: unfrozen },
        ];
        phases.into_iter().filter(|phase| phase.epochs > 0).collect()
    }
}

/// fastai's `fit_one_cycle` as a plan: the rates rise for a quarter of the steps, then fall.
///
/// ```
/// use tagpoint::train::schedule::one_cycle;
///
/// let plan = one_cycle(4, 1e-2, 100.0, 3, 0);
/// let (start, peak) = (plan[0].at(0, 0, 10), plan[0].at(1, 0, 10));
/// assert!((start.lrs[2] - 1e-2 / 25.0).abs() < 1e-12);
/// assert!((peak.lrs[2] - 1e-2).abs() < 1e-12 && (peak.lrs[0] - 1e-4).abs() < 1e-12);
/// ```
///
/// One cycle for all epochs, the head at `lr` and the first group `lr_mult` times
/// slower; the first `frozen_groups` groups stay frozen.
pub fn one_cycle(epochs: usize, lr: f64, lr_mult: f64, groups: usize, frozen_groups: usize) -> Vec<PhasePlan> {
    let cycle = OneCycle::new(even_ratios(lr / lr_mult, lr, groups));
    if epochs == 0 { Vec::new() } else { vec![PhasePlan { frozen_groups, epochs, cycle }] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        fine_tune: Vec<Case>,
        one_cycle: Cycle,
    }

    #[derive(Deserialize)]
    struct Case {
        fine_tune: FineTune,
        groups: usize,
        steps_per_epoch: usize,
        /// Learning rate of each group, and momentum, of each step of each phase.
        phases: Vec<Vec<(Vec<f64>, f64)>>,
    }

    #[derive(Deserialize)]
    struct Cycle {
        epochs: usize,
        steps_per_epoch: usize,
        low: f64,
        high: f64,
        steps: Vec<(Vec<f64>, f64)>,
    }

    fn fixture() -> Fixture {
        serde_json::from_str(include_str!("../../tests/fixtures/training/schedules.json")).unwrap()
    }

    fn assert_same(ours: &Hyper, (lrs, momentum): &(Vec<f64>, f64), at: &str) {
        assert_eq!(ours.lrs.len(), lrs.len(), "{at}");
        for (ours, fastai) in ours.lrs.iter().zip(lrs) {
            assert!((ours - fastai).abs() < 1e-8, "{at}: {ours} {fastai}");
        }
        assert!((ours.momentum - momentum).abs() < 1e-6, "{at}: {} {momentum}", ours.momentum);
    }

    #[test]
    fn every_step_of_fine_tune_is_fastais() {
        for case in fixture().fine_tune {
            let plan = case.fine_tune.plan(case.groups);
            assert_eq!(plan.len(), case.phases.len());
            for (phase, recorded) in plan.iter().zip(&case.phases) {
                assert_eq!(recorded.len(), phase.epochs * case.steps_per_epoch);
                for (i, step) in recorded.iter().enumerate() {
                    let (epoch, within) = (i / case.steps_per_epoch, i % case.steps_per_epoch);
                    let ours = phase.at(epoch, within, case.steps_per_epoch);
                    assert_same(&ours, step, &format!("{:?} {} step {i}", case.fine_tune, phase.frozen_groups));
                }
            }
        }
    }

    #[test]
    fn every_step_of_fit_one_cycle_is_fastais() {
        let cycle = fixture().one_cycle;
        let ours = OneCycle::new(even_ratios(cycle.low, cycle.high, 3));
        assert_eq!(cycle.steps.len(), cycle.epochs * cycle.steps_per_epoch);
        for (i, step) in cycle.steps.iter().enumerate() {
            assert_same(&ours.at(i, cycle.steps.len()), step, &format!("step {i}"));
        }
    }

    #[test]
    fn rates_are_spread_over_groups() {
        assert_eq!(head_and_tenths(1.0, 3), [0.1, 0.1, 1.0]);
        assert_eq!(head_and_tenths(1.0, 1), [1.0]);
        let even = even_ratios(1e-4, 1e-2, 3);
        assert!((even[1] - 1e-3).abs() < 1e-12 && (even[2] - 1e-2).abs() < 1e-12);
        assert_eq!(even_ratios(1e-4, 1e-2, 1), [1e-2]);
    }

    #[test]
    fn a_phase_without_epochs_is_left_out() {
        let plan = FineTune { freeze_epochs: 0, ..FineTune::default() }.plan(3);
        assert_eq!(plan.iter().map(|phase| phase.frozen_groups).collect::<Vec<_>>(), [0]);
    }
}
