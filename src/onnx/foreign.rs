//! Adopting a graph that somebody else exported.
//!
//! Such a graph takes float32 [N, 3, H, W], normalised outside of it, and bears any names. [`adopt`] makes of it one
//! like ours: it takes `image`, uint8 [N, H, W, 3], normalises inside, its names cannot clash with those that we add,
//! and every parameter is an initializer of its own. What cannot be trained is refused with what to do about it.

use std::collections::BTreeSet;

use super::{
    GraphProto, ModelProto, NodeProto, OnnxError, SourceGraph, TensorProto,
    arch::{Normalisation, picture_input},
    builder::{GraphBuilder, prune},
    ends::{drop_initializers_from_inputs, prepend, tensor_shape},
    proto::{AttributeProto, DataLocation, DataType},
    untie::untie,
};
use crate::picture::PictureSize;

/// What the names of an adopted graph begin with.
pub const BACKBONE_PREFIX: &str = "backbone.";

/// Makes an exported graph one that takes pictures of `size`; its classifier is still there.
///
/// # Errors
/// Functions, operators of other domains, weights in another file, an input that is not one batch of pictures, or
/// pictures of another size.
pub fn adopt(
    model: ModelProto,
    origin: &str,
    size: PictureSize,
    normalisation: &Normalisation,
) -> Result<SourceGraph, OnnxError> {
    refuse_domains(&model)?;
    let mut source = SourceGraph::of_model(model, origin)?;
    let graph = &mut source.graph;
    refuse_external_data(graph)?;
    refuse_randomness(graph)?;
    let input = check_input(graph, size)?;
    drop_remarks(graph);
    constants_to_initializers(graph)?;
    graph.node.iter_mut().for_each(to_evaluation_mode);
    prune(graph);
    untie(graph)?;
    rename(graph);
    take_pictures(graph, &format!("{BACKBONE_PREFIX}{input}"), size, normalisation);
    Ok(source)
}

/// Whether an exporter folded the batch norms into the convolutions: there are convolutions and nothing normalises.
pub fn is_folded(graph: &GraphProto) -> bool {
    let has = |name: &str| graph.node.iter().any(|node| node.op_type() == name);
    // Old operator sets have no node for a layer norm; exporters write it out, with a square root.
    let normalises =
        graph.node.iter().any(|node| node.op_type().ends_with("Normalization") || node.op_type() == "Sqrt");
    has("Conv") && !normalises
}

fn refuse_domains(model: &ModelProto) -> Result<(), OnnxError> {
    let graph = model.graph.as_ref().map_or(&[][..], |graph| graph.node.as_slice());
    let foreign: BTreeSet<String> = graph
        .iter()
        .filter(|node| !matches!(node.domain(), "" | "ai.onnx"))
        .map(|node| format!("{}.{}", node.domain(), node.op_type()))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let list = foreign.into_iter().collect::<Vec<_>>().join(", ");
    let advice = "export to the standard operators alone, and expand functions (onnx.inliner.inline_local_functions)";
    Err(OnnxError::Graph(format!("the graph uses operators or functions of other domains, {list}: {advice}")))
}

fn refuse_external_data(graph: &GraphProto) -> Result<(), OnnxError> {
    let attributes = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.t.as_ref());
    let mut tensors = graph.initializer.iter().chain(attributes);
    if let Some(tensor) = tensors.find(|tensor| tensor.data_location() == DataLocation::External) {
        return Err(OnnxError::Graph(format!(
            "the weights lie in another file (such as {:?}): save everything in one, with external_data=False in \
             torch.onnx.export, or onnx.save(onnx.load(\"a.onnx\"), \"b.onnx\")",
            tensor.name()
        )));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(OnnxError::Graph("sparse weights are not supported: export them as ordinary tensors".into()));
    }
    Ok(())
}

