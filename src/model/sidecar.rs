//! `manifest.json`: what is said beside somebody else's ONNX file, which says nothing of it itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Digest, Golden, InputSpec, Label, Manifest, OutputSpec, Points, Provenance, SCHEMA_VERSION, Task, Values, YRange,
};
use crate::{
    onnx::wrap::{ChannelOrder, Finish, Layout, Wrapping},
    picture::ResizeRule,
};

/// The version of the document that this build writes and reads. It is not the manifest's.
pub const SIDECAR_VERSION: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// [`SIDECAR_VERSION`].
    pub schema_version: u32,
    /// What the model answers.
    pub task: SidecarTask,
    /// What the graph takes.
    pub input: SidecarInput,
    /// What the graph gives.
    #[serde(default)]
    pub output: SidecarOutput,
    /// Pictures and the outputs that the model must give for them; without any nothing is checked.
    #[serde(default)]
    pub golden: Golden,
    /// Metrics as their author found them, by precision and name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// Where the model comes from.
    #[serde(default)]
    pub source: SidecarSource,
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SidecarTask {
    /// Any number of labels for each picture.
    MultiLabel {
        /// In the order of the outputs.
        labels: Vec<SidecarLabel>,
    },
    /// One label for each picture.
    SingleLabel {
        /// In the order of the outputs.
        labels: Vec<SidecarLabel>,
    },
    /// The places of points, x before y.
    Points {
        /// In the order of the outputs.
        names: Vec<String>,
        /// What their coordinates are in.
        #[serde(default)]
        coordinates: Coordinates,
        /// As [`Points::flip_pairs`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flip_pairs: Vec<(usize, usize)>,
    },
    /// Numbers.
    Values {
        /// In the order of the outputs.
        names: Vec<String>,
    },
}

/// A label: its name alone, or with thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a label is a name, or an object of name and thresholds")]
pub enum SidecarLabel {
    /// Its name; the threshold is .5.
    Name(String),
    /// Its name and its thresholds by operating point, `balanced` among them.
    WithThresholds {
        /// Its name.
        name: String,
        /// Each in 0…1.
        thresholds: BTreeMap<String, f32>,
    },
}

/// What the graph takes: float32 pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SidecarInput {
    /// The input's name; the only one where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the channels are; told from the graph's shape where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The order of the channels.
    #[serde(default)]
    pub channels: ChannelOrder,
    /// How a picture becomes the input's H × W pixels.
    pub resize: ResizeRule,
    /// What white is before mean and deviation: 1 or 255.
    #[serde(default = "one")]
    pub pixel_range: f32,
    /// What is subtracted from each channel, in the graph's order of channels.
    pub mean: [f32; 3],
    /// What each channel is then divided by.
    pub std: [f32; 3],
}

/// What the graph gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SidecarOutput {
    /// The output's name; the only one where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What makes scores of the output; for labels it has to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
}

/// What makes scores of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Each by itself.
    Sigmoid,
    /// All of a picture sum to 1.
    Softmax,
    /// The outputs are scores already.
    None,
}

/// What coordinates are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// −1…1 from edge to edge.
    #[default]
    Frame,
    /// 0…1 from edge to edge.
    Unit,
    /// Pixels of the model's frame.
    Pixels,
}

/// Where the model comes from, for the record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SidecarSource {
    /// What it is, such as `torchvision resnet50`.
    pub name: String,
    /// SHA-256 of the file that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The program that wrote this document.
    pub tool: String,
    /// When it was written, in RFC 3339.
    pub created: String,
}

fn one() -> f32 {
    1.0
}

impl Sidecar {
    /// The manifest of the model once its ends are rewritten.
    ///
    /// # Errors
    /// A document of a later version, or one that contradicts itself.
    pub fn manifest(&self) -> Result<Manifest, String> {
        if self.schema_version != SIDECAR_VERSION {
            return Err(format!("schema_version is {}, this build reads {SIDECAR_VERSION}", self.schema_version));
        }
        let task = self.task();
        Ok(Manifest {
            schema_version: SCHEMA_VERSION,
            input: InputSpec { name: "image".to_owned(), resize: self.input.resize },
            output: OutputSpec { name: task.output_name().to_owned() },
            task,
            // Sealing sets the graph's.
            graph_digest: Digest::of(&[]),
            golden: self.golden.clone(),
            metrics: self.metrics.clone(),
            score_reference: None,
            provenance: Provenance {
                architecture: self.source.name.clone(),
                base_weights: self.source.digest,
                settings: serde_json::json!({ "input": self.input, "output": self.output }),
                tool: self.source.tool.clone(),
                created: self.source.created.clone(),
                ..Provenance::default()
            },
        })
    }

