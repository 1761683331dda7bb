//! The validation pictures one by one: what was expected, what the model says, and how far that is off.

use rand::seq::SliceRandom as _;

use super::{
    ReportError, ReportInputs,
    axis::number,
    card::{Card, Thumbnail},
    svg::Drawing,
};
use crate::{
    model::{Label, Task},
    train::{
        dataset::{Example, Target},
        evaluate::point_sample,
        metrics::{PointSample, best_label, mean},
        objective::standards,
        random::{Purpose, draws},
    },
};

/// Pictures with the largest losses that are shown.
const WORST: usize = 12;
/// Pictures drawn at random that are shown.
const RANDOM: usize = 18;
/// Labels that one text names; it counts the others.
const MOST_NAMED: usize = 5;
/// Scores are kept this far from 0 and 1 for their logarithms.
const CLAMP: f64 = 1e-7;

/// The validation split with its outputs.
pub(super) struct Samples<'a> {
    pub(super) inputs: &'a ReportInputs<'a>,
    /// How wrong the model is on each picture; `None` where nothing is known to compare with.
    pub(super) losses: Vec<Option<f64>>,
}

impl<'a> Samples<'a> {
    pub(super) fn new(inputs: &'a ReportInputs<'a>) -> Result<Self, ReportError> {
        let (outputs, pictures) = (inputs.evaluation.outputs.len(), inputs.dataset.valid.len());
        let each = inputs.task.output_len();
        let kinds_agree = inputs.dataset.kind() == inputs.task.into() && inputs.dataset.targets.len() == names(inputs);
        let labels_judged = match inputs.task {
            Task::MultiLabel { labels } | Task::SingleLabel { labels } => {
                inputs.evaluation.per_label.len() == labels.len()
            }
            Task::Points(_) | Task::Values(_) => true,
        };
        if outputs != pictures * each || each == 0 || !kinds_agree || !labels_judged {
            return Err(ReportError::Outputs { outputs, pictures, each });
        }
        let mut samples = Self { inputs, losses: Vec::new() };
        let standards = standards(inputs.task, inputs.dataset);
        let deviations: Vec<f64> = standards.iter().map(|standard| f64::from(standard.deviation)).collect();
        samples.losses = (0..pictures).map(|place| samples.loss(place, &deviations)).collect();
        Ok(samples)
    }

