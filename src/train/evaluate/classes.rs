//! Metrics of single-label models.

use super::{
    Named, each,
    labels::{macro_averages, said},
    recorded, shown,
};
use crate::{
    model::Label,
    train::metrics::{self, ConfusionMatrix, Counts, ScoreTable},
};

/// Among how many best labels the true one counts as found by `top_5_accuracy`.
const TOP: usize = 5;

/// Accuracy and macro F1 are shown; the rest is recorded. What is said is the best label.
pub(super) fn judge_classes(
    table: &ScoreTable,
    labels: &[Label],
    per_label: &mut Vec<Counts>,
    confusion: &mut Option<ConfusionMatrix>,
) -> (Named, Named) {
    let matrix = metrics::confusion_matrix(table);
    let judgement = matrix.judgement();
    let aucs = metrics::roc_aucs(table);
    let shown = shown([("accuracy", metrics::accuracy(table)), ("f1_macro", Some(judgement.macro_f1()))]);
    let mut details = recorded([
        // With five labels or fewer the true one is always among the best five.
        ("top_5_accuracy", if labels.len() > TOP { metrics::top_k_accuracy(table, TOP) } else { None }),
        ("roc_auc_macro", aucs.macro_average),
        ("ece", metrics::top_calibration_error(table)),
    ]);
    details.extend(macro_averages(&judgement).into_iter().filter(|(name, _)| name != "f1_macro"));
    details.extend(each("roc_auc", labels.iter().map(|label| &label.name), aucs.per_label.into_iter()));
    details.extend(said(labels, &judgement));
    *per_label = judgement.per_label;
    *confusion = Some(matrix);
    (shown, details)
}
