//! Architectures as ONNX graphs, with torchvision's parameter names so that its weights load by name.
//!
//! Input `image`: uint8 [N, H, W, 3], RGB. Output `logits`: float32 [N, classes]. The ImageNet normalisation is part
//! of the graph. Parameters have shapes but no values until [`super::weights`] fills them.

mod mobilenet;
mod resnet;

use super::{
    GraphProto,
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
        builder.input("image", DataType::Uint8, &[-1, i64::from(size.height), i64::from(size.width), 3]);
        let pixels = normalise(&mut builder);
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

/// uint8 [N, H, W, 3] → float32 [N, 3, H, W], ImageNet-normalised: `(x − 255·mean) / (255·std)`.
fn normalise(builder: &mut GraphBuilder) -> String {
    let mean = builder.constant("preprocess.mean", &[1, 3, 1, 1], &IMAGENET_MEAN.map(|mean| 255.0 * mean));
    let std = builder.constant("preprocess.std", &[1, 3, 1, 1], &IMAGENET_STD.map(|std| 255.0 * std));
    let float = builder.node("Cast", "preprocess.float", &["image"], vec![int("to", DataType::Float as i64)]);
    let planes = builder.node("Transpose", "preprocess.planes", &[&float], vec![ints("perm", &[0, 3, 1, 2])]);
    let centred = builder.node("Sub", "preprocess.centred", &[&planes, &mean], vec![]);
    builder.node("Div", "preprocess.normalised", &[&centred, &std], vec![])
}