    fn task(&self) -> Task {
        match &self.task {
            SidecarTask::MultiLabel { labels } => {
                Task::MultiLabel { labels: labels.iter().map(|label| label.label(true)).collect() }
            }
            SidecarTask::SingleLabel { labels } => {
                Task::SingleLabel { labels: labels.iter().map(|label| label.label(false)).collect() }
            }
            SidecarTask::Points { names, flip_pairs, .. } => Task::Points(Points {
                names: names.clone(),
                flip_pairs: flip_pairs.clone(),
                y_range: YRange { low: -1.0, high: 1.0 },
                nme_pair: None,
            }),
            SidecarTask::Values { names } => Task::Values(Values { names: names.clone(), y_ranges: Vec::new() }),
        }
    }

    /// How the graph's ends are rewritten.
    ///
    /// # Errors
    /// Numbers or an activation that do not fit.
    pub fn wrapping(&self) -> Result<Wrapping<'_>, String> {
        let input = &self.input;
        let unit = 255.0 / input.pixel_range;
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !(input.pixel_range > 0.0 && unit.is_finite()) {
            return Err(format!("pixel_range is {}, it has to be above 0, such as 1 or 255", input.pixel_range));
        }
        let (mean, deviation) = (input.mean.map(|value| unit * value), input.std.map(|value| unit * value));
        if !finite(&mean) || !finite(&deviation) || deviation.iter().any(|value| *value <= 0.0) {
            return Err("mean has to be of finite numbers, and std of finite numbers above 0".into());
        }
        Ok(Wrapping {
            input: input.name.as_deref(),
            output: self.output.name.as_deref(),
            layout: input.layout,
            channels: input.channels,
            size: Some(input.resize.size),
            mean,
            deviation,
            finish: self.finish()?,
            outputs: self.task().output_len() as i64,
        })
    }

    fn finish(&self) -> Result<Finish, String> {
        let size = self.input.resize.size;
        Ok(match (&self.task, self.output.activation) {
            (SidecarTask::SingleLabel { .. }, Some(Activation::Softmax)) => Finish::Softmax,
            (SidecarTask::MultiLabel { .. }, Some(Activation::Sigmoid)) => Finish::Sigmoid,
            (SidecarTask::SingleLabel { .. } | SidecarTask::MultiLabel { .. }, Some(Activation::None)) => {
                Finish::Scores
            }
            (SidecarTask::SingleLabel { .. }, Some(_)) => {
                return Err("the scores of a single-label model sum to 1: that is a softmax".into());
            }
            (SidecarTask::MultiLabel { .. }, Some(_)) => {
                return Err("the scores of a multi-label model do not sum to 1: that is a sigmoid".into());
            }
            (SidecarTask::SingleLabel { .. } | SidecarTask::MultiLabel { .. }, None) => {
                return Err("output.activation has to say what makes scores: sigmoid, softmax or none".into());
            }
            (_, Some(Activation::Sigmoid | Activation::Softmax)) => return Err("an activation is for labels".into()),
            (SidecarTask::Values { .. }, _) => Finish::Values,
            (SidecarTask::Points { coordinates, .. }, _) => match coordinates {
                Coordinates::Frame => Finish::Points { scale: [1.0; 2], shift: [0.0; 2] },
                Coordinates::Unit => Finish::Points { scale: [2.0; 2], shift: [-1.0; 2] },
                Coordinates::Pixels => {
                    Finish::Points { scale: [2.0 / size.width as f32, 2.0 / size.height as f32], shift: [-1.0; 2] }
                }
            },
        })
    }
}

impl SidecarLabel {
    /// Only labels that are answered by their thresholds have any.
    fn label(&self, with_threshold: bool) -> Label {
        let (name, thresholds) = match self {
            Self::Name(name) if with_threshold => (name, [(Label::DEFAULT_OPERATING_POINT.to_owned(), 0.5)].into()),
            Self::Name(name) => (name, BTreeMap::new()),
            Self::WithThresholds { name, thresholds } => (name, thresholds.clone()),
        };
        Label { name: name.clone(), thresholds, train_count: 0, valid_count: 0 }
    }
}
