//! What a row of a prediction says, from an answer.

use uuid::Uuid;

use super::Answered;
use crate::{
    model::{Digest, ModelVersion, Task},
    store::{
        now_ms,
        predictions::{PredictionRow, ShadowRow},
    },
};

pub(super) fn prediction(answered: &Answered, picture_digest: Digest, picture: Option<String>) -> PredictionRow {
    let Answered { id, created_ms, model, outcome, .. } = answered;
    let values = &outcome.output.values;
    let (uncertainty, margin) = doubts(&outcome.in_force.task, values).unzip();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    PredictionRow {
        id: id.to_string(),
        created_ms: *created_ms,
        model: model.name.clone(),
        version: version(model.version),
        digest: model.digest.to_string(),
        revision: outcome.in_force.revision,
        outputs: array(values),
        width: i64::from(outcome.original.width),
        height: i64::from(outcome.original.height),
        picture_digest: picture_digest.to_string(),
        picture,
        decode_ms: ms(outcome.decode),
        queue_ms: ms(outcome.waited),
        inference_ms: ms(outcome.output.inference),
        uncertainty,
        margin,
    }
}

pub(super) fn shadow(id: Uuid, of: ModelVersion, outputs: &[f32], disagreement: f64) -> ShadowRow {
    let prediction_id = id.to_string();
    ShadowRow { prediction_id, created_ms: now_ms(), version: version(of), outputs: array(outputs), disagreement }
}

fn version(version: ModelVersion) -> i64 {
    i64::try_from(version.0).unwrap_or(i64::MAX)
}

/// A JSON array. Outputs that are no numbers are not remembered.
fn array(values: &[f32]) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

/// How unsure a model with labels is (0 to 1), and how far its nearest score is from changing the answer.
fn doubts(task: &Task, scores: &[f32]) -> Option<(f64, f64)> {
    let scores = scores.iter().copied().map(f64::from);
    match task {
        Task::MultiLabel { labels } => {
            let thresholds = labels.iter().map(|label| f64::from(label.threshold()));
            let uncertainty = scores.clone().map(|score| 1.0 - (2.0 * score - 1.0).abs()).fold(0.0, f64::max);
            let margin = scores.zip(thresholds).map(|(score, threshold)| (score - threshold).abs()).fold(1.0, f64::min);
            Some((uncertainty, margin))
        }
        Task::SingleLabel { .. } => {
            let (best, second) =
                scores.fold(
                    (0.0_f64, 0.0_f64),
                    |(best, second), score| {
                        if score > best { (score, best) } else { (best, second.max(score)) }
                    },
                );
            Some((1.0 - best, best - second))
        }
        Task::Points(_) | Task::Values(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Label;

    fn label(name: &str, threshold: f32) -> Label {
        let thresholds = [("balanced".to_owned(), threshold)].into();
        Label { name: name.to_owned(), thresholds, train_count: 1, valid_count: 1 }
    }

    #[test]
    fn hand_computed_doubts() {
        let labels = vec![label("a", 0.5), label("b", 0.25)];
        let near = |found: Option<(f64, f64)>, expected: (f64, f64)| {
            let found = found.unwrap();
            assert!((found.0 - expected.0).abs() < 1e-6 && (found.1 - expected.1).abs() < 1e-6, "{found:?}");
        };
        // a: 1 - |1.8 - 1| = .2 unsure, .4 away; b: .4 unsure, .05 away.
        near(doubts(&Task::MultiLabel { labels: labels.clone() }, &[0.9, 0.2]), (0.4, 0.05));
        near(doubts(&Task::SingleLabel { labels }, &[0.3, 0.7]), (0.3, 0.4));
    }
}
