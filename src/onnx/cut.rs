//! Where a backbone ends: finding the classifier of a graph, whoever exported it.
//!
//! The classifier is the last Gemm or MatMul: the one from which only a bias, a softmax and the like lead to the output.
//! Where its input comes from a pooling over the height and width of [N, C, H, W] through at most Flatten, Reshape and
//! the like, the cut is before the pooling and the head pools for itself; otherwise everything up to the classifier's
//! [N, C] input stays and the head has no pooling.

use std::collections::HashMap;

use super::{GraphProto, NodeProto, OnnxError, TensorProto};

/// A backbone's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The tensor that the head takes: [N, C, H, W] where `pools`, else [N, C].
    pub features: String,
    /// C.
    pub channels: i64,
    /// Whether the head has to pool.
    pub pools: bool,
}

/// Finds where a graph's classifier begins.
///
/// # Errors
/// A graph that ends with something else than a classifier whose weight is a constant of two dimensions.
pub fn find_cut(graph: &GraphProto) -> Result<Cut, OnnxError> {
    let names = Names::of(graph);
    let (mut place, classifier) = names.classifier(graph)?;
    let channels = names.classifier_inputs(place, classifier)?;
    let input = classifier.input.first().cloned().unwrap_or_default();
    let mut tensor = input.as_str();
    while let Some((at, node)) = names.producer(tensor, place) {
        let before = node.input.first().map_or("", String::as_str);
        match node.op_type() {
            "Flatten" | "Reshape" | "Dropout" | "Identity" | "Squeeze" => (tensor, place) = (before, at),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                return Ok(Cut { features: before.to_owned(), channels, pools: true });
            }
            "ReduceMean" | "ReduceMax" if names.is_over_height_and_width(at, node) => {
                return Ok(Cut { features: before.to_owned(), channels, pools: true });
            }
            _ => break,
        }
    }
    Ok(Cut { features: input, channels, pools: false })
}