fn refuse_randomness(graph: &GraphProto) -> Result<(), OnnxError> {
    let is_random = |node: &&NodeProto| node.op_type().starts_with("Random") || node.op_type() == "Bernoulli";
    let Some(node) = graph.node.iter().find(is_random) else { return Ok(()) };
    Err(OnnxError::Graph(format!(
        "the graph draws random numbers ({}), because it was exported in training mode: export it after model.eval(), \
         with training=torch.onnx.TrainingMode.PRESERVE to keep batch norms",
        node.op_type()
    )))
}

/// The name of the graph's one input, which has to be float32 [N, 3, H, W] with H and W either open or `size`.
fn check_input(graph: &mut GraphProto, size: PictureSize) -> Result<String, OnnxError> {
    drop_initializers_from_inputs(graph);
    let [input] = graph.input.as_slice() else {
        let names: Vec<&str> = graph.input.iter().map(|input| input.name()).collect();
        return Err(OnnxError::Graph(format!("the graph has the inputs {names:?}; a backbone takes pictures alone")));
    };
    let name = input.name().to_owned();
    let wrong = |found: String| {
        OnnxError::Graph(format!("the input {name:?} is {found}; a backbone takes pictures as float32 [N, 3, H, W]"))
    };
    let shape = tensor_shape(input).and_then(|(data_type, dims)| Some((data_type, dims?)));
    let (data_type, dims) = shape.ok_or_else(|| wrong("no tensor of a known shape".into()))?;
    if data_type == DataType::Uint8 {
        return Err(wrong("uint8, as in a model of our own, which training starts from by --weights".into()));
    }
    if data_type != DataType::Float || dims.len() != 4 || dims[1].is_some_and(|channels| channels != 3) {
        return Err(wrong(format!("of type {data_type:?} with dimensions {dims:?}")));
    }
    let fits = |dim: Option<i64>, wanted: u32| dim.is_none_or(|dim| dim == i64::from(wanted));
    if !fits(dims[2], size.height) || !fits(dims[3], size.width) {
        let show = |dim: Option<i64>| dim.map_or("any".to_owned(), |dim| dim.to_string());
        let (height, width) = (show(dims[2]), show(dims[3]));
        return Err(OnnxError::Graph(format!(
            "the graph takes pictures of {width}x{height} alone, not of {}x{}: train with --size {width}x{height}, or \
             export it for another size",
            size.width, size.height
        )));
    }
    Ok(name)
}

/// Drops what no run needs: shapes of intermediate tensors, where a fixed batch may stand, exporters' stack traces with
/// the paths of somebody's machine, and on which of their devices nodes would run.
fn drop_remarks(graph: &mut GraphProto) {
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    graph.metadata_props.clear();
    graph.doc_string = None;
    for node in &mut graph.node {
        node.metadata_props.clear();
        node.device_configurations.clear();
        node.doc_string = None;
    }
    for tensor in &mut graph.initializer {
        tensor.metadata_props.clear();
        tensor.doc_string = None;
    }
}

