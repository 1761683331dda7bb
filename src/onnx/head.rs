//! Replacing a graph's classifier by fastai's head.

use super::{
    GraphProto, OnnxError,
    builder::{GraphBuilder, int, prune},
    cut::{Cut, find_cut},
    proto::DataType,
};
use crate::model::{Task, YRange};

/// The logits of the head, before any sigmoid or softmax: [N, outputs].
pub const LOGITS: &str = "logits";
/// Parameters whose names start so belong to the head.
pub const HEAD_PREFIX: &str = "head.";
/// Initializers whose names start so are constants that confine outputs to a range.
pub const Y_RANGE_PREFIX: &str = "y_range.";
/// The initializer with the mean of each value that has no range.
pub const MEANS: &str = "y_range.mean";
/// The initializer with the deviation of each value that has no range.
pub const DEVIATIONS: &str = "y_range.deviation";
/// The head's first layer.
const FIRST: &str = "head.norm1";
/// Width of the head's hidden layer (fastai's `lin_ftrs`).
const HIDDEN: i64 = 512;

/// Settings of the head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadSettings<'a> {
    /// Dropout before the last layer; half of it before the first one (fastai's `ps`).
    pub dropout: f32,
    /// How values without a range are scaled, one for each; unused for other tasks.
    pub standards: &'a [Standard],
}

impl Default for HeadSettings<'_> {
    fn default() -> Self {
        Self { dropout: 0.5, standards: &[] }
    }
}

/// Where a value lies and how far it spreads: the network's output 0 is the mean, 1 is one deviation above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standard {
    /// The mean.
    pub mean: f32,
    /// The standard deviation, above 0.
    pub deviation: f32,
}

/// Replaces the classifier by fastai's head for `task`; what only the classifier needed is removed.
///
/// [max pool, average pool] → flatten → batch norm → dropout → linear 512 → ReLU → batch norm → dropout → linear
/// (`create_head` of fastai 2.8). The new parameters have no values yet.
///
/// # Errors
/// As [`find_cut`].
pub fn replace_classifier(graph: GraphProto, task: &Task, settings: HeadSettings<'_>) -> Result<GraphProto, OnnxError> {
    let cut = find_cut(&graph)?;
    let name = graph.name().to_owned();
    let mut builder = GraphBuilder::extend(without_output(graph));
    let (features, channels) = pool(&mut builder, &cut);
    let x = builder.batch_norm(FIRST, &features, channels);
    let x = dropout(&mut builder, "head.dropout1", &x, settings.dropout / 2.0);
    let x = builder.linear("head.linear1", &x, (channels, HIDDEN), false);
    let x = builder.node("Relu", "head.relu", &[&x], vec![]);
    let x = builder.batch_norm("head.norm2", &x, HIDDEN);
    let x = dropout(&mut builder, "head.dropout2", &x, settings.dropout);
    let outputs = task.output_len() as i64;
    let x = builder.linear("head.linear2", &x, (HIDDEN, outputs), false);
    builder.node("Identity", LOGITS, &[&x], vec![]);
    finish(&mut builder, task, outputs, settings.standards);
    let mut graph = builder.finish(&name);
    prune(&mut graph);
    Ok(graph)
}

/// The tensor that the head takes from the body, pooled and flat: [N, elements]; `None` where there is no head.
pub fn features_of(graph: &GraphProto) -> Option<&str> {
    let first = graph.node.iter().find(|node| node.output.first().is_some_and(|output| output == FIRST))?;
    first.input.first().map(String::as_str)
}

/// How a graph's values are scaled, one for each; `None` where they are confined to ranges, or are no values.
pub fn standards_of(graph: &GraphProto) -> Option<Vec<Standard>> {
    let numbers = |name| graph.initializer.iter().find(|tensor| tensor.name() == name)?.to_f32().ok();
    let pairs = numbers(MEANS)?.into_iter().zip(numbers(DEVIATIONS)?);
    Some(pairs.map(|(mean, deviation)| Standard { mean, deviation }).collect())
}

/// The outputs of the old classifier go; a tensor that would clash with the new `logits` is dead and goes with them.
fn without_output(mut graph: GraphProto) -> GraphProto {
    graph.output.clear();
    graph.node.retain(|node| !node.output.iter().any(|output| output == LOGITS));
    graph
}

/// Concatenated maximum and average pooling, maximum first (fastai's `AdaptiveConcatPool2d`), flattened.
fn pool(builder: &mut GraphBuilder, cut: &Cut) -> (String, i64) {
    if !cut.pools {
        return (cut.features.clone(), cut.channels);
    }
    let max = builder.node("GlobalMaxPool", "head.max_pool", &[&cut.features], vec![]);
    let average = builder.node("GlobalAveragePool", "head.average_pool", &[&cut.features], vec![]);
    let both = builder.node("Concat", "head.pooled", &[&max, &average], vec![int("axis", 1)]);
    (builder.node("Flatten", "head.flat", &[&both], vec![int("axis", 1)]), 2 * cut.channels)
}