/// What each name of a graph stands for.
struct Names<'a> {
    /// With their places in the graph.
    producers: HashMap<&'a str, (usize, &'a NodeProto)>,
    initializers: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Names<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let nodes = graph.node.iter().enumerate();
        let outputs =
            nodes.flat_map(|(place, node)| node.output.iter().map(move |name| (name.as_str(), (place, node))));
        let initializers = graph.initializer.iter().map(|tensor| (tensor.name(), tensor));
        Self { producers: outputs.collect(), initializers: initializers.collect() }
    }

    /// The node that makes a tensor for the node at `reader`, with its place. It stands before that one, as in every valid graph:
    /// whoever follows producers comes to an end in a graph that reads its own outputs, too.
    fn producer(&self, tensor: &str, reader: usize) -> Option<(usize, &'a NodeProto)> {
        self.producers.get(tensor).copied().filter(|&(place, _)| place < reader)
    }

    /// The Gemm or MatMul from which only element-wise and shape operators lead to the first output, with its place.
    fn classifier(&self, graph: &'a GraphProto) -> Result<(usize, &'a NodeProto), OnnxError> {
        let mut reader = graph.node.len();
        let mut tensor = graph.output.first().map_or("", |output| output.name());
        let refused = |what: &str| {
            OnnxError::Graph(format!(
                "{what}, no Gemm or MatMul, so there is no classifier to replace: export the backbone with its classifier"
            ))
        };
        loop {
            let Some((place, node)) = self.producer(tensor, reader) else {
                return Err(refused("the graph has, before its first output"));
            };
            let before = match node.op_type() {
                "Gemm" | "MatMul" => return Ok((place, node)),
                "Softmax" | "LogSoftmax" | "Sigmoid" | "Identity" | "Cast" | "Reshape" | "Flatten" | "Squeeze" => {
                    node.input.first()
                }
                // A bias or a scale.
                "Add" | "Sub" | "Mul" | "Div" => {
                    node.input.iter().find(|input| self.constant_dims(input, place).is_none())
                }
                other => {
                    return Err(refused(&format!("the graph ends with a node {other} ({:?})", node.name())));
                }
            };
            (tensor, reader) = (before.map_or("", String::as_str), place);
        }
    }

    fn classifier_inputs(&self, place: usize, classifier: &NodeProto) -> Result<i64, OnnxError> {
        let wrong = || {
            let name = classifier.output.first().map_or("", String::as_str);
            OnnxError::Graph(format!("the classifier {name:?} has no constant weight of two dimensions"))
        };
        let dims = classifier.input.get(1).and_then(|weight| self.constant_dims(weight, place)).ok_or_else(wrong)?;
        let &[rows, columns] = dims.as_slice() else { return Err(wrong()) };
        let transposed = classifier.attribute.iter().any(|it| it.name() == "transB" && it.i() != 0);
        Ok(if transposed { columns } else { rows })
    }

    /// The shape of a tensor that is an initializer, perhaps transposed.
    fn constant_dims(&self, name: &str, mut reader: usize) -> Option<Vec<i64>> {
        let (mut tensor, mut is_transposed) = (name, false);
        loop {
            if let Some(constant) = self.initializers.get(tensor) {
                let mut dims = constant.dims.clone();
                if is_transposed {
                    dims.reverse();
                }
                return Some(dims);
            }
            let (place, node) = self.producer(tensor, reader)?;
            match node.op_type() {
                "Identity" | "Cast" => {}
                "Transpose" => is_transposed = !is_transposed,
                _ => return None,
            }
            (tensor, reader) = (node.input.first()?, place);
        }
    }

    /// Whether a reduction is over the last two of four axes.
    fn is_over_height_and_width(&self, place: usize, node: &NodeProto) -> bool {
        let attribute = node.attribute.iter().find(|it| it.name() == "axes").map(|it| it.ints.clone());
        let axes = attribute.or_else(|| self.constant_ints(node.input.get(1)?, place));
        let mut axes: Vec<i64> = axes.unwrap_or_default().iter().map(|axis| axis.rem_euclid(4)).collect();
        axes.sort_unstable();
        axes == [2, 3]
    }

    /// The integers of a constant, through nodes that change its shape alone.
    fn constant_ints(&self, name: &str, mut reader: usize) -> Option<Vec<i64>> {
        let mut tensor = name;
        loop {
            if let Some(constant) = self.initializers.get(tensor) {
                return constant.to_i64().ok();
            }
            let (place, node) = self.producer(tensor, reader)?;
            if !matches!(node.op_type(), "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Cast") {
                return None;
            }
            (tensor, reader) = (node.input.first()?, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        onnx::{
            arch::Architecture,
            builder::{GraphBuilder, int, ints},
            proto::DataType,
        },
        picture::PictureSize,
    };

    /// A graph of `build`, whose last tensor is the output.
    fn cut_of(build: impl FnOnce(&mut GraphBuilder) -> String) -> Result<Cut, OnnxError> {
        let mut builder = GraphBuilder::default();
        builder.constant("weight", &[8, 5], &[0.0; 40]);
        builder.constant("bias", &[5], &[0.0; 5]);
        builder.int_constant("axes", &[2], &[-1, -2]);
        let output = build(&mut builder);
        builder.output(&output, DataType::Float, &[-1, 5]);
        find_cut(&builder.finish("test"))
    }

    #[test]
    fn every_architecture_is_cut_before_its_pooling() {
        for (arch, channels) in Architecture::ALL.into_iter().zip([512, 512, 2048, 2048, 1280]) {
            let cut = find_cut(&arch.build(PictureSize { width: 64, height: 64 }, 1000)).unwrap();
            assert!(cut.pools, "{arch:?}");
            assert_eq!(cut.channels, channels, "{arch:?}");
        }
    }

    #[test]
    fn a_mean_over_height_and_width_is_a_pooling_whichever_way_its_axes_are_given() {
        for (inputs, attributes) in
            [(vec!["x"], vec![ints("axes", &[2, 3]), int("keepdims", 0)]), (vec!["x", "axes"], vec![])]
        {
            let cut = cut_of(|builder| {
                let pooled = builder.node("ReduceMean", "pooled", &inputs, attributes);
                let flat = builder.node("Flatten", "flat", &[&pooled], vec![]);
                let product = builder.node("MatMul", "product", &[&flat, "weight"], vec![]);
                let logits = builder.node("Add", "sum", &["bias", &product], vec![]);
                builder.node("Softmax", "scores", &[&logits], vec![])
            });
            assert_eq!(cut.unwrap(), Cut { features: "x".into(), channels: 8, pools: true });
        }
    }

    #[test]
    fn what_lies_between_pooling_and_classifier_stays() {
        let cut = cut_of(|builder| {
            let pooled = builder.node("GlobalAveragePool", "pooled", &["x"], vec![]);
            let norm = builder.node("LayerNormalization", "norm", &[&pooled, "w", "b"], vec![]);
            let flat = builder.node("Flatten", "flat", &[&norm], vec![]);
            let turned = builder.node("Transpose", "turned", &["weight"], vec![ints("perm", &[1, 0])]);
            builder.node("Gemm", "logits", &[&flat, &turned, "bias"], vec![int("transB", 1)])
        });
        assert_eq!(cut.unwrap(), Cut { features: "flat".into(), channels: 8, pools: false });
    }

    #[test]
    fn a_mean_over_tokens_is_no_pooling_over_a_picture() {
        let cut = cut_of(|builder| {
            let mean = builder.node("ReduceMean", "mean", &["x"], vec![ints("axes", &[1]), int("keepdims", 0)]);
            builder.node("MatMul", "logits", &[&mean, "weight"], vec![])
        });
        assert_eq!(cut.unwrap().features, "mean");
    }

    #[test]
    fn a_graph_that_reads_its_own_outputs_is_no_search_without_an_end() {
        let cut = cut_of(|builder| {
            builder.node("Flatten", "flat", &["flat"], vec![]);
            builder.node("MatMul", "logits", &["flat", "weight"], vec![])
        });
        assert_eq!(cut.unwrap().features, "flat");
        let cut = cut_of(|builder| {
            builder.node("Transpose", "turned", &["turned"], vec![]);
            builder.node("MatMul", "logits", &["x", "turned"], vec![])
        });
        assert!(cut.unwrap_err().to_string().contains("no constant weight"));
        let cut = cut_of(|builder| {
            builder.node("Cast", "a", &["b"], vec![]);
            builder.node("Add", "b", &["x", "a"], vec![])
        });
        assert!(cut.unwrap_err().to_string().contains("no Gemm or MatMul"));
    }

    #[test]
    fn a_graph_without_a_classifier_is_refused() {
        let error = find_cut(&GraphProto::default()).unwrap_err();
        assert!(error.to_string().contains("no Gemm or MatMul"));
        // A linear layer in the middle, such as that of a squeeze and excitation, is none.
        let error = cut_of(|builder| {
            let gate = builder.node("MatMul", "gate", &["x", "weight"], vec![]);
            builder.node("Conv", "features", &[&gate, "kernel"], vec![])
        });
        assert!(error.unwrap_err().to_string().contains("ends with a node Conv (\"features\")"));
    }
}
