//! The manifest: what a model's graph has no node for, as one versioned JSON document in the file's metadata.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, ScoreReference};
use crate::picture::ResizeRule;

/// The newest manifest version that this build reads: 2, which has [`Manifest::score_reference`]. A file is written as the
/// oldest version that has all that it says ([`Manifest::version_needed`]), so that older servers read what they can.
pub const SCHEMA_VERSION: u32 = 2;

/// Everything about a model that its graph has no node for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this document; files are written with [`Manifest::version_needed`].
    pub schema_version: u32,
    /// What the model answers.
    pub task: Task,
    /// The graph's input.
    pub input: InputSpec,
    /// The graph's output.
    pub output: OutputSpec,
    /// SHA-256 of the encoded graph (`ModelProto.graph`); a file whose graph differs is refused.
    pub graph_digest: Digest,
    /// Pictures and the outputs that they must give on every host.
    pub golden: Golden,
    /// Validation metrics by precision (`fp32`, …) and metric name: `METRIC` for the whole, `METRIC/NAME` for one label,
    /// point or value, and `METRIC@POINT/NAME` for a label at another operating point than the default one.
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// The validation scores, which live ones are held against. None for points and values, for models of version 1, and
    /// for models that `tagpoint-train` did not write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_reference: Option<ScoreReference>,
    /// Where the model comes from.
    pub provenance: Provenance,
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Any number of labels for each picture. Output `scores` [N, L], each in 0…1 on its own.
    MultiLabel {
        /// The labels, in the order of the output's columns.
        labels: Vec<Label>,
    },
    /// One label for each picture. Output `scores` [N, L], each row summing to 1.
    SingleLabel {
        /// The labels, in the order of the output's columns.
        labels: Vec<Label>,
    },
    /// The places of K named points. Output `points` [N, K, 2].
    Points(Points),
    /// K named numbers. Output `values` [N, K].
    Values(Values),
}

/// One label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Its name, as the data set writes it.
    pub name: String,
    /// Its thresholds by operating point, each in 0…1; `balanced` is the default one and always there.
    /// Empty for a single-label model, which always answers its best label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, f32>,
    /// Positive examples in the training split.
    pub train_count: u64,
    /// Positive examples in the validation split.
    pub valid_count: u64,
}

impl Label {
    /// The operating point that is used unless a request names another.
    pub const DEFAULT_OPERATING_POINT: &str = "balanced";

    /// The default threshold; .5 where the manifest has none.
    pub fn threshold(&self) -> f32 {
        self.threshold_at(Self::DEFAULT_OPERATING_POINT).unwrap_or(0.5)
    }

    /// The threshold at an operating point, if the manifest has one.
    pub fn threshold_at(&self, operating_point: &str) -> Option<f32> {
        self.thresholds.get(operating_point).copied()
    }
}

/// A keypoint model's points. A coordinate of −1 is the left or top edge of the model's input frame, 1 the right or bottom edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// The points' names, in the order of the output's second axis.
    pub names: Vec<String>,
    /// Pairs of indices into `names` that change places when a picture is mirrored left to right; no index is in two.
    #[serde(default)]
    pub flip_pairs: Vec<(usize, usize)>,
    /// The range that the outputs are confined to.
    pub y_range: YRange,
    /// The two points whose distance normalises the mean error (NME), as indices into `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nme_pair: Option<(usize, usize)>,
}

impl Points {
    /// The name of a point that is in two flip pairs: changing places twice is no mirror image.
    pub fn in_two_pairs(&self) -> Option<&str> {
        let mut seen = std::collections::BTreeSet::new();
        let twice = self.flip_pairs.iter().flat_map(|&(a, b)| [a, b]).find(|&point| !seen.insert(point))?;
        self.names.get(twice).map(String::as_str)
    }
}

/// A regression model's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The values' names, in the order of the output's columns.
    pub names: Vec<String>,
    /// One range for each value, one for all, or none.
    #[serde(default)]
    pub y_ranges: Vec<YRange>,
}

