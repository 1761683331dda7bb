//! Metrics of multi-label models.

use std::collections::BTreeSet;

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
    details.extend(at_other_points(table, labels));
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
    said_at("", labels, judgement)
}

/// The same at every operating point but the default one, as `METRIC@POINT/LABEL`; labels without a threshold there are
/// left out.
fn at_other_points(table: &ScoreTable, labels: &[Label]) -> Named {
    let points: BTreeSet<&String> = labels.iter().flat_map(|label| label.thresholds.keys()).collect();
    let at = |point: &String| {
        let thresholds: Vec<Option<f32>> = labels.iter().map(|label| label.threshold_at(point)).collect();
        let or_never: Vec<f32> = thresholds.iter().map(|threshold| threshold.unwrap_or(f32::INFINITY)).collect();
        let judgement = metrics::judge(table, &or_never);
        let (known, per_label) = labels
            .iter()
            .zip(judgement.per_label)
            .zip(thresholds)
            .filter(|(_, threshold)| threshold.is_some())
            .map(|((label, counts), _)| (label.clone(), counts))
            .unzip::<_, _, Vec<Label>, Vec<Counts>>();
        said_at(&format!("@{point}"), &known, &Judgement { per_label })
    };
    points.into_iter().filter(|point| *point != Label::DEFAULT_OPERATING_POINT).flat_map(at).collect()
}

fn said_at(point: &str, labels: &[Label], judgement: &Judgement) -> Named {
    let of = |metric: &str, value: fn(&Counts) -> f64| {
        let values = judgement.per_label.iter().map(move |counts| {
            let positives = counts.true_positives + counts.false_negatives;
            (positives > 0).then(|| value(counts))
        });
        let metric = format!("{metric}{point}");
        each(&metric, labels.iter().map(|label| &label.name), values).collect::<Named>()
    };
    [of("f1", Counts::f1), of("precision", Counts::precision), of("recall", Counts::recall)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_judged_at_each_operating_point_that_it_has() {
        let label = |name: &str, points: &[(&str, f32)]| Label {
            name: name.to_owned(),
            thresholds: points.iter().map(|(point, threshold)| ((*point).to_owned(), *threshold)).collect(),
            train_count: 1,
            valid_count: 1,
        };
        let labels = [label("cat", &[("balanced", 0.5), ("precise", 0.8)]), label("dog", &[("balanced", 0.5)])];
        let mut table = ScoreTable::new(2);
        // Cats at .9 and .6, and none at .7; a dog at .4.
        table.extend(&[0.9, 0.1, 0.6, 0.4, 0.7, 0.2], &[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let (_, details) = judge_labels(&table, &labels, 0.5, &mut Vec::new());
        let of = |name: &str| details.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        assert_eq!(of("precision/cat"), Some(2.0 / 3.0));
        assert_eq!((of("precision@precise/cat"), of("recall@precise/cat")), (Some(1.0), Some(0.5)));
        assert_eq!(of("f1@precise/cat"), Some(2.0 / 3.0));
        assert_eq!((of("recall/dog"), of("recall@precise/dog")), (Some(0.0), None));
        assert!(details.iter().all(|(name, _)| !name.contains("@balanced")), "{details:?}");
    }
}