    /// The picture at a place of the validation split.
    pub(super) fn example(&self, place: usize) -> &'a Example {
        &self.inputs.dataset.valid[place]
    }

    /// The outputs for it.
    pub(super) fn row(&self, place: usize) -> &'a [f32] {
        let each = self.inputs.task.output_len();
        &self.inputs.evaluation.outputs[place * each..(place + 1) * each]
    }

    /// Its points, in pixels of the original picture.
    pub(super) fn points(&self, place: usize) -> PointSample {
        point_sample(self.row(place), self.example(place), &self.inputs.rule)
    }

    /// What [`Samples::losses`] are, in words.
    pub(super) fn loss_name(&self) -> &'static str {
        match self.inputs.task {
            Task::MultiLabel { .. } => "binary cross-entropy, mean over the labels",
            Task::SingleLabel { .. } => "cross-entropy",
            Task::Points(points) if points.nme_pair.is_some() => "mean error as a share of the normalising distance",
            Task::Points(_) => "mean error in pixels of the original picture",
            Task::Values(_) => "squared error in deviations of each value, mean over the values",
        }
    }

    fn loss(&self, place: usize, deviations: &[f64]) -> Option<f64> {
        let row = self.row(place);
        let logarithm = |score: f64| -score.clamp(CLAMP, 1.0 - CLAMP).ln();
        let loss = match (self.inputs.task, &self.example(place).target) {
            (Task::MultiLabel { .. }, Target::Labels(labels)) => {
                let term = |(label, score): (usize, &f32)| {
                    let score = f64::from(*score);
                    logarithm(if labels.contains(&label) { score } else { 1.0 - score })
                };
                mean(row.iter().enumerate().map(term))
            }
            (Task::SingleLabel { .. }, Target::Labels(labels)) => {
                labels.first().and_then(|&label| row.get(label)).map(|&score| logarithm(f64::from(score)))
            }
            (Task::Points(_), Target::Points(_)) => self.point_error(&self.points(place)),
            (Task::Values(_), Target::Values(values)) => {
                let known = row.iter().zip(values).zip(deviations);
                mean(known.filter_map(|((said, value), scale)| Some(((f64::from(*said) - (*value)?) / scale).powi(2))))
            }
            _ => None,
        };
        loss.filter(|loss| loss.is_finite())
    }

    /// What a picture's mean error is divided by: the distance of the task's pair, or 1 pixel where it has none.
    pub(super) fn normaliser(&self, sample: &PointSample) -> Option<f64> {
        let Task::Points(points) = self.inputs.task else { return None };
        let Some((a, b)) = points.nme_pair else { return Some(1.0) };
        let ((ax, ay), (bx, by)) = ((*sample.truth.get(a)?)?, (*sample.truth.get(b)?)?);
        Some((ax - bx).hypot(ay - by)).filter(|distance| *distance > 0.0)
    }

    fn point_error(&self, sample: &PointSample) -> Option<f64> {
        Some(mean(sample.distances())? / self.normaliser(sample)?)
    }

    /// The pictures with the largest losses, the worst first.
    pub(super) fn worst_cards(&self) -> Vec<Card> {
        let mut places: Vec<(usize, f64)> =
            self.losses.iter().enumerate().filter_map(|(place, loss)| Some((place, (*loss)?))).collect();
        places.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        places.into_iter().take(WORST).map(|(place, _)| self.card(place)).collect()
    }

    /// Pictures that the seed chooses, in the split's order.
    pub(super) fn random_cards(&self) -> Vec<Card> {
        let mut places: Vec<usize> = (0..self.losses.len()).collect();
        places.shuffle(&mut draws(self.inputs.seed, Purpose::Report, 0, 0));
        places.truncate(RANDOM);
        places.sort_unstable();
        places.into_iter().map(|place| self.card(place)).collect()
    }

    fn card(&self, place: usize) -> Card {
        let example = self.example(place);
        let thumbnail = Thumbnail::read(&self.inputs.dataset.path(example), example.size);
        let mut marks = Drawing::new(0.0, 0.0, "");
        if let (Task::Points(_), Some(thumbnail)) = (self.inputs.task, &thumbnail) {
            let scale = thumbnail.shown.0 / f64::from(example.size.width.max(1));
            draw_points(&mut marks, &self.points(place), scale);
        }
        let mut lines = Vec::new();
        if !matches!(self.inputs.task, Task::Points(_)) {
            lines.extend(expected_lines(self.inputs.task, example));
        }
        lines.extend(self.said_lines(place));
        if let Some(loss) = self.losses[place].filter(|_| !matches!(self.inputs.task, Task::Points(_))) {
            lines.push(("", format!("loss: {}", number(loss))));
        }
        Card { name: example.file.display().to_string(), lines, thumbnail, marks }
    }

    /// What the model says about a picture.
    fn said_lines(&self, place: usize) -> Vec<(&'static str, String)> {
        let row = self.row(place);
        match (self.inputs.task, &self.example(place).target) {
            (Task::MultiLabel { labels }, Target::Labels(truth)) => multi_label_lines(labels, truth, row),
            (Task::SingleLabel { labels }, Target::Labels(truth)) => {
                let best = best_label(row).unwrap_or_default();
                let class = if truth.contains(&best) { "right" } else { "wrong" };
                let mut lines = vec![(class, format!("predicted: {}", scored(labels, row, best)))];
                if let Some(&label) = truth.first().filter(|label| **label != best) {
                    lines.push(("", format!("score of {}", scored(labels, row, label))));
                }
                lines
            }
            (Task::Points(points), Target::Points(truth)) => {
                let sample = self.points(place);
                let known = truth.iter().flatten().count();
                let pixels = mean(sample.distances()).map_or("no point is labelled".to_owned(), |error| {
                    format!("error: {} px, {known} of {} points", number(error), points.names.len())
                });
                let nme = points.nme_pair.and_then(|_| self.point_error(&sample));
                let nme = nme.map(|error| ("", format!("normalised error: {}", number(error))));
                std::iter::once(("", pixels)).chain(nme).collect()
            }
            (Task::Values(values), Target::Values(_)) => {
                let said =
                    values.names.iter().zip(row).map(|(name, value)| format!("{name} {}", number((*value).into())));
                vec![("", format!("predicted: {}", list(said.collect())))]
            }
            _ => Vec::new(),
        }
    }
}

