//! Scores → labels.

use serde::Serialize;
use utoipa::ToSchema;

use super::Selection;
use crate::model::{Label, Task};

/// One label of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LabelAnswer {
    /// The label's name.
    #[schema(example = "beach")]
    pub label: String,
    /// Its score in 0…1.
    #[schema(example = 0.93)]
    pub score: f32,
    /// The threshold that it was held against (`score >= threshold`); none for a single-label model unless the
    /// request gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.41)]
    pub threshold: Option<f32>,
}

/// Whether an answer names each of a task's labels where a request asks for nothing in particular; empty for points and
/// values.
pub fn named(task: &Task, output: &[f32]) -> Vec<bool> {
    let scored = task.labels().iter().zip(output);
    match task {
        Task::SingleLabel { .. } => {
            let best = scored.enumerate().rev().max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
            let best = best.map(|(place, _)| place);
            (0..task.labels().len()).map(|place| Some(place) == best).collect()
        }
        _ => scored.map(|(label, score)| *score >= label.threshold()).collect(),
    }
}

/// Every label whose score reaches its threshold, by descending score.
pub(super) fn multi_label(labels: &[Label], scores: &[f32], selection: &Selection) -> Vec<LabelAnswer> {
    let mut found = ranked(labels, scores, selection, |label| Some(selection.threshold_of(label)));
    if !selection.all {
        found.retain(reaches_threshold);
    }
    cut(found, selection)
}

/// The best label; more of them where the request gives a threshold, a number of labels, or asks for all.
pub(super) fn single_label(labels: &[Label], scores: &[f32], selection: &Selection) -> Vec<LabelAnswer> {
    let mut found = ranked(labels, scores, selection, |_| selection.threshold.map(|threshold| threshold.get()));
    let wanted = if selection.all || (selection.threshold.is_none() && selection.top_k.is_some()) {
        found.len()
    } else if selection.threshold.is_some() {
        found.iter().filter(|label| reaches_threshold(label)).count().max(1)
    } else {
        1
    };
    found.truncate(wanted);
    cut(found, selection)
}

/// Every label with its threshold, by descending score; equal scores keep the model's order.
fn ranked(
    labels: &[Label],
    scores: &[f32],
    selection: &Selection,
    threshold: impl Fn(&Label) -> Option<f32>,
) -> Vec<LabelAnswer> {
    let mut found: Vec<LabelAnswer> = labels
        .iter()
        .zip(scores)
        .filter(|(label, _)| selection.names(label))
        .map(|(label, &score)| LabelAnswer { label: label.name.clone(), score, threshold: threshold(label) })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

fn reaches_threshold(label: &LabelAnswer) -> bool {
    label.threshold.is_none_or(|threshold| label.score >= threshold)
}

fn cut(mut found: Vec<LabelAnswer>, selection: &Selection) -> Vec<LabelAnswer> {
    if let Some(top_k) = selection.top_k {
        found.truncate(top_k.get());
    }
    found
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// Labels a, b, c with thresholds .3, .5 and .8.
    fn labels() -> Vec<Label> {
        [("a", 0.3), ("b", 0.5), ("c", 0.8)]
            .map(|(name, threshold)| Label {
                name: name.to_owned(),
                thresholds: [("balanced".to_owned(), threshold)].into(),
                train_count: 1,
                valid_count: 1,
            })
            .to_vec()
    }

    fn names(found: &[LabelAnswer]) -> String {
        found.iter().map(|label| label.label.as_str()).collect()
    }

    fn selection(all: bool, threshold: &str, top_k: usize) -> Selection {
        Selection { all, threshold: threshold.parse().ok(), top_k: NonZeroUsize::new(top_k), ..Selection::default() }
    }

    #[test]
    fn each_label_is_held_against_its_own_threshold() {
        let found = multi_label(&labels(), &[0.4, 0.6, 0.7], &Selection::default());
        assert_eq!(names(&found), "ba");
        assert_eq!(found[0], LabelAnswer { label: "b".to_owned(), score: 0.6, threshold: Some(0.5) });
    }

    #[test]
    fn a_score_that_equals_its_threshold_reaches_it() {
        assert_eq!(names(&multi_label(&labels(), &[0.3, 0.5, 0.8], &Selection::default())), "cba");
    }

    #[test]
    fn no_label_is_a_normal_answer_of_a_multi_label_model() {
        assert_eq!(multi_label(&labels(), &[0.1, 0.1, 0.1], &Selection::default()), []);
    }

    #[test]
    fn a_request_can_ask_for_every_label_give_a_threshold_or_a_number_of_labels() {
        let scores = [0.4, 0.6, 0.7];
        assert_eq!(names(&multi_label(&labels(), &scores, &selection(true, "", 0))), "cba");
        assert_eq!(names(&multi_label(&labels(), &scores, &selection(false, "0.65", 0))), "c");
        assert_eq!(names(&multi_label(&labels(), &scores, &selection(true, "", 2))), "cb");
        // The number cuts after the thresholds: c has the best score but does not reach its threshold.
        assert_eq!(names(&multi_label(&labels(), &scores, &selection(false, "", 1))), "b");
    }

    #[test]
    fn a_single_label_model_always_answers_its_best_label() {
        let scores = [0.2, 0.5, 0.3];
        assert_eq!(names(&single_label(&labels(), &scores, &Selection::default())), "b");
        assert_eq!(names(&single_label(&labels(), &scores, &selection(false, "0.9", 0))), "b");
        assert_eq!(names(&single_label(&labels(), &scores, &selection(false, "0.3", 0))), "bc");
        assert_eq!(names(&single_label(&labels(), &scores, &selection(false, "", 2))), "bc");
        assert_eq!(names(&single_label(&labels(), &scores, &selection(true, "", 0))), "bca");
    }

    #[test]
    fn a_request_can_ask_for_some_labels_only_and_for_another_operating_point() {
        let mut labels = labels();
        labels[2].thresholds.insert("sensitive".to_owned(), 0.6);
        let selection = Selection {
            operating_point: Some("sensitive".to_owned()),
            labels: Some(vec!["c".to_owned(), "a".to_owned()]),
            ..Selection::default()
        };
        let found = multi_label(&labels, &[0.4, 0.9, 0.7], &selection);
        assert_eq!(found, [LabelAnswer { label: "c".to_owned(), score: 0.7, threshold: Some(0.6) }]);
    }

    #[test]
    fn what_is_named_is_what_an_answer_names() {
        let multi = Task::MultiLabel { labels: labels() };
        let single = Task::SingleLabel { labels: labels() };
        for scores in [[0.4, 0.6, 0.7], [0.3, 0.5, 0.8], [0.1, 0.1, 0.1], [0.2, 0.9, 0.9]] {
            for (task, answer) in [
                (&multi, multi_label(&labels(), &scores, &Selection::default())),
                (&single, single_label(&labels(), &scores, &Selection::default())),
            ] {
                let is_named = |label: &Label| answer.iter().any(|found| found.label == label.name);
                let expected: Vec<bool> = labels().iter().map(is_named).collect();
                assert_eq!(super::named(task, &scores), expected, "{scores:?}");
            }
        }
    }

    #[test]
    fn equal_scores_keep_the_models_order() {
        assert_eq!(names(&multi_label(&labels(), &[0.9, 0.9, 0.9], &Selection::default())), "abc");
    }
}
