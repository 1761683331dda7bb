//! Who makes and who takes each tensor of a graph.

use std::collections::{HashMap, HashSet};

use crate::onnx::{GraphProto, NodeProto, OnnxError, TensorProto};

/// Producers, consumers and constants by name; nodes by their place in the graph.
pub(super) struct Links<'a> {
    graph: &'a GraphProto,
    producers: HashMap<&'a str, usize>,
    consumers: HashMap<&'a str, Vec<usize>>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    outputs: HashSet<&'a str>,
}

impl<'a> Links<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let mut links = Self {
            graph,
            producers: HashMap::new(),
            consumers: HashMap::new(),
            initializers: graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect(),
            outputs: graph.output.iter().map(|output| output.name()).collect(),
        };
        for (place, node) in graph.node.iter().enumerate() {
            for output in &node.output {
                links.producers.insert(output, place);
            }
            for input in &node.input {
                links.consumers.entry(input).or_default().push(place);
            }
        }
        links
    }

    /// The place of the node that makes a tensor.
    pub(super) fn producer(&self, tensor: &str) -> Option<usize> {
        self.producers.get(tensor).copied()
    }

    /// The places of the nodes that take a tensor.
    pub(super) fn consumers(&self, tensor: &str) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// The only node that takes a tensor, where that is not an output too.
    pub(super) fn only_consumer(&self, tensor: &str) -> Option<usize> {
        match self.consumers(tensor) {
            &[only] if !self.outputs.contains(tensor) => Some(only),
            _ => None,
        }
    }

    pub(super) fn constant(&self, tensor: &str) -> Option<&'a TensorProto> {
        self.initializers.get(tensor).copied()
    }

    pub(super) fn node(&self, place: usize) -> &'a NodeProto {
        &self.graph.node[place]
    }

    /// The values of a float32 constant.
    pub(super) fn floats(&self, tensor: &str) -> Result<Vec<f32>, OnnxError> {
        let found = self.constant(tensor);
        found.ok_or_else(|| OnnxError::Graph(format!("{tensor:?} is no constant of the graph")))?.to_f32()
    }
}

/// An integer attribute, or its default.
pub(super) fn int_of(node: &NodeProto, name: &str, default: i64) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(default, |attribute| attribute.i())
}

/// A float attribute, or its default.
pub(super) fn float_of(node: &NodeProto, name: &str, default: f32) -> f32 {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(default, |attribute| attribute.f())
}

/// A node's name, or that of its output where it has none.
pub(super) fn name_of(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.first().map_or("", String::as_str),
        name => name,
    }
}
