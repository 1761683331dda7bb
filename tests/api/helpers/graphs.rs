//! Tiny ONNX graphs, message by message.

use tagpoint::onnx::{
    GraphProto, IR_VERSION, ModelProto, NodeProto, OPSET_VERSION, TensorProto,
    proto::{
        AttributeProto, AttributeType, DataType, Dimension, DimensionValue, OperatorSetIdProto, TensorShapeProto,
        TensorType, TypeProto, TypeValue, ValueInfoProto,
    },
};

/// Height and width of what the colour models see.
pub const SIDE: u32 = 8;
/// Height and width of what the slow model sees.
pub const SLOW_SIDE: u32 = 64;

/// `scores` [N, 3] = sigmoid(8 · mean / 255 − 4) of red, green and blue.
pub fn colours() -> ModelProto {
    shifted_colours(-4.0)
}

/// The colour model for pictures of the slow model's size.
pub fn quick() -> ModelProto {
    let mut model = colours();
    model.graph.as_mut().unwrap().input = vec![picture_input(SLOW_SIDE)];
    model
}

/// The colour model with another bias: higher or lower scores.
pub fn shifted_colours(bias: f32) -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("Mul", &["means", "scale"], "scaled", &[]));
    nodes.push(node("Add", &["scaled", "bias"], "logits", &[]));
    nodes.push(node("Sigmoid", &["logits"], "scores", &[]));
    let scale = TensorProto::from_f32("scale", &[3], &[8.0 / 255.0; 3]);
    let bias = TensorProto::from_f32("bias", &[3], &[bias; 3]);
    model(nodes, vec![scale, bias], SIDE, "scores", &[3])
}

/// The colour model with red and blue swapped at its input.
pub fn swapped_colours() -> ModelProto {
    let mut model = colours();
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.push(TensorProto::from_i64("bgr", &[3], &[2, 1, 0]));
    graph.node[0].input[0] = "swapped".to_owned();
    graph.node.insert(0, node("Gather", &["image", "bgr"], "swapped", &[int("axis", 3)]));
    model
}

/// `scores` [N, 3]: the softmax of 8 · mean / 255.
pub fn best_colour() -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("Mul", &["means", "scale"], "logits", &[]));
    nodes.push(node("Softmax", &["logits"], "scores", &[int("axis", 1)]));
    let scale = TensorProto::from_f32("scale", &[3], &[8.0 / 255.0; 3]);
    model(nodes, vec![scale], SIDE, "scores", &[3])
}

/// `scores` [N, 3] = mean / mean: 1 for each colour, and not a number for a colour that is not there.
pub fn undefined_for_black() -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("Div", &["means", "means"], "scores", &[]));
    model(nodes, Vec::new(), SIDE, "scores", &[3])
}

/// `scores` [N, 3] = mean / 255 by a table without an entry for 255: white makes the whole batch fail.
pub fn no_white() -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("Cast", &["means"], "places", &[int("to", DataType::Int64 as i64)]));
    nodes.push(node("Gather", &["table", "places"], "scores", &[]));
    let table: Vec<f32> = (0..255).map(|i| i as f32 / 255.0).collect();
    model(nodes, vec![TensorProto::from_f32("table", &[255], &table)], SIDE, "scores", &[3])
}

/// `points` [N, 2, 2] of −1…1: the first is (red, green), the second (blue, red), each as mean / 127.5 − 1.
pub fn points() -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("MatMul", &["means", "places"], "places_255", &[]));
    nodes.push(node("Sub", &["places_255", "one"], "flat", &[]));
    nodes.push(node("Reshape", &["flat", "shape"], "points", &[]));
    let unit = 1.0 / 127.5;
    #[rustfmt::skip]
    let places = [
        unit, 0.0, 0.0, unit,
        0.0, unit, 0.0, 0.0,
        0.0, 0.0, unit, 0.0,
    ];
    let places = TensorProto::from_f32("places", &[3, 4], &places);
    let one = TensorProto::from_f32("one", &[1], &[1.0]);
    let shape = TensorProto::from_i64("shape", &[3], &[-1, 2, 2]);
    model(nodes, vec![places, one, shape], SIDE, "points", &[2, 2])
}

/// `values` [N, 1]: the mean of red.
pub fn redness() -> ModelProto {
    let mut nodes = mean_colours();
    nodes.push(node("Gather", &["means", "first"], "values", &[int("axis", 1)]));
    let first = TensorProto::from_i64("first", &[1], &[0]);
    model(nodes, vec![first], SIDE, "values", &[1])
}

/// `scores` [N, 3] after a dozen convolutions: slow enough that requests wait for each other.
pub fn slow() -> ModelProto {
    let layer = Convolutions { channels: 32, side: 3, stride: 1 };
    convolved(SLOW_SIDE, &[layer; 12])
}

/// `scores` [N, 3] by way of 45 MiB of convolutions' weights.
pub fn wide() -> ModelProto {
    let first = Convolutions { channels: 512, side: 1, stride: 1 };
    let halving = Convolutions { channels: 512, side: 3, stride: 2 };
    convolved(SIDE, &[first, halving, halving, halving, halving, halving])
}

