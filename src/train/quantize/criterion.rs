//! What a model is judged by, how much of it may be lost, and how sure that is.

use rand::RngExt as _;

use super::{QuantizeError, pictures::BOOTSTRAP};
use crate::{
    model::Task,
    picture::ResizeRule,
    train::{
        dataset::{Example, Target},
        evaluate::{point_sample, score_table},
        metrics::{self, PointSample, ScoreTable},
        random::{Purpose, draws},
    },
};

/// Draws of the bootstrap, and the places of the 95 % interval's ends among them.
const DRAWS: usize = 1000;
const ENDS: [usize; 2] = [25, 974];

/// The metric of a task, and how a loss of it is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criterion {
    /// The metric's name, as in an evaluation.
    pub metric: &'static str,
    /// Whether a loss is a share of what float32 has, rather than a difference.
    pub is_relative: bool,
    /// The loss from which on a model is refused.
    pub max_loss: f64,
}

/// What INT8 loses against float32 on the same pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// By what.
    pub criterion: Criterion,
    /// The metric in float32 and in INT8.
    pub metrics: [f64; 2],
    /// The loss; below 0 where INT8 is better.
    pub loss: f64,
    /// Its 95 % interval by a paired bootstrap over pictures.
    pub interval: [f64; 2],
    /// Pictures that were judged.
    pub pictures: usize,
}

impl Criterion {
    /// A task's: half a point of mAP or accuracy, 2 % of the error of points or values, or another limit.
    pub fn of(task: &Task, max_loss: Option<f64>) -> Self {
        let (metric, is_relative, limit) = match task {
            Task::MultiLabel { .. } => ("map", false, 0.005),
            Task::SingleLabel { .. } => ("accuracy", false, 0.005),
            Task::Points(points) if points.nme_pair.is_some() => ("nme", true, 0.02),
            Task::Points(_) => ("point_error_px", true, 0.02),
            Task::Values(_) => ("mae", true, 0.02),
        };
        Self { metric, is_relative, max_loss: max_loss.unwrap_or(limit) }
    }

    /// What is lost where float32 has one value and INT8 another.
    pub fn loss(&self, [float, int8]: [f64; 2]) -> f64 {
        match self.is_relative {
            // Nothing of nothing.
            true if int8 == float => 0.0,
            true => (int8 - float) / float,
            false => float - int8,
        }
    }

    /// A loss as text: in points of a hundred, or in percent.
    pub fn text(&self, loss: f64) -> String {
        let unit = if self.is_relative { "%" } else { "points" };
        format!("{:.2} {unit}", 100.0 * loss)
    }

    /// Judges outputs for the same pictures, float32 and INT8.
    ///
    /// # Errors
    /// Pictures that the metric has no value for.
    pub(super) fn judge(&self, rows: &[Rows; 2], seed: u64) -> Result<Judgement, QuantizeError> {
        let pictures = rows[0].len();
        let all: Vec<usize> = (0..pictures).collect();
        let metrics = self.metrics(rows, &all).ok_or_else(|| {
            QuantizeError::Unfit(format!("the validation pictures have nothing to measure {} by", self.metric))
        })?;
        let mut random = draws(seed, Purpose::Quantize, BOOTSTRAP, 0);
        let mut losses: Vec<f64> = (0..DRAWS)
            .filter_map(|_| {
                let places: Vec<usize> = (0..pictures).map(|_| random.random_range(0..pictures)).collect();
                self.metrics(rows, &places).map(|metrics| self.loss(metrics))
            })
            .collect();
        losses.sort_by(f64::total_cmp);
        let at = |place: usize| losses.get(place * losses.len() / DRAWS).copied().unwrap_or(f64::NAN);
        let loss = self.loss(metrics);
        Ok(Judgement { criterion: *self, metrics, loss, interval: ENDS.map(at), pictures })
    }

    /// The metric of both over pictures that may be there several times.
    fn metrics(&self, rows: &[Rows; 2], places: &[usize]) -> Option<[f64; 2]> {
        let [float, int8] = rows;
        Some([float.metric(places)?, int8.metric(places)?])
    }
}

impl Judgement {
    /// Whether the loss is within the limit.
    pub fn passes(&self) -> bool {
        self.loss <= self.criterion.max_loss
    }
}

/// Outputs beside what is true, a row for each picture.
pub(super) enum Rows {
    /// mAP.
    Labels(ScoreTable),
    /// Accuracy.
    Classes(ScoreTable),
    /// Mean point error, as a share of the pair's distance where there is one.
    Points(Vec<PointSample>, Option<(usize, usize)>),
    /// Predicted and true numbers; of pictures, then values.
    Values(Vec<Vec<Option<(f64, f64)>>>),
}

