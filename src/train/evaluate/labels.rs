//! Metrics of multi-label models.

use super::{Named, each, recorded, shown};
use crate::{
    model::Label,
    train::metrics::{self, Counts, Judgement, ScoreTable},
};

/// mAP and accuracy are shown; the rest is recorded. What is said is said at each label's own threshold, but for
/// `accuracy_multi`, whose `threshold` is one for all, as in fastai.
pub(super) fn judge_labels(
    table: &ScoreTable,
    labels: &[Label],
    threshold: f64,
    per_label: &mut Vec<Counts>,
) -> (Named, Named) {
    let precision = metrics::mean_average_precision(table);
    let accuracy = metrics::accuracy_multi(table, threshold as f32);
    let shown = shown([("map", precision.mean), ("accuracy_multi", accuracy)]);

    let thresholds: Vec<f32> = labels.iter().map(Label::threshold).collect();
    let judgement = metrics::judge(table, &thresholds);
    let aucs = metrics::roc_aucs(table);
    let (errors, error) = metrics::label_calibration_errors(table);
    let micro = judgement.micro();
    let mut details = recorded([
        ("f1_micro", Some(micro.f1())),
        ("precision_micro", Some(micro.precision())),
        ("recall_micro", Some(micro.recall())),
        ("roc_auc_macro", aucs.macro_average),
        ("roc_auc_micro", aucs.micro_average),
        ("hamming_loss", metrics::hamming_loss(&judgement)),
        ("ece", error),
    ]);
    details.extend(macro_averages(&judgement));
    let names = || labels.iter().map(|label| &label.name);
    details.extend(each("average_precision", names(), precision.per_label.into_iter()));
    details.extend(each("roc_auc", names(), aucs.per_label.into_iter()));
    details.extend(said(labels, &judgement));
    details.extend(each("ece", names(), errors.into_iter()));
    *per_label = judgement.per_label;
    (shown, details)
}

/// The plain means over labels, those without an example included, as in scikit-learn.
pub(super) fn macro_averages(judgement: &Judgement) -> Named {
    recorded([
        ("f1_macro", Some(judgement.macro_f1())),
        ("precision_macro", Some(judgement.macro_precision())),
        ("recall_macro", Some(judgement.macro_recall())),
    ])
}

/// Precision, recall and F1 of each label that has an example.
pub(super) fn said(labels: &[Label], judgement: &Judgement) -> Named {
    let of = |metric, value: fn(&Counts) -> f64| {
        let values = judgement.per_label.iter().map(move |counts| {
            let positives = counts.true_positives + counts.false_negatives;
            (positives > 0).then(|| value(counts))
        });
        each(metric, labels.iter().map(|label| &label.name), values)
    };
    of("f1", Counts::f1).chain(of("precision", Counts::precision)).chain(of("recall", Counts::recall)).collect()
}