/// An open interval that a sigmoid confines an output to: `sigmoid(x)·(high − low) + low`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YRange {
    /// The lower end.
    pub low: f32,
    /// The upper end; above `low`.
    pub high: f32,
}

/// The graph's input: uint8 [N, H, W, 3], RGB, 0…255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// The input's name in the graph.
    pub name: String,
    /// How a picture becomes the input's H × W pixels.
    pub resize: ResizeRule,
}

/// The graph's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// The output's name in the graph: `scores`, `points` or `values` in our own models.
    pub name: String,
}

/// Golden samples with the tolerance that each execution must meet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The samples.
    pub samples: Vec<GoldenSample>,
}

/// A tiny encoded picture and the model's whole output for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSample {
    /// The picture's encoded bytes (PNG or JPEG), in base64.
    pub picture: String,
    /// The output's elements for this picture, in row-major order.
    pub output: Vec<f32>,
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The architecture's name, such as `mobilenet_v2`.
    pub architecture: String,
    /// SHA-256 of the weight file that training started from; none for random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_weights: Option<Digest>,
    /// SHA-256 over the data set's rows: file names, targets, split and file contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Digest>,
    /// Pictures in the training split.
    pub train_pictures: u64,
    /// Pictures in the validation split.
    pub valid_pictures: u64,
    /// The settings of the run, as `tagpoint-train` took them.
    pub settings: serde_json::Value,
    /// `tagpoint-train` and its version.
    pub tool: String,
    /// When the model was written, in RFC 3339, UTC.
    pub created: String,
}

impl Task {
    /// The number of output elements for each picture.
    pub fn output_len(&self) -> usize {
        match self {
            Self::MultiLabel { labels } | Self::SingleLabel { labels } => labels.len(),
            Self::Points(points) => 2 * points.names.len(),
            Self::Values(values) => values.names.len(),
        }
    }

    /// The labels, in the order of the output's columns; empty for points and values.
    pub fn labels(&self) -> &[Label] {
        match self {
            Self::MultiLabel { labels } | Self::SingleLabel { labels } => labels,
            Self::Points(_) | Self::Values(_) => &[],
        }
    }

    /// The names of labels, points or values, in the order of the outputs.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::MultiLabel { labels } | Self::SingleLabel { labels } => {
                labels.iter().map(|label| label.name.as_str()).collect()
            }
            Self::Points(points) => points.names.iter().map(String::as_str).collect(),
            Self::Values(values) => values.names.iter().map(String::as_str).collect(),
        }
    }

    /// The name of the graph's output in our own models.
    pub fn output_name(&self) -> &'static str {
        match self {
            Self::MultiLabel { .. } | Self::SingleLabel { .. } => "scores",
            Self::Points(_) => "points",
            Self::Values(_) => "values",
        }
    }

    /// The task's name in settings, answers and documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MultiLabel { .. } => "multi_label",
            Self::SingleLabel { .. } => "single_label",
            Self::Points(_) => "points",
            Self::Values(_) => "values",
        }
    }
}

impl Manifest {
    /// The oldest version that has all that this manifest says.
    pub fn version_needed(&self) -> u32 {
        if self.score_reference.is_some() { 2 } else { 1 }
    }

