//! MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), width 1, in torchvision's form.

use crate::onnx::builder::{ConvShape, GraphBuilder, int};

/// Expansion, output channels, blocks and first stride of each stage (table 2 of the paper).
const STAGES: [(i64, i64, usize, i64); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];
/// Channels of the last convolution.
const LAST_CHANNELS: i64 = 1280;

/// From normalised pixels to `logits`.
pub(super) fn build(builder: &mut GraphBuilder, pixels: &str, classes: i64) {
    builder.constant("relu6.low", &[], &[0.0]);
    builder.constant("relu6.high", &[], &[6.0]);
    let stem = ConvShape { input: 3, output: 32, kernel: 3, stride: 2, groups: 1 };
    let mut features = conv_norm_relu6(builder, "features.0", pixels, stem);
    let mut channels = 32;
    let mut index = 1;
    for (expansion, output, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let name = format!("features.{index}");
            features = inverted_residual(builder, &name, &features, Residual { channels, expansion, output, stride });
            channels = output;
            index += 1;
        }
    }
    let last = ConvShape { input: channels, output: LAST_CHANNELS, kernel: 1, stride: 1, groups: 1 };
    let features = conv_norm_relu6(builder, &format!("features.{index}"), &features, last);
    let pooled = builder.node("GlobalAveragePool", "avgpool", &[&features], vec![]);
    let flat = builder.node("Flatten", "flatten", &[&pooled], vec![int("axis", 1)]);
    let ratio = builder.constant("classifier.0.ratio", &[], &[0.2]);
    let kept = builder.node("Dropout", "classifier.0", &[&flat, &ratio], vec![]);
    let logits = builder.linear("classifier.1", &kept, (LAST_CHANNELS, classes), true);
    builder.node("Identity", "logits", &[&logits], vec![]);
}

/// The shape of one inverted residual block.
struct Residual {
    channels: i64,
    expansion: i64,
    output: i64,
    stride: i64,
}

fn inverted_residual(builder: &mut GraphBuilder, name: &str, input: &str, block: Residual) -> String {
    let Residual { channels, expansion, output, stride } = block;
    let hidden = channels * expansion;
    let mut features = input.to_owned();
    let mut layer = 0;
    if expansion != 1 {
        let expand = ConvShape { input: channels, output: hidden, kernel: 1, stride: 1, groups: 1 };
        features = conv_norm_relu6(builder, &format!("{name}.conv.{layer}"), &features, expand);
        layer += 1;
    }
    let depthwise = ConvShape { input: hidden, output: hidden, kernel: 3, stride, groups: hidden };
    features = conv_norm_relu6(builder, &format!("{name}.conv.{layer}"), &features, depthwise);
    let project = ConvShape { input: hidden, output, kernel: 1, stride: 1, groups: 1 };
    features = builder.conv(&format!("{name}.conv.{}", layer + 1), &features, project);
    features = builder.batch_norm(&format!("{name}.conv.{}", layer + 2), &features, output);
    if stride == 1 && channels == output {
        features = builder.node("Add", &format!("{name}.add"), &[input, &features], vec![]);
    }
    features
}

/// `<name>.0` convolution, `<name>.1` batch norm, `<name>.2` ReLU6.
fn conv_norm_relu6(builder: &mut GraphBuilder, name: &str, input: &str, shape: ConvShape) -> String {
    let features = builder.conv(&format!("{name}.0"), input, shape);
    let features = builder.batch_norm(&format!("{name}.1"), &features, shape.output);
    builder.node("Clip", &format!("{name}.2"), &[&features, "relu6.low", "relu6.high"], vec![])
}
