//! Choosing how a model is quantised, by what it changes on half of the validation pictures.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    QuantizeError, Settings,
    criterion::{Criterion, Rows},
    lab::Lab,
    pictures::Pictures,
};
use crate::{
    model::Task,
    onnx::quantize::{Kind, Method, active},
};

/// Pictures on which single layers are tried.
const TRIED: usize = 64;
/// The share of the allowed loss that may be lost on the choosing half: the judging half may say more.
const RESERVE: f64 = 0.5;

/// What was chosen.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) method: Method,
    /// Layers that stay in float32.
    pub(super) in_float: BTreeSet<String>,
    /// The share of the outputs' variance that is quantisation's, by method.
    pub(super) noise: Vec<(Method, f64)>,
    /// How many layers could be quantised.
    pub(super) layers: usize,
}

/// Half of the validation pictures with the float32 model's outputs.
struct Trial<'a> {
    lab: &'a Lab<'a>,
    criterion: &'a Criterion,
    pictures: &'a Pictures<'a>,
    pixels: Vec<Vec<u8>>,
    float: Vec<f32>,
}

/// What a quantised graph changes.
#[derive(Clone, Copy, Debug)]
struct Damage {
    noise: f64,
    loss: f64,
}

/// Chooses the method, then, where too much is lost, the layers that stay in float32.
pub(super) fn search(
    lab: &Lab<'_>,
    pictures: &Pictures<'_>,
    criterion: &Criterion,
    settings: &Settings,
    say: &mut dyn FnMut(String),
) -> Result<Chosen, QuantizeError> {
    let trial = Trial::new(lab, pictures, criterion)?;
    let mut best: Option<(Method, Damage)> = None;
    let mut noise = Vec::new();
    for &method in &settings.methods {
        let damage = trial.damage(method, &settings.in_float)?;
        say(format!(
            "{method:<18} noise {:.5}  {} lost: {}",
            damage.noise,
            criterion.metric,
            criterion.text(damage.loss)
        ));
        noise.push((method, damage.noise));
        if best.is_none_or(|(_, best)| damage.noise < best.noise) {
            best = Some((method, damage));
        }
    }
    let (method, damage) = best.ok_or_else(|| QuantizeError::Unfit("no method of calibration is named".into()))?;
    say(format!("{method} is kept: it changes the outputs of {} validation pictures least", pictures.len()));
    let layers = trial.layers(&settings.in_float).len();
    if layers == 0 {
        return Err(QuantizeError::Unfit("the graph has no layer that could be quantised".into()));
    }
    let mut chosen = Chosen { method, in_float: settings.in_float.clone(), noise, layers };
    if damage.loss > RESERVE * criterion.max_loss {
        trial.leave_in_float(&mut chosen, damage, settings.budget, say)?;
    }
    Ok(chosen)
}

impl<'a> Trial<'a> {
    fn new(lab: &'a Lab<'a>, pictures: &'a Pictures<'a>, criterion: &'a Criterion) -> Result<Self, QuantizeError> {
        let pixels = pictures.kept()?;
        let mut session = lab.open_file(lab.float)?;
        let mut float = Vec::new();
        for batch in &pixels {
            float.extend(session.run(batch)?);
        }
        Ok(Self { lab, criterion, pictures, pixels, float })
    }

    /// Layers that are quantised where those named are not.
    fn layers(&self, in_float: &BTreeSet<String>) -> Vec<String> {
        let units = &self.lab.units;
        let chosen = units.iter().zip(active(units, in_float)).filter(|(_, active)| *active);
        let layers = chosen.filter(|(unit, _)| matches!(unit.kind, Kind::Conv | Kind::Gemm));
        layers.map(|(unit, _)| unit.name.clone()).collect()
    }

    /// The outputs for the first so many batches.
    fn outputs(&self, method: Method, in_float: &BTreeSet<String>, batches: usize) -> Result<Vec<f32>, QuantizeError> {
        let mut session = self.lab.session(self.lab.quantised(method, in_float)?)?;
        let mut outputs = Vec::new();
        for batch in self.pixels.iter().take(batches) {
            outputs.extend(session.run(batch)?);
        }
        Ok(outputs)
    }

    fn damage(&self, method: Method, in_float: &BTreeSet<String>) -> Result<Damage, QuantizeError> {
        let manifest = &self.lab.float.manifest;
        let outputs = self.outputs(method, in_float, self.pixels.len())?;
        let metric = |outputs: &[f32]| {
            let rows = Rows::of(&manifest.task, outputs, self.pictures.examples(), &manifest.input.resize);
            rows.metric_of_all().unwrap_or(f64::NAN)
        };
        let loss = self.criterion.loss([metric(&self.float), metric(&outputs)]);
        Ok(Damage { noise: noise(&manifest.task, &self.float, &outputs), loss })
    }

