//! Tables on standard output.

use crate::{
    model::{Label, Task},
    output::say,
    thresholds::LabelThreshold,
    train::{
        evaluate::Evaluation,
        metrics::{ConfusionMatrix, Counts},
        operating_points::Fitted,
    },
};

/// A confusion matrix of more labels is shown as its most frequent confusions.
const MATRIX_LABELS: usize = 12;
/// How many of them.
const CONFUSIONS: usize = 20;

/// After training: each label with its pictures, its average precision and its thresholds; then what else was found.
pub(super) fn print_fitted(fitted: &Fitted) {
    if let Task::MultiLabel { labels } = &fitted.task {
        let width = name_width(labels);
        let points: Vec<&String> = labels.first().map(|label| label.thresholds.keys().collect()).unwrap_or_default();
        let names: String = points.iter().map(|name| format!("{name:>11}")).collect();
        say!("{:<width$} {:>8} {:>8} {:>10}{names}", "label", "train", "valid", "AP");
        for label in labels {
            let precision = cell(fitted.evaluation.value(&format!("average_precision/{}", label.name)));
            let thresholds: String = points.iter().map(|name| format!("{:>11.3}", label.thresholds[*name])).collect();
            let (train, valid) = (label.train_count, label.valid_count);
            say!("{:<width$} {train:>8} {valid:>8} {precision:>10}{thresholds}", label.name);
        }
    }
    fitted.notes.iter().for_each(|note| say!("note: {note}"));
}

/// What each label is worth: at its threshold, or as the best label.
pub(super) fn print_labels(labels: &[Label], evaluation: &Evaluation, with_thresholds: bool) {
    let width = name_width(labels);
    let threshold = if with_thresholds { " threshold" } else { "" };
    say!(
        "\n{:<width$} {:>8} {:>8} {:>8}{threshold} {:>9} {:>8} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6}",
        "label",
        "pictures",
        "AP",
        "ROC AUC",
        "precision",
        "recall",
        "F1",
        "ECE",
        "TP",
        "FP",
        "FN",
        "TN"
    );
    for (label, counts) in labels.iter().zip(&evaluation.per_label) {
        let metric = |name: &str| cell(evaluation.value(&format!("{name}/{}", label.name)));
        let threshold = if with_thresholds { format!(" {:>9.3}", label.threshold()) } else { String::new() };
        say!(
            "{:<width$} {:>8} {:>8} {:>8}{threshold} {:>9} {:>8} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6}",
            label.name,
            counts.true_positives + counts.false_negatives,
            metric("average_precision"),
            metric("roc_auc"),
            metric("precision"),
            metric("recall"),
            metric("f1"),
            metric("ece"),
            counts.true_positives,
            counts.false_positives,
            counts.false_negatives,
            counts.true_negatives,
        );
    }
}

/// Rows are true labels, columns are what was said; of many labels the most frequent confusions alone.
pub(super) fn print_confusion(labels: &[Label], matrix: &ConfusionMatrix) {
    let width = name_width(labels);
    if labels.len() > MATRIX_LABELS {
        say!("\n{:<width$} {:<width$} {:>8}", "true", "said", "pictures");
        for (truth, said, count) in matrix.most_confused().into_iter().take(CONFUSIONS) {
            say!("{:<width$} {:<width$} {count:>8}", labels[truth].name, labels[said].name);
        }
        return;
    }
    let names: String = labels.iter().map(|label| format!(" {:>8.8}", label.name)).collect();
    say!("\n{:<width$}{names}", "true \\ said");
    for (label, row) in labels.iter().zip(&matrix.rows) {
        let counts: String = row.iter().map(|count| format!(" {count:>8}")).collect();
        say!("{:<width$}{counts}", label.name);
    }
}

/// Thresholds of operating points: what they are worth stands beside them where it is known.
pub(super) fn print_thresholds(labels: &[Label], points: &[(String, Vec<LabelThreshold>)]) {
    let width = name_width(labels);
    let point_width = points.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(5);
    say!(
        "{:<width$} {:<point_width$} {:>9} {:>9} {:>8} {:>8}",
        "label",
        "point",
        "threshold",
        "precision",
        "recall",
        "F1"
    );
    for (place, label) in labels.iter().enumerate() {
        for (name, thresholds) in points {
            let Some(chosen) = thresholds.get(place) else { continue };
            let [precision, recall, f1] = worth(&chosen.counts);
            let (label, threshold) = (&label.name, chosen.threshold);
            say!("{label:<width$} {name:<point_width$} {threshold:>9.3} {precision:>9} {recall:>8} {f1:>8}");
        }
    }
}

/// Precision, recall and F1; a dash where there is no picture to tell by.
fn worth(counts: &Counts) -> [String; 3] {
    let known = counts.true_positives + counts.false_negatives > 0;
    [counts.precision(), counts.recall(), counts.f1()].map(|value| cell(known.then_some(value)))
}

fn cell(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

fn name_width(labels: &[Label]) -> usize {
    labels.iter().map(|label| label.name.chars().count()).max().unwrap_or(0).max(11)
}