    /// Checks what the types alone cannot: versions, names, ranges and counts.
    ///
    /// # Errors
    /// Every mistake, joined into one sentence each.
    pub fn validate(&self) -> Result<(), String> {
        let mut mistakes = self.mistakes();
        if self.golden.samples.is_empty() {
            mistakes.push("there is no golden sample".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
    }

    /// As [`Manifest::validate`], but there may be no golden sample: somebody else's file may have none.
    pub(super) fn validate_but_golden(&self) -> Result<(), String> {
        let mistakes = self.mistakes();
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
    }

    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.schema_version == 0 || self.schema_version > SCHEMA_VERSION {
            mistakes.push(wrong_version(self.schema_version));
        }
        match &self.task {
            Task::MultiLabel { labels } | Task::SingleLabel { labels } => check_labels(labels, &mut mistakes),
            Task::Points(points) => check_points(points, &mut mistakes),
            Task::Values(values) => {
                mistakes.extend(name_mistakes("value", &values.names));
                if !matches!(values.y_ranges.len(), 0 | 1) && values.y_ranges.len() != values.names.len() {
                    mistakes.push(format!("{} y_ranges for {} values", values.y_ranges.len(), values.names.len()));
                }
                values.y_ranges.iter().for_each(|range| check_range(range, &mut mistakes));
            }
        }
        if let Some(reference) = &self.score_reference {
            mistakes.extend(reference.mistakes(self.task.labels().len()));
        }
        let size = self.input.resize.size;
        if size.width == 0 || size.height == 0 || size.width > 4096 || size.height > 4096 {
            mistakes.push(format!("input size {}x{} is not within 1 to 4096", size.width, size.height));
        }
        for (i, sample) in self.golden.samples.iter().enumerate() {
            if sample.output.len() != self.task.output_len() {
                mistakes.push(format!(
                    "golden sample {i} has {} outputs, the task has {}",
                    sample.output.len(),
                    self.task.output_len()
                ));
            }
        }
        mistakes
    }
}

/// What is said of a version that this build does not read.
pub(super) fn wrong_version(version: u32) -> String {
    format!("schema_version is {version}, this build reads 1 to {SCHEMA_VERSION}: use a newer tagpoint")
}

fn check_labels(labels: &[Label], mistakes: &mut Vec<String>) {
    mistakes.extend(name_mistakes("label", labels.iter().map(|label| &label.name)));
    for label in labels {
        for (point, threshold) in &label.thresholds {
            if !(0.0..=1.0).contains(threshold) {
                mistakes.push(format!("threshold {threshold} ({point}) of label {:?} is not in 0…1", label.name));
            }
        }
    }
}

fn check_points(points: &Points, mistakes: &mut Vec<String>) {
    mistakes.extend(name_mistakes("point", &points.names));
    check_range(&points.y_range, mistakes);
    for &(left, right) in points.flip_pairs.iter().chain(&points.nme_pair) {
        if left == right || left.max(right) >= points.names.len() {
            mistakes.push(format!("pair ({left}, {right}) does not name two of {} points", points.names.len()));
        }
    }
    mistakes.extend(points.in_two_pairs().map(|name| format!("point {name:?} is in two flip_pairs")));
}

/// What is wrong with the names of a model's labels, points or values, of which each is one `what`.
pub fn name_mistakes<'a>(what: &str, names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if name.is_empty() {
            mistakes.push(format!("a {what} has an empty name"));
        }
        if !seen.insert(name) {
            mistakes.push(format!("{what} {name:?} is there twice"));
        }
    }
    if seen.is_empty() {
        mistakes.push(format!("there is no {what}"));
    }
    mistakes
}

fn check_range(range: &YRange, mistakes: &mut Vec<String>) {
    if !(range.low.is_finite() && range.high.is_finite() && range.low < range.high) {
        mistakes.push(format!("y_range {}…{} is not a range", range.low, range.high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_changes_places_with_one_other_at_most() {
        let mistakes = |flip_pairs: &[(usize, usize)]| {
            let names = ["left", "right", "nose"].map(str::to_owned).to_vec();
            let y_range = YRange { low: -1.0, high: 1.0 };
            let mut mistakes = Vec::new();
            check_points(&Points { names, flip_pairs: flip_pairs.to_vec(), y_range, nme_pair: None }, &mut mistakes);
            mistakes
        };
        assert!(mistakes(&[(0, 1)]).is_empty());
        for twice in [[(0, 1), (0, 1)], [(0, 1), (1, 0)], [(0, 1), (2, 1)]] {
            assert!(mistakes(&twice)[0].contains("is in two flip_pairs"), "{twice:?}");
        }
    }
}
