//! ResNet (He et al. 2015, arXiv:1512.03385), in torchvision's form: the stride of a bottleneck is in its 3 × 3 layer.

use crate::onnx::builder::{ConvShape, GraphBuilder, int, ints};

/// The kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3 × 3 convolutions.
    Basic,
    /// 1 × 1, 3 × 3, 1 × 1, with four times the width at its end.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// From normalised pixels to `logits`.
pub(super) fn build(builder: &mut GraphBuilder, pixels: &str, block: Block, blocks: [usize; 4], classes: i64) {
    let stem = conv_norm(builder, ("conv1", "bn1"), pixels, conv(3, 64, 7, 2));
    let stem = builder.node("Relu", "relu", &[&stem], vec![]);
    let window = vec![ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[1; 4])];
    let mut features = builder.node("MaxPool", "maxpool", &[&stem], window);
    let mut channels = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = 64 << stage;
        for index in 0..count {
            let name = format!("layer{}.{index}", stage + 1);
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            features = residual(builder, &name, &features, block, (channels, width, stride));
            channels = width * block.expansion();
        }
    }
    let pooled = builder.node("GlobalAveragePool", "avgpool", &[&features], vec![]);
    let flat = builder.node("Flatten", "flatten", &[&pooled], vec![int("axis", 1)]);
    let logits = builder.linear("fc", &flat, (channels, classes), true);
    builder.node("Identity", "logits", &[&logits], vec![]);
}

fn residual(
    builder: &mut GraphBuilder,
    name: &str,
    input: &str,
    block: Block,
    (channels, width, stride): (i64, i64, i64),
) -> String {
    let output = width * block.expansion();
    let layers = match block {
        Block::Basic => vec![conv(channels, width, 3, stride), conv(width, output, 3, 1)],
        Block::Bottleneck => {
            vec![conv(channels, width, 1, 1), conv(width, width, 3, stride), conv(width, output, 1, 1)]
        }
    };
    let last = layers.len();
    let mut branch = input.to_owned();
    for (i, shape) in (1..).zip(layers) {
        let names = (format!("{name}.conv{i}"), format!("{name}.bn{i}"));
        branch = conv_norm(builder, (&names.0, &names.1), &branch, shape);
        if i < last {
            branch = builder.node("Relu", &format!("{name}.relu{i}"), &[&branch], vec![]);
        }
    }
    let shortcut = if stride != 1 || channels != output {
        let names = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
        conv_norm(builder, (&names.0, &names.1), input, conv(channels, output, 1, stride))
    } else {
        input.to_owned()
    };
    let sum = builder.node("Add", &format!("{name}.add"), &[&branch, &shortcut], vec![]);
    builder.node("Relu", &format!("{name}.relu"), &[&sum], vec![])
}

fn conv(input: i64, output: i64, kernel: i64, stride: i64) -> ConvShape {
    ConvShape { input, output, kernel, stride, groups: 1 }
}

fn conv_norm(builder: &mut GraphBuilder, (conv, norm): (&str, &str), input: &str, shape: ConvShape) -> String {
    let features = builder.conv(conv, input, shape);
    builder.batch_norm(norm, &features, shape.output)
}
