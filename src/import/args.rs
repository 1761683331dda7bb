//! The flags of `tagpoint import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    answer::Threshold,
    model::{Activation, Coordinates},
    onnx::wrap::{ChannelOrder, Layout},
    picture::{PictureSize, ResizeMethod},
};

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The ONNX file: float32 [N, 3, H, W] or [N, H, W, 3] in, logits, scores, points or values out.
    pub model: PathBuf,
    /// The model's folder, such as models/flowers; the version below it is the next free one.
    #[arg(long)]
    pub out: PathBuf,
    /// What the model answers.
    #[arg(long, value_enum)]
    pub task: TaskArg,
    /// The names of the labels, points or values, one on each line, in the order of the outputs.
    #[arg(long, alias = "labels", value_name = "FILE")]
    pub names: PathBuf,
    /// What makes scores of the output [default: softmax for single-label, sigmoid for multi-label].
    #[arg(long, value_enum)]
    pub activation: Option<ActivationArg>,
    /// Pixels a side, such as 224, or WIDTHxHEIGHT [default: the graph's own, where it is fixed].
    #[arg(long)]
    pub size: Option<PictureSize>,
    /// How a picture of another shape fits: `squish` or `pad` the whole of it, or `crop` its centre.
    #[arg(long, default_value = "squish")]
    pub method: ResizeMethod,
    /// Where the channels are: `nchw` or `nhwc` [default: told from the graph's input].
    #[arg(long, value_parser = parse_layout)]
    pub layout: Option<Layout>,
    /// The order of the channels that the graph takes; --mean and --std are in the same order.
    #[arg(long, value_parser = parse_order, default_value = "rgb")]
    pub channels: ChannelOrder,
    /// What is subtracted from R, G and B, in units of --pixel-range [default: ImageNet's].
    #[arg(long, value_parser = parse_channels, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// What R, G and B are then divided by, in units of --pixel-range [default: ImageNet's].
    #[arg(long, value_parser = parse_channels)]
    pub std: Option<[f32; 3]>,
    /// What white is, before mean and std: 1 or 255.
    #[arg(long, default_value_t = 1.0)]
    pub pixel_range: f32,
    /// Multi-label: the threshold of every label; `thresholds` fits better ones.
    #[arg(long)]
    pub threshold: Option<Threshold>,
    /// Points: what coordinates are in.
    #[arg(long, value_enum, default_value_t = CoordinatesArg::Frame)]
    pub coordinates: CoordinatesArg,
    /// The graph's input, where it has several.
    #[arg(long)]
    pub input: Option<String>,
    /// The graph's output, where it has several.
    #[arg(long)]
    pub output: Option<String>,
    /// Leave the file as it is and write manifest.json beside it, instead of rewriting it as one file.
    #[arg(long)]
    pub sidecar: bool,
}

/// What makes scores of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActivationArg {
    /// Each by itself.
    Sigmoid,
    /// All of a picture sum to 1.
    Softmax,
    /// The outputs are scores already.
    None,
}

/// What coordinates are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoordinatesArg {
    /// −1…1 from edge to edge.
    Frame,
    /// 0…1 from edge to edge.
    Unit,
    /// Pixels of the model's frame.
    Pixels,
}

/// What a model learns or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskArg {
    /// Any number of labels for each picture.
    MultiLabel,
    /// Exactly one label for each picture.
    SingleLabel,
    /// The places of named points.
    Points,
    /// One or more numbers.
    Values,
}

impl From<ActivationArg> for Activation {
    fn from(activation: ActivationArg) -> Self {
        match activation {
            ActivationArg::Sigmoid => Self::Sigmoid,
            ActivationArg::Softmax => Self::Softmax,
            ActivationArg::None => Self::None,
        }
    }
}

impl From<CoordinatesArg> for Coordinates {
    fn from(coordinates: CoordinatesArg) -> Self {
        match coordinates {
            CoordinatesArg::Frame => Self::Frame,
            CoordinatesArg::Unit => Self::Unit,
            CoordinatesArg::Pixels => Self::Pixels,
        }
    }
}

/// Three finite numbers, of R, G and B.
///
/// # Errors
/// Another number of them, or other text.
pub fn parse_channels(text: &str) -> Result<[f32; 3], String> {
    let values: Result<Vec<f32>, _> = text.split(',').map(|value| value.trim().parse()).collect();
    let channels = values.ok().and_then(|values| <[f32; 3]>::try_from(values).ok());
    channels
        .filter(|channels| channels.iter().all(|value| value.is_finite()))
        .ok_or_else(|| "give three numbers, of R, G and B, such as 0.485,0.456,0.406".to_owned())
}

fn parse_layout(text: &str) -> Result<Layout, String> {
    match text {
        "nchw" => Ok(Layout::First),
        "nhwc" => Ok(Layout::Last),
        _ => Err(format!("`{text}` is not nchw or nhwc")),
    }
}

fn parse_order(text: &str) -> Result<ChannelOrder, String> {
    match text {
        "rgb" => Ok(ChannelOrder::Rgb),
        "bgr" => Ok(ChannelOrder::Bgr),
        _ => Err(format!("`{text}` is not rgb or bgr")),
    }
}
