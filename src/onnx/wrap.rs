//! Making somebody else's classifier or regressor one that can be served: only its ends are rewritten.
//!
//! Before: float32 [N, 3, H, W] or [N, H, W, 3], normalised outside of the graph. After: `image`, uint8 [N, H, W, 3], RGB,
//! with the normalisation as nodes; at the end the activation, and the output under the name and shape of our own
//! models. What lies between stays as it is, so operators of any domain, functions and subgraphs are as good as others.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    GraphProto, ModelProto, OnnxError,
    builder::{GraphBuilder, int, ints, prune},
    ends::{drop_initializers_from_inputs, prepend, tensor_shape},
    head::LOGITS,
    proto::{DataType, ValueInfoProto},
};
use crate::picture::PictureSize;

/// The names that the rewrite adds; a graph's own of the same name get an underscore.
const PREFIX: &str = "wrap.";
/// The input of our own models.
const IMAGE: &str = "image";

/// What is said about a graph that it does not say itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrapping<'a> {
    /// The input that takes the pictures; the only one where none is named.
    pub input: Option<&'a str>,
    /// The output that answers; the only one where none is named.
    pub output: Option<&'a str>,
    /// Where the channels are; told from the input's shape where it is not said.
    pub layout: Option<Layout>,
    /// The order of the channels.
    pub channels: ChannelOrder,
    /// The size of pictures; the graph's own where it has one.
    pub size: Option<PictureSize>,
    /// What is subtracted from each channel in 0…255, in the graph's order of channels.
    pub mean: [f32; 3],
    /// What they are then divided by.
    pub deviation: [f32; 3],
    /// What becomes of the output.
    pub finish: Finish,
    /// The number of output elements for each picture.
    pub outputs: i64,
}

/// Where the channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// [N, 3, H, W].
    #[serde(rename = "nchw")]
    First,
    /// [N, H, W, 3].
    #[serde(rename = "nhwc")]
    Last,
}

/// The order of the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as OpenCV reads pictures.
    Bgr,
}

/// What becomes of a graph's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finish {
    /// [N, L] logits become `scores`, each by itself.
    Sigmoid,
    /// [N, L] logits become `scores` that sum to 1.
    Softmax,
    /// [N, L] are `scores` already.
    Scores,
    /// [N, K] are `values`.
    Values,
    /// [N, 2K] or [N, K, 2] coordinates, x before y, become `points`: `coordinate · scale + shift` is −1…1 of the frame.
    Points {
        /// For x and y.
        scale: [f32; 2],
        /// For x and y.
        shift: [f32; 2],
    },
}

/// The size of the pictures that a graph takes: its own, where it has one, else `size`.
///
/// # Errors
/// A graph without one input of pictures, a size that is missing or contradicts the graph's.
pub fn input_size(
    model: &ModelProto,
    input: Option<&str>,
    layout: Option<Layout>,
    size: Option<PictureSize>,
) -> Result<PictureSize, OnnxError> {
    let Some(graph) = &model.graph else { return Err(OnnxError::Graph("the file has no graph".into())) };
    let initializers: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let inputs: Vec<ValueInfoProto> =
        graph.input.iter().filter(|value| !initializers.contains(value.name())).cloned().collect();
    Ok(picture_input(choose("input", &inputs, input)?, layout, size)?.1)
}

/// Rewrites a model's graph; gives the size of the pictures that it takes.
///
/// # Errors
/// A graph without one input of pictures or without one output, a size that is missing or contradicts the graph's, and
/// an output that already is a sigmoid's or softmax's but not of the kind that is wanted.
pub fn wrap(model: &mut ModelProto, wrapping: &Wrapping<'_>) -> Result<PictureSize, OnnxError> {
    let graph = model.graph.get_or_insert_default();
    drop_initializers_from_inputs(graph);
    let input = choose("input", &graph.input, wrapping.input)?;
    let output = choose("output", &graph.output, wrapping.output)?;
    let (layout, size) = picture_input(input, wrapping.layout, wrapping.size)?;
    let [mut input, mut output] = [input, output].map(|value| value.name().to_owned());
    let others: Vec<&str> = graph.input.iter().map(ValueInfoProto::name).filter(|name| *name != input).collect();
    if !others.is_empty() {
        return Err(OnnxError::Graph(format!("the graph takes {others:?} beside the pictures {input:?}")));
    }
    make_room(graph, [&mut input, &mut output]);
    // Shapes of a fixed batch may stand there.
    graph.value_info.clear();
    graph.input.clear();
    graph.output.clear();
    take_pictures(graph, &input, layout, size, wrapping);
    finish(graph, &output, wrapping)?;
    // Subgraphs may use what no node of the graph itself does.
    if graph.node.iter().flat_map(|node| &node.attribute).all(|attribute| attribute.g.is_none()) {
        prune(graph);
    }
    Ok(size)
}

