//! How the run went: losses, metrics, learning rates and momentum.

use super::{
    Plot, ReportInputs,
    axis::{Axis, Scale},
    chart::{Chart, Series},
    history::{metric, metric_names},
    svg::Drawing,
};
use crate::train::observer::StepReport;

/// Losses, metrics by epoch, and what was set for each step; without those that have nothing to show.
pub(super) fn plots(inputs: &ReportInputs<'_>) -> Vec<Plot> {
    let mut plots = Vec::new();
    if !inputs.history.is_empty() || !inputs.steps.is_empty() {
        plots.push(Plot { file: "loss", drawings: vec![losses(inputs)], columns: 1 });
    }
    let metrics = metrics(inputs);
    if !metrics.is_empty() {
        plots.push(Plot { file: "metrics", drawings: metrics, columns: 2 });
    }
    if !inputs.steps.is_empty() {
        plots.push(Plot { file: "schedule", drawings: schedule(inputs.steps), columns: 2 });
    }
    plots
}

/// Where a step lies, in epochs.
fn place(step: &StepReport) -> f64 {
    step.epoch as f64 + step.step as f64 / step.steps.max(1) as f64
}

fn chart(title: &str, x: Scale, y: Scale, series: Vec<Series>) -> Drawing {
    let points = || series.iter().flat_map(|series| &series.points);
    let x = Axis::covering("epoch", x, points().map(|point| point.0));
    let y = Axis::covering("", y, points().map(|point| point.1));
    Chart::new(title, x, y, series).drawing()
}

fn losses(inputs: &ReportInputs<'_>) -> Drawing {
    let train: Vec<(f64, f64)> = if inputs.steps.is_empty() {
        inputs.history.iter().map(|epoch| (epoch.epoch as f64, epoch.train_loss)).collect()
    } else {
        inputs.steps.iter().map(|step| (place(step), step.loss)).collect()
    };
    let valid = inputs.history.iter().map(|epoch| (epoch.epoch as f64, epoch.valid_loss)).collect();
    let series = vec![Series::line("training, smoothed", train), Series::line("validation", valid)];
    chart("Loss", Scale::Whole, Scale::Linear, series)
}

/// The metrics that are shares in one chart, each other one in a chart of its own.
fn metrics(inputs: &ReportInputs<'_>) -> Vec<Drawing> {
    let mut shares = Vec::new();
    let mut others = Vec::new();
    for name in metric_names(inputs.history) {
        let points: Vec<(f64, f64)> =
            inputs.history.iter().map(|epoch| (epoch.epoch as f64, metric(epoch, name))).collect();
        let known = points.iter().filter(|(_, value)| value.is_finite());
        // An error that happens to lie below 1 is no share.
        let share = !name.contains("error") && !matches!(name, "nme" | "mae" | "rmse");
        if share && known.clone().all(|(_, value)| (0.0..=1.0).contains(value)) {
            shares.push(Series::line(name, points));
        } else if known.count() > 0 {
            others.push(chart(name, Scale::Whole, Scale::Linear, vec![Series::line(name, points)]));
        }
    }
    if !shares.is_empty() {
        let title = if let [only] = shares.as_slice() { only.name.clone() } else { "Validation metrics".to_owned() };
        others.insert(0, chart(&title, Scale::Whole, Scale::Linear, shares));
    }
    others
}

fn schedule(steps: &[StepReport]) -> Vec<Drawing> {
    let groups = steps.iter().map(|step| step.lrs.len()).max().unwrap_or(0);
    let rates = |group: usize| -> Vec<(f64, f64)> {
        steps.iter().filter_map(|step| Some((place(step), *step.lrs.get(group)?))).filter(|(_, lr)| *lr > 0.0).collect()
    };
    let series = (0..groups).rev().map(|group| Series::line(&group_name(group, groups), rates(group)));
    let momentum = steps.iter().map(|step| (place(step), step.momentum)).collect();
    vec![
        chart("Learning rate", Scale::Whole, Scale::Log, series.collect()),
        chart("Momentum", Scale::Whole, Scale::Linear, vec![Series::line("momentum", momentum)]),
    ]
}

fn group_name(group: usize, groups: usize) -> String {
    match group {
        _ if group + 1 == groups => "head".to_owned(),
        0 => "first layers".to_owned(),
        _ if group + 2 == groups => "last layers".to_owned(),
        _ => format!("group {}", group + 1),
    }
}
