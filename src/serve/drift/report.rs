//! What is said of a version's drift, to people and to Prometheus.

use serde::Serialize;
use utoipa::ToSchema;

use super::CountedLabel;
use crate::{
    drift::{by_chance, stability_index},
    model::{LabelScores, Manifest},
    serve::models::ServedModel,
};

/// Live pictures from which on an index is given: of fewer, chance alone makes it large.
pub(in crate::serve) const LEAST: u64 = 100;

/// How far a version's live scores lie from those of validation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::serve) struct DriftReport {
    /// The model.
    #[schema(example = "scenes")]
    model: String,
    /// Its version.
    #[schema(example = "1")]
    version: String,
    /// Whether live scores were compared with validation's.
    state: DriftState,
    /// Why they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "42 pictures were answered in this time: an index of fewer than 100 says little")]
    reason: Option<String>,
    /// Whole hours that the live pictures are from, besides the hour that runs.
    #[schema(example = 24)]
    hours: u64,
    /// Pictures that this server has answered in this time, over every interface.
    #[schema(example = 1042)]
    pub(in crate::serve) pictures: u64,
    /// Validation pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 293)]
    validation_pictures: Option<u64>,
    /// Each label, in the model's order; none for a model of points or values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::serve) labels: Vec<LabelDrift>,
}

/// Whether there is a comparison. `too_few_pictures`: wait for more; `no_reference`: the model file does not say how scores
/// were distributed in validation; `no_labels`: the model answers points or values, which have no scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum DriftState {
    Compared,
    TooFewPictures,
    NoReference,
    NoLabels,
}

/// One label.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::serve) struct LabelDrift {
    /// The label.
    #[schema(example = "cat")]
    pub(in crate::serve) label: String,
    /// The population stability index: 0 where live scores are distributed as those of validation were; by a rule of thumb,
    /// below 0.1 nothing has changed, and above 0.25 much.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.031)]
    pub(in crate::serve) psi: Option<f64>,
    /// What sampling alone exceeds once in a hundred times, with as many pictures: a `psi` below it may be chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.095)]
    pub(in crate::serve) psi_by_chance: Option<f64>,
    /// The share of live pictures that the label was named for, at the model file's own threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.23)]
    pub(in crate::serve) live_rate: Option<f64>,
    /// The same share of validation pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.19)]
    pub(in crate::serve) validation_rate: Option<f64>,
    /// The distributions, from low scores to high ones.
    bins: Vec<BinShares>,
}

/// The pictures whose score lies above the bin before and not above this one's end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
struct BinShares {
    /// Where the bin ends.
    #[schema(example = 0.02)]
    upper: f32,
    /// Its share of live pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.11)]
    live: Option<f64>,
    /// Its share of validation pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.1)]
    validation: Option<f64>,
}

/// A version's drift within so many hours.
pub(in crate::serve) fn report(model: &ServedModel, hours: u64) -> DriftReport {
    let manifest = &model.manifest;
    let counted = model.live_scores.counted(hours);
    let (state, reason) = state(manifest, counted.pictures);
    let reference = manifest.score_reference.as_ref();
    let pictures = Pictures { live: counted.pictures, validation: reference.map(|reference| reference.pictures) };
    let labels = manifest.task.labels().iter().zip(&counted.labels).enumerate().map(|(place, (label, live))| {
        let validation = reference.and_then(|reference| reference.labels.get(place));
        let edges = model.live_scores.edges(place);
        Compared { edges, live, validation, pictures }.named(label.name.clone())
    });
    DriftReport {
        model: model.name.clone(),
        version: model.version.to_string(),
        state,
        reason,
        hours,
        pictures: pictures.live,
        validation_pictures: pictures.validation,
        labels: labels.collect(),
    }
}

/// Pictures of either side.
#[derive(Clone, Copy)]
struct Pictures {
    live: u64,
    /// None without a reference.
    validation: Option<u64>,
}

fn state(manifest: &Manifest, pictures: u64) -> (DriftState, Option<String>) {
    let task = &manifest.task;
    if task.labels().is_empty() {
        let kind = task.kind();
        return (
            DriftState::NoLabels,
            Some(format!("drift is told by the scores of labels; this model answers {kind}")),
        );
    }
    if manifest.score_reference.is_none() {
        let reason = "the model file does not say how scores were distributed in validation; tagpoint-train writes that \
                      into the models that it trains, and `tagpoint-train thresholds` into the next version of an older one";
        return (DriftState::NoReference, Some(reason.to_owned()));
    }
    if pictures < LEAST {
        let reason =
            format!("{pictures} pictures were answered in this time: an index of fewer than {LEAST} says little");
        return (DriftState::TooFewPictures, Some(reason));
    }
    (DriftState::Compared, None)
}

/// One label's scores of either side.
struct Compared<'a> {
    /// Where its bins end.
    edges: &'a [f32],
    live: &'a CountedLabel,
    validation: Option<&'a LabelScores>,
    pictures: Pictures,
}

impl Compared<'_> {
    fn named(&self, label: String) -> LabelDrift {
        let Self { edges, live, validation, pictures } = *self;
        let compared = validation.filter(|_| pictures.live >= LEAST);
        let upper = edges.iter().copied().chain(std::iter::once(1.0));
        let bins = upper.zip(&live.bins).enumerate().map(|(bin, (upper, &count))| BinShares {
            upper,
            live: share(count, pictures.live),
            validation: validation.and_then(|scores| share(*scores.counts.get(bin)?, pictures.validation?)),
        });
        LabelDrift {
            label,
            psi: compared.map(|scores| stability_index(&scores.counts, &live.bins)),
            psi_by_chance: compared.and_then(|_| by_chance(live.bins.len(), pictures.validation?, pictures.live)),
            live_rate: share(live.named, pictures.live),
            validation_rate: validation.and_then(|scores| share(scores.named, pictures.validation?)),
            bins: bins.collect(),
        }
    }
}

/// None of none. Numbers are read while pictures are counted, so a part may be a moment ahead of the whole.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
}
