//! Each label: how often it occurs, how well it is found, and what another threshold would do.

use super::{
    Plot,
    axis::{Axis, number},
    chart::{Chart, Kind, Series},
    html::{Cell, table},
    samples::Samples,
    svg::Drawing,
};
use crate::{
    model::{Label, Task},
    train::{
        evaluate::score_table,
        metrics::{Counts, ScoreTable, average_precision},
    },
};

/// Labels that have a precision-recall curve, those with the lowest average precision first where there are more.
const MOST_CURVES: usize = 120;
/// The size of a small chart.
const SMALL: (f64, f64) = (220.0, 200.0);

/// What there is to say about the labels.
pub(super) struct Judged<'a> {
    labels: &'a [Label],
    scores: ScoreTable,
    counts: &'a [Counts],
    precision: Vec<Option<f64>>,
}

impl<'a> Judged<'a> {
    /// None for tasks without labels.
    pub(super) fn new(samples: &Samples<'a>) -> Option<Self> {
        let (Task::MultiLabel { labels } | Task::SingleLabel { labels }) = samples.inputs.task else { return None };
        let scores = score_table(&samples.inputs.evaluation.outputs, &samples.inputs.dataset.valid, labels.len());
        let precision = (0..labels.len()).map(|label| average_precision(scores.column(label))).collect();
        Some(Self { labels, scores, counts: &samples.inputs.evaluation.per_label, precision })
    }

    /// A table with a row for each label.
    pub(super) fn table(&self) -> String {
        let single = self.labels.iter().all(|label| label.thresholds.is_empty());
        let mut heads = vec!["label", "training", "validation", "AP"];
        if !single {
            heads.push("threshold");
        }
        heads.extend(["precision", "recall", "F1", "wrong", "missed"]);
        let rows = self.labels.iter().enumerate().map(|(place, label)| {
            let counts = &self.counts[place];
            let mut row = vec![Cell::text(&label.name)];
            row.extend([label.train_count, label.valid_count].map(|count| Cell::number(count as f64)));
            row.push(Cell::share(self.precision[place]));
            if !single {
                row.push(Cell::share(Some(label.threshold().into())));
            }
            let known = label.valid_count > 0;
            row.extend([counts.precision(), counts.recall(), counts.f1()].map(|v| Cell::share(known.then_some(v))));
            row.extend([counts.false_positives, counts.false_negatives].map(|count| Cell::number(count as f64)));
            row
        });
        let how = if single { "for the label with the highest score" } else { "at the threshold" };
        let caption = format!("Labels on the validation split; precision, recall, F1 and mistakes {how}");
        table(&caption, &heads, rows.collect(), true)
    }

    /// A small precision-recall chart for each label that occurs, the hardest first.
    pub(super) fn curves(&self) -> Plot {
        let mut places: Vec<(usize, f64)> =
            self.precision.iter().enumerate().filter_map(|(place, value)| Some((place, (*value)?))).collect();
        places.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let drawings = places.iter().take(MOST_CURVES).map(|&(place, value)| self.curve(place, value)).collect();
        Plot { file: "pr", drawings, columns: 4 }
    }

    fn curve(&self, place: usize, average: f64) -> Drawing {
        let label = &self.labels[place];
        let title = format!("{} {average:.3}", super::svg::shorten(&label.name, 17));
        let mut series = vec![Series::line("precision", precision_recall(self.scores.column(place)))];
        let counts = &self.counts[place];
        if counts.true_positives + counts.false_positives > 0 {
            let chosen = vec![(counts.recall(), counts.precision())];
            series.push(Series { name: "chosen".to_owned(), kind: Kind::Dots, points: chosen });
        }
        let chart = Chart::new(&title, Axis::share("recall"), Axis::share("precision"), series);
        let mut drawing = Chart { size: SMALL, legend: false, few: false, ..chart }.drawing();
        let (precision, recall) = (number(counts.precision()), number(counts.recall()));
        drawing.words = format!(
            "{}: average precision {}, chosen precision {precision} at recall {recall}",
            label.name,
            number(average)
        );
        drawing
    }
}

/// Recall and precision for every threshold, from the highest score down, as a staircase.
fn precision_recall(column: impl Iterator<Item = (f32, bool)>) -> Vec<(f64, f64)> {
    let mut column: Vec<(f32, bool)> = column.filter(|(score, _)| !score.is_nan()).collect();
    column.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = column.iter().filter(|(_, truth)| *truth).count() as f64;
    let (mut right, mut said) = (0.0, 0.0);
    let mut points: Vec<(f64, f64)> = Vec::new();
    // Equal scores stand or fall together.
    for equal in column.chunk_by(|a, b| a.0 == b.0) {
        right += equal.iter().filter(|(_, truth)| *truth).count() as f64;
        said += equal.len() as f64;
        let (recall, precision) = (right / positives.max(1.0), right / said);
        let (last, _) = points.last().copied().unwrap_or((0.0, 1.0));
        if recall > last || points.is_empty() {
            // Precision holds for all the recall that the step gains, as average precision counts it.
            points.extend([(last, precision), (recall, precision)]);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_under_the_staircase_is_the_average_precision() {
        let column = [(0.9, true), (0.8, false), (0.7, true), (0.7, false), (0.2, true), (0.1, false)];
        let points = precision_recall(column.into_iter());
        let area: f64 = points.as_chunks::<2>().0.iter().map(|[from, to]| (to.0 - from.0) * to.1).sum();
        assert!((area - average_precision(column.into_iter()).unwrap()).abs() < 1e-12);
        assert!(precision_recall(std::iter::empty()).is_empty());
    }
}
