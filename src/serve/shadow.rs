//! A version on trial: it sees a share of the pictures that the default version answers, and how its outputs differ is
//! summed up, output by output. Its answers never reach a client, and it never makes one wait: its pictures go last, to
//! the decoder, too, and those that find half of its queue taken, or no memory, are dropped. Once its trial is over, those that
//! wait are dropped, too: a version that is promoted has its whole queue for clients.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    models::ServedModel,
    pipeline::{Input, Outcome, Pipeline},
    queue::{Priority, Terms},
};
use crate::{
    answer::named,
    model::{ModelVersion, Task},
};

/// How a shadow's outputs differ from those of one default version.
#[derive(Debug, Default)]
pub(super) struct Report(Mutex<Sums>);

#[derive(Clone, Debug, Default)]
struct Sums {
    /// The default version that it is compared with; another one begins anew.
    against: Option<ModelVersion>,
    /// The part of a picture that is due; a picture is shown whenever it reaches 1.
    due: f64,
    pictures: u64,
    dropped: u64,
    failed: u64,
    outputs: BTreeMap<String, Difference>,
}

/// What has been seen so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReportView {
    /// The version that answers, which the shadow is compared with; none before the first picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "1")]
    against: Option<String>,
    /// Pictures that both versions saw.
    #[schema(example = 1042)]
    pictures: u64,
    /// Pictures that the shadow was too busy for.
    dropped: u64,
    /// Pictures that failed in the shadow alone, or got outputs that are no numbers there.
    failed: u64,
    /// By label, point or value name; only those that both versions have.
    outputs: BTreeMap<String, Difference>,
}

/// How one output differs. Scores are in 0…1, points in half frames (the frame is −1…1), values in their own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(super) struct Difference {
    /// The mean of the absolute differences; for a point, of the distances.
    #[schema(example = 0.013)]
    mean: f64,
    /// The largest of them.
    #[schema(example = 0.31)]
    max: f64,
    /// Pictures for which the versions disagree on whether the label is named; 0 for points and values.
    #[schema(example = 7)]
    disagreements: u64,
}

impl Report {
    pub(super) fn view(&self) -> ReportView {
        let Sums { against, pictures, dropped, failed, outputs, .. } = self.sums().clone();
        ReportView { against: against.map(|version| version.to_string()), pictures, dropped, failed, outputs }
    }

    /// Whether the next picture is to be shown, for every picture to come with this share.
    fn is_due(&self, share: f64) -> bool {
        let mut sums = self.sums();
        sums.due += share;
        let due = sums.due >= 1.0;
        sums.due -= f64::from(u8::from(due));
        due
    }

    /// Adds a picture, and says how far the two disagree on it: labels that one of them alone names, plus the largest
    /// difference of a score; for points and values the mean difference.
    fn compare(&self, default: ModelVersion, ours: &Outcome, theirs: &Outcome) -> f64 {
        let has_labels = !ours.in_force.task.labels().is_empty();
        let ours = by_name(&ours.in_force.task, &ours.output.values);
        let theirs = by_name(&theirs.in_force.task, &theirs.output.values);
        let mut sums = self.sums();
        if sums.against.is_some_and(|against| against != default) {
            *sums = Sums { due: sums.due, ..Sums::default() };
        }
        sums.against = Some(default);
        sums.pictures += 1;
        let pictures = sums.pictures as f64;
        let (mut named, mut largest, mut total, mut count) = (0.0, 0.0_f64, 0.0, 0.0);
        for (name, our) in ours {
            let Some(their) = theirs.get(name) else { continue };
            let distance = (our.x - their.x).hypot(our.y - their.y);
            let difference = sums.outputs.entry(name.to_owned()).or_default();
            difference.mean += (distance - difference.mean) / pictures;
            difference.max = difference.max.max(distance);
            difference.disagreements += u64::from(our.is_named != their.is_named);
            named += f64::from(u8::from(our.is_named != their.is_named));
            (largest, total, count) = (largest.max(distance), total + distance, count + 1.0);
        }
        if has_labels { named + largest } else { total / f64::max(count, 1.0) }
    }