/// `scores` [N, 3] by way of 64 MiB of weights.
pub fn heavy() -> ModelProto {
    const WIDTH: i64 = 2048;
    let mut nodes = mean_colours();
    let widths = [3, WIDTH, WIDTH, WIDTH, WIDTH, WIDTH, 3];
    let mut initializers = Vec::new();
    let mut before = "means".to_owned();
    for (layer, width) in widths.windows(2).enumerate() {
        let (weights, after) = (format!("weights_{layer}"), format!("features_{layer}"));
        initializers.push(pattern(&weights, &[width[0], width[1]]));
        nodes.push(node("MatMul", &[&before, &weights], &after, &[]));
        before = format!("bounded_{layer}");
        nodes.push(node("Tanh", &[&after], &before, &[]));
    }
    nodes.push(node("Sigmoid", &[&before], "scores", &[]));
    model(nodes, initializers, SIDE, "scores", &[3])
}

/// `image` uint8 [N, H, W, 3] → `means` [N, 3].
fn mean_colours() -> Vec<NodeProto> {
    vec![
        node("Cast", &["image"], "pixels", &[int("to", DataType::Float as i64)]),
        node("ReduceMean", &["pixels"], "means", &[ints("axes", &[1, 2]), int("keepdims", 0)]),
    ]
}

/// A layer of [`convolved`]: channels that it makes, side of its kernels, stride.
#[derive(Clone, Copy)]
struct Convolutions {
    channels: i64,
    side: i64,
    stride: i64,
}

/// `scores` [N, 3]: the sigmoid of a linear layer on the means of convolutions of pixels / 255, each with a tanh after it.
fn convolved(side: u32, layers: &[Convolutions]) -> ModelProto {
    let mut nodes = vec![
        node("Cast", &["image"], "pixels", &[int("to", DataType::Float as i64)]),
        node("Transpose", &["pixels"], "planes", &[ints("perm", &[0, 3, 1, 2])]),
        node("Mul", &["planes", "scale"], "scaled", &[]),
    ];
    let mut initializers = vec![TensorProto::from_f32("scale", &[1], &[1.0 / 255.0])];
    let (mut before, mut inputs) = ("scaled".to_owned(), 3);
    for (place, &Convolutions { channels, side, stride }) in layers.iter().enumerate() {
        let [weights, sums, after] = ["weights", "sums", "features"].map(|what| format!("{what}_{place}"));
        initializers.push(pattern(&weights, &[channels, inputs, side, side]));
        let attributes = [ints("strides", &[stride; 2]), ints("pads", &[side / 2; 4])];
        nodes.push(node("Conv", &[&before, &weights], &sums, &attributes));
        nodes.push(node("Tanh", &[&sums], &after, &[]));
        (before, inputs) = (after, channels);
    }
    nodes.push(node("ReduceMean", &[&before], "pooled", &[ints("axes", &[2, 3]), int("keepdims", 0)]));
    nodes.push(node("MatMul", &["pooled", "head"], "logits", &[]));
    nodes.push(node("Sigmoid", &["logits"], "scores", &[]));
    initializers.push(pattern("head", &[inputs, 3]));
    model(nodes, initializers, side, "scores", &[3])
}

/// Weights of both signs, small enough that sums stay near ±1.
fn pattern(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|i| ((i * 37 + 11) % 101 - 50) as f32 / 300.0).collect();
    TensorProto::from_f32(name, dims, &values)
}

fn model(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>, side: u32, output: &str, shape: &[i64]) -> ModelProto {
    let graph = GraphProto {
        name: Some("test".to_owned()),
        node: nodes,
        initializer,
        input: vec![picture_input(side)],
        output: vec![value(output, DataType::Float, shape)],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET_VERSION) }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn picture_input(side: u32) -> ValueInfoProto {
    value("image", DataType::Uint8, &[side.into(), side.into(), 3])
}

/// A graph's input or output of shape [N, …].
fn value(name: &str, element: DataType, shape: &[i64]) -> ValueInfoProto {
    let batch = DimensionValue::Param("N".to_owned());
    let dims = std::iter::once(batch).chain(shape.iter().map(|&dim| DimensionValue::Value(dim)));
    let dim = dims.map(|value| Dimension { value: Some(value), denotation: None }).collect();
    let tensor = TensorType { elem_type: Some(element as i32), shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None });
    ValueInfoProto { name: Some(name.to_owned()), r#type, ..ValueInfoProto::default() }
}

fn node(op_type: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.to_owned()),
        name: Some(output.to_owned()),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    let r#type = Some(AttributeType::Int as i32);
    AttributeProto { name: Some(name.to_owned()), r#type, i: Some(value), ..AttributeProto::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = Some(AttributeType::Ints as i32);
    AttributeProto { name: Some(name.to_owned()), r#type, ints: values.to_vec(), ..AttributeProto::default() }
}
