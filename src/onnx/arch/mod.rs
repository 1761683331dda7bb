//! Architectures as ONNX graphs, with torchvision's parameter names so that its weights load by name.
//!
//! Input `image`: uint8 [N, H, W, 3], RGB. Output `logits`: float32 [N, classes]. The ImageNet normalisation is part
//! of the graph. Parameters have shapes but no values until [`super::weights`] fills them.

mod mobilenet;
mod resnet;

use serde::{Deserialize, Serialize};

use super::{
    GraphProto, TensorProto,
    builder::{GraphBuilder, int, ints},
    proto::DataType,
};
use crate::picture::PictureSize;

/// The mean of ImageNet's pixels / 255, by channel (torchvision's constants).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// The standard deviation of ImageNet's pixels / 255, by channel (torchvision's constants).
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Initializers whose names start so are constants of the graph, never trained and never loaded.
pub const PREPROCESS_PREFIX: &str = "preprocess.";
const MEAN: &str = "preprocess.mean";
const STD: &str = "preprocess.std";

/// What a graph subtracts from the pixels and divides them by, both in units of 255.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// The mean of each channel, R, G, B, 0…1.
    pub mean: [f32; 3],
    /// The standard deviation of each channel, R, G, B, 0…1 without 0.
    pub std: [f32; 3],
}

impl Default for Normalisation {
    /// ImageNet's, which nearly all published weights were trained with.
    fn default() -> Self {
        Self { mean: IMAGENET_MEAN, std: IMAGENET_STD }
    }
}

/// An architecture that we build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 18 layers of basic blocks.
    Resnet18,
    /// 34 layers of basic blocks.
    Resnet34,
    /// 50 layers of bottleneck blocks.
    Resnet50,
    /// 101 layers of bottleneck blocks.
    Resnet101,
    /// Inverted residuals, width 1.
    MobilenetV2,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 5] = [Self::Resnet18, Self::Resnet34, Self::Resnet50, Self::Resnet101, Self::MobilenetV2];

    /// Its name, torchvision's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet101 => "resnet101",
            Self::MobilenetV2 => "mobilenet_v2",
        }
    }

    /// The graph for pictures of this size, classifier included.
    pub fn build(self, size: PictureSize, classes: i64) -> GraphProto {
        let mut builder = GraphBuilder::default();
        let pixels = picture_input(&mut builder, size, &Normalisation::default());
        match self {
            Self::Resnet18 => resnet::build(&mut builder, &pixels, resnet::Block::Basic, [2, 2, 2, 2], classes),
            Self::Resnet34 => resnet::build(&mut builder, &pixels, resnet::Block::Basic, [3, 4, 6, 3], classes),
            Self::Resnet50 => resnet::build(&mut builder, &pixels, resnet::Block::Bottleneck, [3, 4, 6, 3], classes),
            Self::Resnet101 => resnet::build(&mut builder, &pixels, resnet::Block::Bottleneck, [3, 4, 23, 3], classes),
            Self::MobilenetV2 => mobilenet::build(&mut builder, &pixels, classes),
        }
        builder.output("logits", DataType::Float, &[-1, classes]);
        builder.finish(self.name())
    }
}

impl std::str::FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|arch| arch.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not an architecture: {names}")
        })
    }
}

/// The input `image`, uint8 [N, H, W, 3], normalised: float32 [N, 3, H, W], `(x − 255·mean) / (255·std)`.
pub(super) fn picture_input(builder: &mut GraphBuilder, size: PictureSize, normalisation: &Normalisation) -> String {
    builder.input("image", DataType::Uint8, &[-1, i64::from(size.height), i64::from(size.width), 3]);
    let mean = builder.constant(MEAN, &[1, 3, 1, 1], &normalisation.mean.map(|mean| 255.0 * mean));
    let std = builder.constant(STD, &[1, 3, 1, 1], &normalisation.std.map(|std| 255.0 * std));
    let float = builder.node("Cast", "preprocess.float", &["image"], vec![int("to", DataType::Float as i64)]);
    let planes = builder.node("Transpose", "preprocess.planes", &[&float], vec![ints("perm", &[0, 3, 1, 2])]);
    let centred = builder.node("Sub", "preprocess.centred", &[&planes, &mean], vec![]);
    builder.node("Div", "preprocess.normalised", &[&centred, &std], vec![])
}

/// Puts other constants into a graph that begins with `picture_input`.
pub fn set_normalisation(graph: &mut GraphProto, normalisation: &Normalisation) {
    for (name, values) in [(MEAN, normalisation.mean), (STD, normalisation.std)] {
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.name() == name) {
            *tensor = TensorProto::from_f32(name, &[1, 3, 1, 1], &values.map(|value| 255.0 * value));
        }
    }
}

/// What a graph that begins with `picture_input` normalises by; `None` where it begins otherwise.
pub fn normalisation_of(graph: &GraphProto) -> Option<Normalisation> {
    let channels = |name: &str| -> Option<[f32; 3]> {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name() == name)?;
        let values = <[f32; 3]>::try_from(tensor.to_f32().ok()?).ok()?;
        Some(values.map(|value| value / 255.0))
    };
    Some(Normalisation { mean: channels(MEAN)?, std: channels(STD)? })
}
