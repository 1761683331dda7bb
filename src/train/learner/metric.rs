//! The metric that says which epoch is the best, checked before training.

use crate::{
    model::Task,
    train::{
        dataset::Dataset,
        evaluate::{Evaluation, Judge},
        recipe::Recipe,
    },
};

/// Whether the metric that says which epoch is the best can be measured on the validation split: that depends on what is
/// true there alone, so outputs that are all the same tell it before any training.
pub(super) fn check(recipe: &Recipe, task: &Task, dataset: &Dataset) -> Result<(), String> {
    if !recipe.keep_best && recipe.patience.is_none() {
        return Ok(());
    }
    let outputs = vec![0.5; dataset.valid.len() * task.output_len()];
    let judge = Judge { dataset, rule: recipe.resize, threshold: recipe.accuracy_threshold };
    let evaluation = Evaluation::of(task, outputs, 0.0, &judge);
    let metric = recipe.metric_for(task);
    if evaluation.value(&metric).is_some() {
        return Ok(());
    }
    let names = evaluation.names();
    // Those of each label would be hundreds.
    let measured = names.into_iter().filter(|name| !name.contains('/') && evaluation.value(name).is_some());
    Err(format!(
        "metric {metric:?} cannot say which epoch is the best: the validation pictures have nothing to measure it by, or \
         there is no such label, point or value, or it is another task's; choose of {}, or METRIC/NAME for one alone",
        measured.collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Digest,
        picture::PictureSize,
        train::{
            dataset::{Example, Target, Targets},
            task::{PointSettings, task_of},
        },
    };

    /// What is said of a metric where these are the targets of both splits.
    fn said(metric: Option<&str>, targets: Targets, of_pictures: &[Target], nme_pair: Option<&str>) -> String {
        let example = |target: &Target| {
            let size = PictureSize { width: 40, height: 30 };
            Example { file: "0.png".into(), row: 2, size, target: target.clone() }
        };
        let examples: Vec<Example> = of_pictures.iter().map(example).collect();
        let (train, valid, fingerprint) = (examples.clone(), examples, Digest::of(&[]));
        let dataset = Dataset { root: "".into(), targets, train, valid, fingerprint };
        let settings = PointSettings { nme_pair: nme_pair.map(str::to_owned), ..PointSettings::default() };
        let task = task_of(&dataset, &[], &settings).unwrap();
        let recipe = Recipe { keep_best: true, metric: metric.map(str::to_owned), ..Recipe::default() };
        check(&recipe, &task, &dataset).err().unwrap_or_default()
    }

    fn of_labels(metric: Option<&str>, of_pictures: &[&[usize]]) -> String {
        let targets = Targets::MultiLabel { labels: vec!["cat".into(), "dog".into()] };
        let of_pictures: Vec<Target> = of_pictures.iter().map(|labels| Target::Labels(labels.to_vec())).collect();
        said(metric, targets, &of_pictures, None)
    }

    #[test]
    fn a_metric_is_one_of_the_tasks_and_of_its_labels() {
        let pictures: [&[usize]; 3] = [&[0], &[0, 1], &[]];
        for right in [None, Some("loss"), Some("f1_macro"), Some("average_precision/dog"), Some("recall/cat")] {
            assert_eq!(of_labels(right, &pictures), "", "{right:?}");
        }
        for wrong in ["nme", "rmse", "accuracy", "recall/cta", "recall@precise/cat", "ece_uncalibrated"] {
            let message = of_labels(Some(wrong), &pictures);
            assert!(message.contains(wrong) && message.contains("choose of loss, map,"), "{message}");
        }
    }

    #[test]
    fn a_metric_without_anything_to_measure_is_refused() {
        assert!(of_labels(Some("recall/dog"), &[&[0], &[]]).contains("nothing to measure"));
        assert!(of_labels(None, &[&[], &[]]).contains("\"map\""));
        let points = || Targets::Points { names: vec!["left".into(), "right".into()] };
        let half = [Target::Points(vec![Some((1.0, 2.0)), None])];
        let message = said(None, points(), &half, Some("left:right"));
        assert!(message.contains("\"nme\"") && message.contains("choose of loss, point_error_px,"), "{message}");
        assert_eq!(said(Some("point_error_px/left"), points(), &half, Some("left:right")), "");
        assert_eq!(said(None, points(), &[Target::Points(vec![Some((1.0, 2.0)), Some((8.0, 2.0))])], Some("0:1")), "");
    }
}