/// Constant nodes become initializers, of which parameters can be told.
fn constants_to_initializers(graph: &mut GraphProto) -> Result<(), OnnxError> {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in graph.node.drain(..) {
        let ([attribute], [output], "Constant") = (node.attribute.as_slice(), node.output.as_slice(), node.op_type())
        else {
            nodes.push(node);
            continue;
        };
        match constant_tensor(attribute, output) {
            Some(tensor) => graph.initializer.push(tensor),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
    Ok(())
}

fn constant_tensor(attribute: &AttributeProto, name: &str) -> Option<TensorProto> {
    Some(match attribute.name() {
        "value" => TensorProto { name: Some(name.to_owned()), ..attribute.t.clone()? },
        "value_int" => TensorProto::from_i64(name, &[], &[attribute.i?]),
        "value_ints" => TensorProto::from_i64(name, &[attribute.ints.len() as i64], &attribute.ints),
        "value_float" => TensorProto::from_f32(name, &[], &[attribute.f?]),
        "value_floats" => TensorProto::from_f32(name, &[attribute.floats.len() as i64], &attribute.floats),
        _ => return None,
    })
}

/// A file exported in training mode says so at its batch norms and dropouts; when to train is the trainer's decision.
fn to_evaluation_mode(node: &mut NodeProto) {
    match node.op_type() {
        "BatchNormalization" => {
            node.attribute.retain(|attribute| attribute.name() != "training_mode");
            node.output.truncate(1);
        }
        "Dropout" => node.input.truncate(2),
        _ => (),
    }
}

/// Puts [`BACKBONE_PREFIX`] before every name, so that none clashes with those of our head and preprocessing.
fn rename(graph: &mut GraphProto) {
    let rename = |name: &mut String| {
        if !name.is_empty() {
            name.insert_str(0, BACKBONE_PREFIX);
        }
    };
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(rename);
    }
    let tensors = graph.initializer.iter_mut().map(|tensor| &mut tensor.name);
    let infos = graph.input.iter_mut().chain(&mut graph.output).map(|info| &mut info.name);
    tensors.chain(infos).flatten().for_each(rename);
}

/// Puts our input and its normalisation in the place of the graph's.
fn take_pictures(graph: &mut GraphProto, input: &str, size: PictureSize, normalisation: &Normalisation) {
    let mut builder = GraphBuilder::default();
    let pixels = picture_input(&mut builder, size, normalisation);
    let before = builder.finish("");
    for name in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|name| name.as_str() == input) {
        name.clone_from(&pixels);
    }
    prepend(graph, before);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{
        builder::int,
        cut::find_cut,
        proto::{NodeDeviceConfigurationProto, NodeProto, OperatorSetIdProto},
    };

    const SIZE: PictureSize = PictureSize { width: 32, height: 16 };

    /// A file like those of exporters: constants as nodes, parameters among the inputs, training mode.
    fn file(dims: &[i64], data_type: DataType) -> ModelProto {
        let mut builder = GraphBuilder::default();
        builder.input("image", data_type, dims);
        builder.input("head.fc.weight", DataType::Float, &[2, 4]);
        builder.constant("head.fc.weight", &[2, 4], &[0.5; 8]);
        builder.constant("ones", &[4], &[1.0; 4]);
        let kernel = AttributeProto {
            name: Some("value".into()),
            t: Some(TensorProto::from_f32("", &[4, 3, 1, 1], &[0.1; 12])),
            ..AttributeProto::default()
        };
        builder.node("Constant", "kernel", &[], vec![kernel]);
        let x = builder.node("Conv", "stem", &["image", "kernel"], vec![]);
        let x = builder.node(
            "BatchNormalization",
            "norm",
            &[&x, "ones", "ones", "ones", "ones"],
            vec![int("training_mode", 1)],
        );
        let x = builder.node("GlobalAveragePool", "pooled", &[&x], vec![]);
        let x = builder.node("Flatten", "flat", &[&x], vec![]);
        let x = builder.node("Gemm", "logits", &[&x, "head.fc.weight"], vec![int("transB", 1)]);
        builder.output(&x, DataType::Float, &[-1, 2]);
        let mut graph = builder.finish("main_graph");
        graph.node[2].output.extend(["mean".to_owned(), "variance".to_owned()]);
        graph.node[1].doc_string = Some("/home/someone/model.py".into());
        graph.node[1].device_configurations.push(NodeDeviceConfigurationProto::default());
        ModelProto {
            ir_version: Some(9),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(19) }],
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    fn error_of(model: ModelProto) -> String {
        adopt(model, "x", SIZE, &Normalisation::default()).unwrap_err().to_string()
    }

    #[test]
    fn an_exported_graph_takes_pictures_and_keeps_its_operator_set() {
        let source = adopt(file(&[-1, 3, 16, 32], DataType::Float), "x", SIZE, &Normalisation::default()).unwrap();
        assert_eq!((source.opset, source.ir_version), (19, 9));
        let graph = &source.graph;
        assert!(!format!("{graph:?}").contains("/home/someone"), "paths of another machine are dropped");
        assert!(graph.node.iter().all(|node| node.device_configurations.is_empty()), "their devices are dropped");
        assert_eq!(graph.input.len(), 1);
        let shape = vec![None, Some(16), Some(32), Some(3)];
        assert_eq!(tensor_shape(&graph.input[0]), Some((DataType::Uint8, Some(shape))));
        let norm = graph.node.iter().find(|node| node.name() == "norm").unwrap();
        assert_eq!((norm.output.len(), norm.attribute.len()), (1, 0));
        let mut parameters: Vec<&str> = graph.initializer.iter().map(TensorProto::name).collect();
        parameters.sort_unstable();
        assert_eq!(
            parameters,
            [
                "backbone.head.fc.weight",
                "backbone.kernel",
                "backbone.norm.bias",
                "backbone.norm.running_mean",
                "backbone.norm.running_var",
                "backbone.ones",
                "preprocess.mean",
                "preprocess.std"
            ]
        );
        let cut = find_cut(graph).unwrap();
        assert_eq!((cut.features.as_str(), cut.channels, cut.pools), ("backbone.norm", 4, true));
    }

    #[test]
    fn a_fixed_size_is_the_only_one_and_an_open_one_is_any() {
        assert!(adopt(file(&[1, 3, -1, -1], DataType::Float), "x", SIZE, &Normalisation::default()).is_ok());
        let message = error_of(file(&[-1, 3, 224, 224], DataType::Float));
        assert!(message.contains("pictures of 224x224 alone, not of 32x16"), "{message}");
        assert!(message.contains("--size 224x224"), "{message}");
    }

    #[test]
    fn another_input_is_refused_with_what_is_wanted() {
        for (dims, data_type, part) in [
            (&[-1, 16, 32, 3][..], DataType::Uint8, "--weights"),
            (&[-1, 1, 16, 32], DataType::Float, "[None, Some(1), Some(16), Some(32)]"),
            (&[-1, 3, 16, 32], DataType::Float16, "of type Float16"),
        ] {
            let message = error_of(file(dims, data_type));
            assert!(message.contains(part) && message.contains("float32 [N, 3, H, W]"), "{message}");
        }
    }

    #[test]
    fn what_lies_outside_the_file_or_the_standard_is_named_with_what_to_do() {
        let mut model = file(&[-1, 3, 16, 32], DataType::Float);
        let graph = model.graph.as_mut().unwrap();
        graph.initializer[0].data_location = Some(DataLocation::External as i32);
        assert!(error_of(model).contains("external_data=False"));
        let mut model = file(&[-1, 3, 16, 32], DataType::Float);
        let graph = model.graph.as_mut().unwrap();
        graph.node.push(NodeProto {
            op_type: Some("Gelu".into()),
            domain: Some("com.microsoft".into()),
            ..NodeProto::default()
        });
        let mut random = file(&[-1, 3, 16, 32], DataType::Float);
        random.graph.as_mut().unwrap().node[1].op_type = Some("RandomUniformLike".into());
        assert!(error_of(random).contains("model.eval()"));
        let message = error_of(model);
        assert!(message.contains("com.microsoft.Gelu") && message.contains("inline_local_functions"), "{message}");
    }

    #[test]
    fn a_graph_with_convolutions_and_nothing_that_normalises_was_folded() {
        let source = adopt(file(&[-1, 3, 16, 32], DataType::Float), "x", SIZE, &Normalisation::default()).unwrap();
        assert!(!is_folded(&source.graph));
        let mut folded = source.graph.clone();
        folded.node.retain(|node| node.op_type() != "BatchNormalization");
        assert!(is_folded(&folded));
        folded.node.retain(|node| node.op_type() != "Conv");
        assert!(!is_folded(&folded));
    }
}