fn names(inputs: &ReportInputs<'_>) -> usize {
    let halves = if matches!(inputs.task, Task::Points(_)) { 2 } else { 1 };
    inputs.task.output_len() / halves
}

/// What a picture's labels or values are; nothing for points, which are drawn.
pub(super) fn expected_lines(task: &Task, example: &Example) -> Vec<(&'static str, String)> {
    let texts: Vec<String> = match (task, &example.target) {
        (Task::MultiLabel { labels } | Task::SingleLabel { labels }, Target::Labels(truth)) => {
            truth.iter().filter_map(|&label| Some(labels.get(label)?.name.clone())).collect()
        }
        (Task::Values(values), Target::Values(truth)) => {
            let known = values.names.iter().zip(truth);
            known.filter_map(|(name, value)| Some(format!("{name} {}", number((*value)?)))).collect()
        }
        _ => return Vec::new(),
    };
    vec![("", format!("expected: {}", list(texts)))]
}

/// What is said above its threshold, what of that is wrong, and what is missing.
fn multi_label_lines(labels: &[Label], truth: &[usize], row: &[f32]) -> Vec<(&'static str, String)> {
    let mut said: Vec<usize> = (0..labels.len()).filter(|&label| row[label] >= labels[label].threshold()).collect();
    said.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    let texts = |places: Vec<usize>| list(places.into_iter().map(|label| scored(labels, row, label)).collect());
    let wrong: Vec<usize> = said.iter().copied().filter(|label| !truth.contains(label)).collect();
    let missed: Vec<usize> = truth.iter().copied().filter(|label| !said.contains(label)).collect();
    let class = if wrong.is_empty() && missed.is_empty() { "right" } else { "" };
    let mut lines = vec![(class, format!("predicted: {}", texts(said)))];
    if !wrong.is_empty() {
        lines.push(("wrong", format!("wrong: {}", texts(wrong))));
    }
    if !missed.is_empty() {
        lines.push(("wrong", format!("missed: {}", texts(missed))));
    }
    lines
}

fn scored(labels: &[Label], row: &[f32], label: usize) -> String {
    let score = row.get(label).copied().unwrap_or(f32::NAN);
    format!("{} {score:.2}", labels.get(label).map_or("?", |label| &label.name))
}

/// The texts after each other, or how many more there are.
pub(super) fn list(mut texts: Vec<String>) -> String {
    if texts.is_empty() {
        return "nothing".to_owned();
    }
    let more = texts.len().saturating_sub(MOST_NAMED);
    texts.truncate(MOST_NAMED);
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts.join(", ")
}

/// A ring where a point is expected, a disc where it is predicted, a line between them.
fn draw_points(marks: &mut Drawing, sample: &PointSample, scale: f64) {
    let shown = |(x, y): (f64, f64)| (x * scale, y * scale);
    let radius = radius(sample.predicted.len());
    let known = sample.predicted.iter().zip(&sample.truth);
    let known: Vec<_> = known.filter_map(|(said, truth)| Some((shown(*said), shown((*truth)?)))).collect();
    for (said, truth) in &known {
        marks.line("between", *said, *truth);
    }
    for (said, truth) in known {
        marks.circle("expected", truth, radius + 0.4);
        marks.circle("predicted", said, radius);
    }
    for (said, truth) in sample.predicted.iter().zip(&sample.truth) {
        if truth.is_none() {
            marks.circle("predicted", shown(*said), radius);
        }
    }
}

/// The radius of a point where there are so many in a picture.
pub(super) fn radius(count: usize) -> f64 {
    if count > 20 { 1.6 } else { 3.5 }
}
