//! What is fitted on the validation split once training is over: the calibration, and on calibrated scores the thresholds
//! of each operating point.

use super::{
    calibrate::{self, Calibrated},
    evaluate::{Evaluation, Judge, score_table},
    metrics::ScoreTable,
    thresholds::thresholds,
};
use crate::{
    model::{Label, Task},
    onnx::{
        GraphProto, OnnxError,
        calibrate::{Calibration, insert},
    },
    thresholds::{LabelThreshold, OperatingPoint, Outcome},
};

/// What to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether to calibrate the scores.
    pub calibrate: bool,
    /// Each gets a threshold for each label of a multi-label model.
    pub points: Vec<OperatingPoint>,
}

impl Default for Settings {
    /// Calibrated, with the standard points.
    fn default() -> Self {
        Self { calibrate: true, points: OperatingPoint::standard() }
    }
}

/// What was fitted.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The task with its thresholds.
    pub task: Task,
    /// The outputs as the calibrated graph gives them, and what they are worth at the default thresholds.
    pub evaluation: Evaluation,
    /// What [`Fitted::calibrate`] puts into the graph.
    pub calibration: Option<Calibration>,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
}

impl Fitted {
    /// Puts the calibration into the graph whose outputs it was fitted on.
    ///
    /// # Errors
    /// A graph whose output is made by no Sigmoid or Softmax.
    pub fn calibrate(&self, graph: &mut GraphProto) -> Result<(), OnnxError> {
        let output = self.task.output_name();
        self.calibration.as_ref().map_or(Ok(()), |calibration| insert(graph, output, calibration))
    }
}

/// Fits calibration and thresholds on the logits and outputs of an uncalibrated graph for the validation split; points and
/// values have neither.
///
/// Thresholds are measured on the scores that they were chosen on, as is everything of the evaluation but
/// `ece_cross_validated`: on new pictures a little worse is to be expected.
pub fn fit(task: &Task, evaluation: Evaluation, judge: &Judge<'_>, settings: &Settings) -> Fitted {
    let (Task::MultiLabel { labels } | Task::SingleLabel { labels }) = task else {
        return Fitted { task: task.clone(), evaluation, calibration: None, notes: Vec::new() };
    };
    let single_label = matches!(task, Task::SingleLabel { .. });
    let mut notes = Vec::new();
    let Evaluation { mut outputs, logits, loss, .. } = evaluation;
    let table = |outputs: &[f32]| score_table(outputs, &judge.dataset.valid, labels.len());
    let mut calibrated = None;
    if settings.calibrate {
        let fit = if single_label { calibrate::calibrate_classes } else { calibrate::calibrate_labels };
        let found = fit(&table(&logits));
        outputs = calibrate::apply(&found.calibration, &outputs, &logits, labels.len(), single_label);
        notes.push(calibration_note(&found, labels));
        calibrated = Some(found);
    }
    let task = if single_label {
        task.clone()
    } else {
        let labels = with_thresholds(labels, &table(&outputs), &settings.points, &mut notes);
        Task::MultiLabel { labels }
    };
    let mut evaluation = Evaluation::of(&task, outputs, loss, judge);
    if let Some(found) = &calibrated {
        evaluation.details.push(("ece_uncalibrated".to_owned(), found.error_before));
        evaluation.details.push(("ece_cross_validated".to_owned(), found.error_after));
    }
    let calibration = calibrated.map(|found| found.calibration).filter(|calibration| !calibration.is_identity());
    Fitted { task, evaluation, calibration, notes }
}

/// The task with the thresholds of a named operating point as its default ones.
///
/// # Errors
/// A task without thresholds, or a point that a label lacks; the text lists those that there are.
pub fn at(task: &Task, name: &str) -> Result<Task, String> {
    let Task::MultiLabel { labels } = task else {
        return Err(format!("operating points are for multi-label models, and this model answers {}", task.kind()));
    };
    let mut labels = labels.clone();
    for label in &mut labels {
        let Some(&threshold) = label.thresholds.get(name) else {
            let known: Vec<&str> = label.thresholds.keys().map(String::as_str).collect();
            return Err(format!("the model has no operating point {name:?}; it has {}", known.join(", ")));
        };
        label.thresholds.insert(Label::DEFAULT_OPERATING_POINT.to_owned(), threshold);
    }
    Ok(Task::MultiLabel { labels })
}

/// The labels with a threshold for each point, and for no other.
fn with_thresholds(
    labels: &[Label],
    table: &ScoreTable,
    points: &[OperatingPoint],
    notes: &mut Vec<String>,
) -> Vec<Label> {
    let mut labels = labels.to_vec();
    labels.iter_mut().for_each(|label| label.thresholds.clear());
    for point in points {
        for (label, chosen) in labels.iter_mut().zip(thresholds(table, point.goal)) {
            label.thresholds.insert(point.name.clone(), chosen.threshold);
            if chosen.outcome == Outcome::OutOfReach {
                notes.push(out_of_reach(label, point, &chosen));
            }
            if chosen.outcome == Outcome::NoExample && point.name == Label::DEFAULT_OPERATING_POINT {
                notes.push(format!("label {:?} has no validation picture: its thresholds are .5", label.name));
            }
        }
    }
    labels
}

fn out_of_reach(label: &Label, point: &OperatingPoint, chosen: &LabelThreshold) -> String {
    format!(
        "label {:?}: {} is out of reach, so {:?} is the nearest to it (precision {:.3}, recall {:.3})",
        label.name,
        point.goal,
        point.name,
        chosen.counts.precision(),
        chosen.counts.recall(),
    )
}

fn calibration_note(found: &Calibrated, labels: &[Label]) -> String {
    use calibrate::Outcome::{Fitted, NoBetter, TooFewExamples};
    let of = |outcome: calibrate::Outcome| -> Vec<String> {
        let parts = found.parts.iter().zip(labels).filter(|(part, _)| part.outcome == outcome);
        parts.map(|(_, label)| format!("{:?}", label.name)).collect()
    };
    let errors = format!("ECE {:.4} before and {:.4} after, cross-validated", found.error_before, found.error_after);
    if let [only] = found.parts.as_slice()
        && labels.len() > 1
    {
        let temperature = 1.0 / found.calibration.scales.first().copied().unwrap_or(1.0);
        return match only.outcome {
            Fitted => format!("scores are calibrated with temperature {temperature:.3}: {errors}"),
            NoBetter => {
                format!("scores are left as they are, no temperature was better: ECE {:.4}", found.error_before)
            }
            TooFewExamples => "scores are not calibrated: there are too few validation pictures".to_owned(),
        };
    }
    let mut note = format!("scores of {} of {} labels are calibrated: {errors}", of(Fitted).len(), labels.len());
    let few = format!("fewer than {} pictures with or without them", calibrate::MIN_EXAMPLES);
    for (outcome, why) in [(NoBetter, "no calibration was better"), (TooFewExamples, few.as_str())] {
        let names = of(outcome);
        if !names.is_empty() {
            note.push_str(&format!("; left as they are, because {why}: {}", names.join(", ")));
        }
    }
    note
}