fn choose<'a>(what: &str, values: &'a [ValueInfoProto], wanted: Option<&str>) -> Result<&'a ValueInfoProto, OnnxError> {
    let names: Vec<&str> = values.iter().map(ValueInfoProto::name).collect();
    match (wanted, values) {
        (Some(name), _) => values
            .iter()
            .find(|value| value.name() == name)
            .ok_or_else(|| OnnxError::Graph(format!("the graph has no {what} {name:?}, but {names:?}"))),
        (None, [only]) => Ok(only),
        (None, _) => Err(OnnxError::Graph(format!("the graph has the {what}s {names:?}: choose one with --{what}"))),
    }
}

/// Layout and size of a float32 input of three-channel pictures.
fn picture_input(
    input: &ValueInfoProto,
    layout: Option<Layout>,
    size: Option<PictureSize>,
) -> Result<(Layout, PictureSize), OnnxError> {
    let name = input.name();
    let wrong = |reason: String| OnnxError::Graph(format!("the input {name:?} {reason}"));
    let wanted = "is not float32 [N, 3, H, W] or [N, H, W, 3]";
    let (data_type, dims) = tensor_shape(input).ok_or_else(|| wrong(wanted.to_owned()))?;
    let dims = dims.unwrap_or_default();
    let (layout, height, width) = match (layout, &dims[..]) {
        (Some(Layout::First) | None, &[_, Some(3), height, width]) => (Layout::First, height, width),
        (Some(Layout::Last) | None, &[_, height, width, Some(3)]) => (Layout::Last, height, width),
        (Some(Layout::First) | None, &[_, None, height, width]) => (Layout::First, height, width),
        (Some(Layout::Last), &[_, height, width, None]) => (Layout::Last, height, width),
        (Some(Layout::First), _) => return Err(wrong(format!("is not [N, 3, H, W] but of dimensions {dims:?}"))),
        (Some(Layout::Last), _) => return Err(wrong(format!("is not [N, H, W, 3] but of dimensions {dims:?}"))),
        _ => return Err(wrong(format!("{wanted} but of dimensions {dims:?}"))),
    };
    if data_type != DataType::Float {
        return Err(wrong(format!("{wanted} but of type {data_type:?}")));
    }
    let side = |own: Option<i64>, given: Option<u32>| match (own.and_then(|own| u32::try_from(own).ok()), given) {
        (Some(own), Some(given)) if own != given => Err(wrong(format!("takes {own} pixels a side, not {given}"))),
        (Some(own), _) => Ok(own),
        (None, Some(given)) => Ok(given),
        (None, None) => Err(wrong("takes pictures of any size: choose one with --size".to_owned())),
    };
    let height = side(height, size.map(|size| size.height))?;
    Ok((layout, PictureSize { width: side(width, size.map(|size| size.width))?, height }))
}

/// Renames what bears a name that the rewrite needs.
fn make_room(graph: &mut GraphProto, ends: [&mut String; 2]) {
    let taken = |name: &str| name.starts_with(PREFIX) || [IMAGE, LOGITS, "scores", "points", "values"].contains(&name);
    let mut known = BTreeSet::new();
    for_each_name(graph, &mut |name| {
        known.insert(name.clone());
    });
    let rename = |name: &mut String| {
        if taken(name) {
            name.push('_');
            while known.contains(name.as_str()) {
                name.push('_');
            }
        }
    };
    for_each_name(graph, &mut |name| rename(name));
    ends.into_iter().for_each(rename);
}