    /// Leaves the layers in float32 that change the outputs most, one after the other, until little enough is lost.
    fn leave_in_float(
        &self,
        chosen: &mut Chosen,
        mut damage: Damage,
        budget: Duration,
        say: &mut dyn FnMut(String),
    ) -> Result<(), QuantizeError> {
        let start = Instant::now();
        let end = start + budget;
        // Half of the time is for using what trying has told.
        let ranked = self.ranked(chosen, start + budget / 2)?;
        say(format!("tried {} layers in float32, each by itself", ranked.len()));
        for (layer, _) in ranked {
            let enough = damage.loss <= RESERVE * self.criterion.max_loss;
            if enough || Instant::now() > end {
                break;
            }
            let mut in_float = chosen.in_float.clone();
            in_float.insert(layer.clone());
            let without = self.damage(chosen.method, &in_float)?;
            if without.noise < damage.noise {
                let (criterion, loss) = (self.criterion, self.criterion.text(without.loss));
                say(format!("{layer} stays in float32: noise {:.5}  {} lost: {loss}", without.noise, criterion.metric));
                chosen.in_float = in_float;
                damage = without;
            }
        }
        Ok(())
    }

    /// Layers by how much noise goes away where each alone is left in float32, the most first.
    fn ranked(&self, chosen: &Chosen, end: Instant) -> Result<Vec<(String, f64)>, QuantizeError> {
        let task = &self.lab.float.manifest.task;
        let batches = (TRIED * self.pixels.len()).div_ceil(self.pictures.len().max(1));
        let noise_of = |in_float: &BTreeSet<String>| -> Result<f64, QuantizeError> {
            let outputs = self.outputs(chosen.method, in_float, batches)?;
            Ok(noise(task, &self.float[..outputs.len()], &outputs))
        };
        let whole = noise_of(&chosen.in_float)?;
        let mut ranked = Vec::new();
        for layer in self.layers(&chosen.in_float) {
            if Instant::now() > end {
                break;
            }
            let mut in_float = chosen.in_float.clone();
            in_float.insert(layer.clone());
            ranked.push((layer, whole - noise_of(&in_float)?));
        }
        ranked.retain(|(_, gain)| *gain > 0.0);
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(ranked)
    }
}

/// The mean over output elements of the changes' variance as a share of the outputs' own, scores as logits: a share of
/// near 1 or near 0 is no excuse for another order of the pictures.
fn noise(task: &Task, float: &[f32], int8: &[f32]) -> f64 {
    let columns = task.output_len().max(1);
    let value = |score: f32| {
        let score = f64::from(score);
        match task {
            Task::MultiLabel { .. } | Task::SingleLabel { .. } => {
                let score = score.clamp(1e-6, 1.0 - 1e-6);
                (score / (1.0 - score)).ln()
            }
            Task::Points(_) | Task::Values(_) => score,
        }
    };
    let of = |column: usize| {
        let values = |outputs: &[f32]| -> Vec<f64> {
            outputs.iter().skip(column).step_by(columns).map(|&score| value(score)).collect()
        };
        let (float, int8) = (values(float), values(int8));
        let mean = float.iter().sum::<f64>() / float.len().max(1) as f64;
        let own: f64 = float.iter().map(|value| (value - mean).powi(2)).sum();
        let change: f64 = float.iter().zip(&int8).map(|(a, b)| (a - b).powi(2)).sum();
        // An output that is the same for every picture counts as if it varied by a thousandth of its size.
        let least: f64 = float.iter().map(|value| 1e-6 * (1.0 + value * value)).sum();
        change / own.max(least)
    };
    (0..columns).map(of).sum::<f64>() / columns as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Values;

    #[test]
    fn noise_is_a_share_of_the_variance_of_each_output() {
        let task = Task::Values(Values { names: vec!["a".into(), "b".into()], y_ranges: vec![] });
        // Column a: −1, 1 changes by .1 and −.1: .02 / 2. Column b, a thousand times larger, the same.
        let float = [-1.0, -1000.0, 1.0, 1000.0];
        let int8 = [-0.9, -900.0, 0.9, 900.0];
        assert!((noise(&task, &float, &int8) - 0.01).abs() < 1e-6);
        assert_eq!(noise(&task, &float, &float), 0.0);
    }

    #[test]
    fn an_output_that_does_not_vary_has_a_finite_noise() {
        let task = Task::Values(Values { names: vec!["a".into()], y_ranges: vec![] });
        // 2 · 0.01² / (2 · 1e-6 · (1 + 3²))
        assert!((noise(&task, &[3.0, 3.0], &[3.01, 2.99]) - 10.0).abs() < 1e-3);
    }
}