    fn sums(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One output of one picture.
#[derive(Clone, Copy, Debug)]
struct Named {
    x: f64,
    /// 0 for what is not a point.
    y: f64,
    /// Whether an answer would name it.
    is_named: bool,
}

/// Outputs by name.
fn by_name<'a>(task: &'a Task, output: &[f32]) -> BTreeMap<&'a str, Named> {
    let named_or_not = |x: f32, is_named| Named { x: x.into(), y: 0.0, is_named };
    match task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => {
            let scored = labels.iter().zip(output).zip(named(task, output));
            scored.map(|((label, &x), is_named)| (label.name.as_str(), named_or_not(x, is_named))).collect()
        }
        Task::Points(points) => {
            let placed = points.names.iter().zip(output.as_chunks::<2>().0);
            placed.map(|(name, &[x, y])| (name.as_str(), Named { x: x.into(), y: y.into(), is_named: true })).collect()
        }
        Task::Values(values) => {
            values.names.iter().zip(output).map(|(name, &x)| (name.as_str(), named_or_not(x, true))).collect()
        }
    }
}

/// A picture that the default version has answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) input: Input,
    /// What came of it.
    pub(super) ours: Outcome,
}

/// Lets the shadow see a picture, if it is this picture's turn.
pub(super) fn show(pipeline: &Pipeline, default: &ServedModel, shadow: &Arc<ServedModel>, share: f64, seen: Seen) {
    let report = &shadow.shadow_report;
    if !report.is_due(share) {
        return;
    }
    let Seen { input, ours } = seen;
    let fits = match &input {
        Input::Encoded(_) => true,
        Input::Pixels(_) => default.manifest.input.resize == shadow.manifest.input.resize,
    };
    let place = shadow.queue.reserve_spare().ok().filter(|_| fits);
    let Some((place, (input, held))) = place.and_then(|place| Some((place, pipeline.on_trial.take(input)?))) else {
        report.sums().dropped += 1;
        return;
    };
    let pipeline = Pipeline { decoder: pipeline.decoder.in_background(), ..pipeline.clone() };
    // Not the default version itself, which may be unloaded meanwhile.
    let (default, shadow) = (default.version, Arc::clone(shadow));
    tokio::spawn(async move {
        let _held = held;
        let terms = Terms { priority: Priority::Low, ..Terms::default() };
        let outcome = tokio::select! {
            outcome = pipeline.run_placed(&shadow, place, input, terms) => outcome,
            () = pipeline.models.trial_is_over(&shadow) => return,
        };
        match outcome {
            Ok(theirs) if theirs.is_finite() => {
                let disagreement = shadow.shadow_report.compare(default, &ours, &theirs);
                if let (Some(recorder), Some(id)) = (&pipeline.recorder, ours.recorded) {
                    recorder.record_shadow(id, shadow.version, &theirs.output.values, disagreement);
                }
            }
            Ok(_) | Err(_) => shadow.shadow_report.sums().failed += 1,
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        picture::{Limits, PictureSize},
        serve::{
            copies::Copies,
            decode::Decoder,
            models::{Models, ShadowChoice},
            queue::Output,
        },
    };

    #[tokio::test]
    async fn a_version_that_is_promoted_has_no_pictures_of_its_trial_left() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::of_ages(folder.path(), 2);
        let trial = ShadowChoice { version: ModelVersion(1), share: 1.0 };
        models.set_shadow("ages".to_owned(), Some(trial)).await.unwrap();
        let default = models.find("ages", None).unwrap();
        let shadow = models.find("ages", Some(trial.version)).unwrap();
        // A worker that takes nothing from the queue.
        let _worker = shadow.queue.worker_end();
        let pipeline = Pipeline {
            models: Arc::clone(&models),
            decoder: Decoder::new(1, 1 << 20, Limits::default()),
            recorder: None,
            on_trial: Copies::default(),
        };
        let ours = Outcome {
            original: PictureSize { width: 1, height: 1 },
            decode: Duration::ZERO,
            waited: Duration::ZERO,
            output: Output { values: vec![1.0], batch_size: 1, waited: Duration::ZERO, inference: Duration::ZERO },
            in_force: default.thresholds.in_force(),
            recorded: None,
        };
        show(&pipeline, &default, &shadow, trial.share, Seen { input: Input::Pixels(vec![0; 3]), ours });
        assert!(shadow.queue.check().is_err(), "its one place is taken");
        models.promote("ages".to_owned(), Some(trial.version)).await.unwrap();
        let free = async {
            while shadow.queue.check().is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), free).await.expect("the picture keeps its place");
    }

    #[test]
    fn every_so_many_pictures_are_shown_as_the_share_says() {
        let report = Report::default();
        let shown = (0..1000).filter(|_| report.is_due(0.3)).count();
        assert!((299..=300).contains(&shown), "{shown}");
        assert!((0..10).all(|_| Report::default().is_due(1.0)));
    }
}