/// Every tensor's name, wherever it stands, also in subgraphs, which see the names around them.
fn for_each_name(graph: &mut GraphProto, visit: &mut impl FnMut(&mut String)) {
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    values.filter_map(|value| value.name.as_mut()).for_each(&mut *visit);
    graph.initializer.iter_mut().filter_map(|tensor| tensor.name.as_mut()).for_each(&mut *visit);
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(&mut *visit);
        for subgraph in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
            for_each_name(subgraph, visit);
        }
    }
}

/// Puts `image` and its normalisation before the graph; the last of the new nodes makes what was the input.
fn take_pictures(graph: &mut GraphProto, input: &str, layout: Layout, size: PictureSize, wrapping: &Wrapping<'_>) {
    let mut builder = GraphBuilder::default();
    builder.input(IMAGE, DataType::Uint8, &[-1, i64::from(size.height), i64::from(size.width), 3]);
    let dims: &[i64] = if layout == Layout::First { &[1, 3, 1, 1] } else { &[1, 1, 1, 3] };
    let mean = builder.constant("wrap.mean", dims, &wrapping.mean);
    let deviation = builder.constant("wrap.deviation", dims, &wrapping.deviation);
    let mut ordered = IMAGE.to_owned();
    if wrapping.channels == ChannelOrder::Bgr {
        let order = builder.int_constant("wrap.order", &[3], &[2, 1, 0]);
        ordered = builder.node("Gather", "wrap.ordered", &[IMAGE, &order], vec![int("axis", 3)]);
    }
    let mut pixels = builder.node("Cast", "wrap.float", &[&ordered], vec![int("to", DataType::Float as i64)]);
    if layout == Layout::First {
        pixels = builder.node("Transpose", "wrap.planes", &[&pixels], vec![ints("perm", &[0, 3, 1, 2])]);
    }
    let centred = builder.node("Sub", "wrap.centred", &[&pixels, &mean], vec![]);
    builder.node("Div", input, &[&centred, &deviation], vec![]);
    let before = builder.finish("");
    prepend(graph, before);
}

/// Puts the activation, or what else makes the output one of ours, behind the graph.
fn finish(graph: &mut GraphProto, output: &str, wrapping: &Wrapping<'_>) -> Result<(), OnnxError> {
    let output = logits_of(graph, output, wrapping.finish)?;
    let name = graph.name().to_owned();
    let mut builder = GraphBuilder::extend(std::mem::take(graph));
    let flat = builder.node("Flatten", "wrap.flat", &[&output], vec![int("axis", 1)]);
    let outputs = wrapping.outputs;
    match wrapping.finish {
        Finish::Sigmoid | Finish::Softmax => {
            builder.node("Identity", LOGITS, &[&flat], vec![]);
            match wrapping.finish {
                Finish::Sigmoid => builder.node("Sigmoid", "scores", &[LOGITS], vec![]),
                _ => builder.node("Softmax", "scores", &[LOGITS], vec![int("axis", 1)]),
            };
            builder.output("scores", DataType::Float, &[-1, outputs]);
        }
        Finish::Scores | Finish::Values => {
            let name = if wrapping.finish == Finish::Scores { "scores" } else { "values" };
            builder.node("Identity", name, &[&flat], vec![]);
            builder.output(name, DataType::Float, &[-1, outputs]);
        }
        Finish::Points { scale, shift } => {
            let shape = builder.int_constant("wrap.shape", &[3], &[0, -1, 2]);
            let scale = builder.constant("wrap.scale", &[1, 1, 2], &scale);
            let shift = builder.constant("wrap.shift", &[1, 1, 2], &shift);
            let pairs = builder.node("Reshape", "wrap.pairs", &[&flat, &shape], vec![]);
            let scaled = builder.node("Mul", "wrap.scaled", &[&pairs, &scale], vec![]);
            builder.node("Add", "points", &[&scaled, &shift], vec![]);
            builder.output("points", DataType::Float, &[-1, outputs / 2, 2]);
        }
    }
    *graph = builder.finish(&name);
    Ok(())
}