impl Rows {
    pub(super) fn of(task: &Task, outputs: &[f32], examples: &[Example], rule: &ResizeRule) -> Self {
        let rows = outputs.chunks_exact(task.output_len().max(1)).zip(examples);
        match task {
            Task::MultiLabel { labels } => Self::Labels(score_table(outputs, examples, labels.len())),
            Task::SingleLabel { labels } => Self::Classes(score_table(outputs, examples, labels.len())),
            Task::Points(points) => {
                Self::Points(rows.map(|(row, example)| point_sample(row, example, rule)).collect(), points.nme_pair)
            }
            Task::Values(_) => Self::Values(rows.map(|(row, example)| pairs(row, example)).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Labels(table) | Self::Classes(table) => table.pictures(),
            Self::Points(samples, _) => samples.len(),
            Self::Values(rows) => rows.len(),
        }
    }

    /// The metric over pictures by their places; `None` where there is nothing to measure.
    pub(super) fn metric(&self, places: &[usize]) -> Option<f64> {
        match self {
            Self::Labels(table) => metrics::mean_average_precision(&table.of_pictures(places)).mean,
            Self::Classes(table) => metrics::accuracy(&table.of_pictures(places)),
            Self::Points(samples, pair) => {
                let samples: Vec<PointSample> = places.iter().map(|&place| samples[place].clone()).collect();
                match *pair {
                    Some(pair) => metrics::normalised_mean_error(&samples, pair),
                    None => metrics::mean_point_error(&samples),
                }
            }
            Self::Values(rows) => {
                let of = |value: usize| {
                    let column: Vec<(f64, f64)> = places.iter().filter_map(|&place| rows[place][value]).collect();
                    metrics::mean_absolute_error(&column)
                };
                metrics::mean((0..rows.first().map_or(0, Vec::len)).filter_map(of))
            }
        }
    }

    /// Over all pictures.
    pub(super) fn metric_of_all(&self) -> Option<f64> {
        self.metric(&(0..self.len()).collect::<Vec<_>>())
    }
}

fn pairs(row: &[f32], example: &Example) -> Vec<Option<(f64, f64)>> {
    let Target::Values(truth) = &example.target else { return vec![None; row.len()] };
    row.iter().zip(truth).map(|(value, truth)| Some((f64::from(*value), (*truth)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Label, Values};

    fn labels() -> Task {
        let label = |name: &str| Label { name: name.into(), thresholds: [].into(), train_count: 1, valid_count: 1 };
        Task::MultiLabel { labels: vec![label("a")] }
    }

    fn table(scores: &[f32], truth: &[f32]) -> Rows {
        let mut table = ScoreTable::new(1);
        table.extend(scores, truth);
        Rows::Labels(table)
    }

    #[test]
    fn losses_are_differences_of_scores_and_shares_of_errors() {
        let map = Criterion::of(&labels(), None);
        assert_eq!((map.metric, map.max_loss), ("map", 0.005));
        assert!((map.loss([0.9, 0.88]) - 0.02).abs() < 1e-12);
        assert_eq!(map.text(0.0034), "0.34 points");
        let mae = Criterion::of(&Task::Values(Values { names: vec!["v".into()], y_ranges: vec![] }), Some(0.1));
        assert_eq!((mae.metric, mae.max_loss), ("mae", 0.1));
        assert!((mae.loss([2.0, 2.1]) - 0.05).abs() < 1e-12);
        assert_eq!(mae.text(-0.01), "-1.00 %");
    }

    #[test]
    fn equal_outputs_lose_nothing_in_any_draw() {
        let truth = [1.0, 0.0, 1.0, 0.0];
        let rows = [table(&[0.9, 0.1, 0.4, 0.6], &truth), table(&[0.9, 0.1, 0.4, 0.6], &truth)];
        let judgement = Criterion::of(&labels(), None).judge(&rows, 1).unwrap();
        assert_eq!((judgement.loss, judgement.interval, judgement.pictures), (0.0, [0.0, 0.0], 4));
        assert!(judgement.passes());
    }

    #[test]
    fn the_interval_of_a_known_loss_is_that_of_the_binomial() {
        // Right for all 400 pictures in float32, wrong for every tenth in INT8: a loss of .1, with a deviation of
        // √(.1 · .9 / 400) = .015 and a 95 % interval of about .1 ± .0294.
        let truth: Vec<f32> = [1.0, 0.0].repeat(400);
        let wrong: Vec<f32> = (0..400).flat_map(|i| if i % 10 == 0 { [0.0, 1.0] } else { [1.0, 0.0] }).collect();
        let rows = [&truth, &wrong].map(|scores| {
            let mut table = ScoreTable::new(2);
            table.extend(scores, &truth);
            Rows::Classes(table)
        });
        let criterion = Criterion { metric: "accuracy", is_relative: false, max_loss: 0.005 };
        let judgement = criterion.judge(&rows, 3).unwrap();
        assert!((judgement.loss - 0.1).abs() < 1e-12 && !judgement.passes());
        for (end, expected) in judgement.interval.iter().zip([0.0706, 0.1294]) {
            assert!((end - expected).abs() < 0.005, "{:?}", judgement.interval);
        }
    }

    #[test]
    fn pictures_without_anything_to_measure_are_refused() {
        let rows = [table(&[0.5], &[0.0]), table(&[0.5], &[0.0])];
        let error = Criterion::of(&labels(), None).judge(&rows, 1).unwrap_err();
        assert!(error.to_string().contains("nothing to measure map by"), "{error}");
    }
}