fn dropout(builder: &mut GraphBuilder, name: &str, input: &str, ratio: f32) -> String {
    let ratio = builder.constant(&format!("{name}.ratio"), &[], &[ratio]);
    builder.node("Dropout", name, &[input, &ratio], vec![])
}

/// From logits to the task's output.
fn finish(builder: &mut GraphBuilder, task: &Task, outputs: i64, standards: &[Standard]) {
    match task {
        Task::MultiLabel { .. } => {
            builder.node("Sigmoid", task.output_name(), &[LOGITS], vec![]);
            builder.output(task.output_name(), DataType::Float, &[-1, outputs]);
        }
        Task::SingleLabel { .. } => {
            builder.node("Softmax", task.output_name(), &[LOGITS], vec![int("axis", 1)]);
            builder.output(task.output_name(), DataType::Float, &[-1, outputs]);
        }
        Task::Points(points) => {
            let flat = confine(builder, "y_range.flat", &[points.y_range]);
            let shape = builder.int_constant("y_range.shape", &[3], &[-1, outputs / 2, 2]);
            builder.node("Reshape", task.output_name(), &[&flat, &shape], vec![]);
            builder.output(task.output_name(), DataType::Float, &[-1, outputs / 2, 2]);
        }
        Task::Values(values) => {
            if values.y_ranges.is_empty() {
                spread(builder, task.output_name(), standards);
            } else {
                confine(builder, task.output_name(), &values.y_ranges);
            }
            builder.output(task.output_name(), DataType::Float, &[-1, outputs]);
        }
    }
}

/// `sigmoid(x)·(high − low) + low` (fastai's `sigmoid_range`), with one range for all outputs or one for each.
fn confine(builder: &mut GraphBuilder, name: &str, ranges: &[YRange]) -> String {
    let dims = [1, ranges.len() as i64];
    let widths: Vec<f32> = ranges.iter().map(|range| range.high - range.low).collect();
    let lows: Vec<f32> = ranges.iter().map(|range| range.low).collect();
    let width = builder.constant("y_range.width", &dims, &widths);
    let low = builder.constant("y_range.low", &dims, &lows);
    let sigmoid = builder.node("Sigmoid", "y_range.sigmoid", &[LOGITS], vec![]);
    let scaled = builder.node("Mul", "y_range.scaled", &[&sigmoid, &width], vec![]);
    builder.node("Add", name, &[&scaled, &low], vec![])
}

/// `x·deviation + mean`, for each output its own; as it is where there are no standards.
fn spread(builder: &mut GraphBuilder, name: &str, standards: &[Standard]) {
    if standards.is_empty() {
        builder.node("Identity", name, &[LOGITS], vec![]);
        return;
    }
    let dims = [1, standards.len() as i64];
    let deviations: Vec<f32> = standards.iter().map(|standard| standard.deviation).collect();
    let means: Vec<f32> = standards.iter().map(|standard| standard.mean).collect();
    let deviation = builder.constant(DEVIATIONS, &dims, &deviations);
    let mean = builder.constant(MEANS, &dims, &means);
    let scaled = builder.node("Mul", "y_range.scaled", &[LOGITS, &deviation], vec![]);
    builder.node("Add", name, &[&scaled, &mean], vec![]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Label,
        onnx::{arch::Architecture, weights::unfilled},
        picture::PictureSize,
    };

    const SIZE: PictureSize = PictureSize { width: 64, height: 64 };

    fn two_labels() -> Task {
        let label = |name: &str| Label { name: name.to_owned(), thresholds: [].into(), train_count: 1, valid_count: 1 };
        Task::MultiLabel { labels: vec![label("cat"), label("dog")] }
    }

    #[test]
    fn the_old_classifier_is_gone_and_the_head_is_fastais() {
        let graph =
            replace_classifier(Architecture::Resnet18.build(SIZE, 1000), &two_labels(), HeadSettings::default())
                .unwrap();
        assert!(graph.initializer.iter().all(|tensor| !tensor.name().starts_with("fc.")));
        let head: Vec<_> = unfilled(&graph)
            .filter(|tensor| tensor.name().starts_with(HEAD_PREFIX))
            .map(|tensor| (tensor.name(), tensor.dims.as_slice()))
            .collect();
        assert_eq!(head[0], ("head.norm1.weight", [1024].as_slice()));
        assert_eq!(head[4], ("head.linear1.weight", [512, 1024].as_slice()));
        assert_eq!(head[9], ("head.linear2.weight", [2, 512].as_slice()));
        assert_eq!(head.len(), 10);
    }
}