/// The logits before an activation that the graph ends in, so that it is not applied twice; else the output itself.
fn logits_of(graph: &GraphProto, output: &str, finish: Finish) -> Result<String, OnnxError> {
    let last = graph.node.iter().find(|node| node.output.iter().any(|name| name == output));
    let Some(activation) = last.filter(|node| matches!(node.op_type(), "Sigmoid" | "Softmax")) else {
        return Ok(output.to_owned());
    };
    match (finish, activation.op_type()) {
        (Finish::Sigmoid, "Sigmoid") | (Finish::Softmax, "Softmax") => {
            Ok(activation.input.first().cloned().unwrap_or_default())
        }
        (Finish::Sigmoid | Finish::Softmax, found) => Err(OnnxError::Graph(format!(
            "the graph already ends in a {found}: choose the task that it is for, or --activation none to take its \
             output as it is"
        ))),
        _ => Ok(output.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::AttributeProto;

    /// Convolution, pooling, and a classifier whose output has a name that we need ourselves.
    fn foreign(dims: &[i64], end: Option<&str>) -> ModelProto {
        let mut builder = GraphBuilder::default();
        builder.input("image", DataType::Float, dims);
        builder.constant("kernel", &[4, 3, 1, 1], &[0.1; 12]);
        builder.constant("weight", &[4, 2], &[0.5; 8]);
        let x = builder.node("Conv", "stem", &["image", "kernel"], vec![]);
        let x = builder.node("GlobalAveragePool", "pooled", &[&x], vec![]);
        let x = builder.node("Flatten", "flat", &[&x], vec![]);
        builder.node("MatMul", "scores", &[&x, "weight"], vec![]);
        let mut output = "scores".to_owned();
        if let Some(end) = end {
            output = builder.node(end, "probabilities", &["scores"], vec![]);
        }
        builder.output(&output, DataType::Float, &[-1, 2]);
        ModelProto { graph: Some(builder.finish("g")), ..ModelProto::default() }
    }

    fn wrapping(finish: Finish) -> Wrapping<'static> {
        let size = Some(PictureSize { width: 32, height: 16 });
        Wrapping {
            input: None,
            output: None,
            layout: None,
            channels: ChannelOrder::Rgb,
            size,
            mean: [0.0; 3],
            deviation: [255.0; 3],
            finish,
            outputs: 2,
        }
    }

    fn operators(model: &ModelProto) -> Vec<&str> {
        model.graph.as_ref().unwrap().node.iter().map(|node| node.op_type()).collect()
    }

    #[test]
    fn the_ends_are_ours_and_the_middle_is_left_alone() {
        let mut model = foreign(&[1, 3, -1, -1], None);
        let size = wrap(&mut model, &wrapping(Finish::Softmax)).unwrap();
        assert_eq!(size, PictureSize { width: 32, height: 16 });
        let ours = ["Cast", "Transpose", "Sub", "Div", "Conv", "GlobalAveragePool", "Flatten", "MatMul"];
        assert_eq!(operators(&model), [&ours[..], &["Flatten", "Identity", "Softmax"]].concat());
        let graph = model.graph.unwrap();
        assert_eq!((graph.input[0].name(), graph.output[0].name()), ("image", "scores"));
        // Every tensor has one maker, although the graph's own names clashed with ours.
        let makers: Vec<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
        assert_eq!(makers.iter().collect::<BTreeSet<_>>().len(), makers.len(), "{makers:?}");
        let conv = &graph.node[4];
        assert_eq!((conv.input[0].as_str(), graph.node[3].output[0].as_str()), ("image_", "image_"));
    }

    #[test]
    fn channels_may_come_last() {
        let mut model = foreign(&[-1, 16, 32, 3], None);
        wrap(&mut model, &Wrapping { size: None, ..wrapping(Finish::Values) }).unwrap();
        assert!(!operators(&model).contains(&"Transpose"));
        assert_eq!(model.graph.unwrap().output[0].name(), "values");
    }

    #[test]
    fn a_layout_that_is_said_settles_what_the_shape_leaves_open() {
        let layout = |layout| Wrapping { layout: Some(layout), size: None, ..wrapping(Finish::Softmax) };
        let size = wrap(&mut foreign(&[-1, 3, 16, 3], None), &layout(Layout::First)).unwrap();
        assert_eq!(size, PictureSize { width: 3, height: 16 });
        let size = wrap(&mut foreign(&[-1, 3, 16, 3], None), &layout(Layout::Last)).unwrap();
        assert_eq!(size, PictureSize { width: 16, height: 3 });
        let error = wrap(&mut foreign(&[-1, 3, 16, 32], None), &layout(Layout::Last)).unwrap_err().to_string();
        assert!(error.contains("is not [N, H, W, 3] but of dimensions"), "{error}");
    }

    #[test]
    fn blue_comes_first_where_the_graph_wants_it_so() {
        let mut model = foreign(&[-1, 3, 16, 32], None);
        wrap(&mut model, &Wrapping { channels: ChannelOrder::Bgr, ..wrapping(Finish::Softmax) }).unwrap();
        assert_eq!(operators(&model)[..2], ["Gather", "Cast"]);
        let graph = model.graph.unwrap();
        let order = graph.initializer.iter().find(|tensor| tensor.name() == "wrap.order").unwrap();
        assert_eq!(order.to_i64().unwrap(), [2, 1, 0]);
    }

    #[test]
    fn an_activation_that_is_there_is_not_applied_twice() {
        let mut model = foreign(&[-1, 3, 16, 32], Some("Softmax"));
        wrap(&mut model, &wrapping(Finish::Softmax)).unwrap();
        assert_eq!(operators(&model).iter().filter(|name| **name == "Softmax").count(), 1);
        let mut model = foreign(&[-1, 3, 16, 32], Some("Softmax"));
        let error = wrap(&mut model, &wrapping(Finish::Sigmoid)).unwrap_err();
        assert!(error.to_string().contains("already ends in a Softmax"), "{error}");
        let mut model = foreign(&[-1, 3, 16, 32], Some("Softmax"));
        wrap(&mut model, &wrapping(Finish::Scores)).unwrap();
        assert_eq!(operators(&model).last(), Some(&"Identity"));
    }

    #[test]
    fn names_that_a_subgraph_takes_from_around_it_are_renamed_there_too() {
        let mut model = foreign(&[-1, 3, 16, 32], None);
        let mut inner = GraphBuilder::default();
        inner.node("Relu", "inner", &["image"], vec![]);
        let attribute = AttributeProto { g: Some(inner.finish("then")), ..AttributeProto::default() };
        model.graph.as_mut().unwrap().node[1].attribute.push(attribute);
        wrap(&mut model, &wrapping(Finish::Softmax)).unwrap();
        let graph = model.graph.unwrap();
        let subgraph = graph.node.iter().flat_map(|node| &node.attribute).find_map(|attribute| attribute.g.as_ref());
        assert_eq!(subgraph.unwrap().node[0].input, ["image_"]);
    }

    #[test]
    fn what_cannot_be_wrapped_is_refused_with_what_is_wanted() {
        let error =
            |mut model: ModelProto, wrapping: Wrapping<'_>| wrap(&mut model, &wrapping).unwrap_err().to_string();
        let plain = || wrapping(Finish::Softmax);
        assert!(error(foreign(&[-1, 1, 16, 32], None), plain()).contains("[N, 3, H, W]"));
        assert!(error(foreign(&[-1, 3, 64, 32], None), plain()).contains("takes 64 pixels a side, not 16"));
        let open = foreign(&[-1, 3, -1, -1], None);
        assert!(error(open.clone(), Wrapping { size: None, ..plain() }).contains("--size"));
        assert!(error(open.clone(), Wrapping { output: Some("x"), ..plain() }).contains("no output \"x\""));
        let mut two = open;
        let output = two.graph.as_ref().unwrap().output[0].clone();
        two.graph.as_mut().unwrap().output.push(ValueInfoProto { name: Some("aux".into()), ..output });
        assert!(error(two, plain()).contains("choose one with --output"));
    }
}
