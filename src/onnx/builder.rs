//! Building a graph node by node, and pruning one.

use std::collections::HashSet;

use super::{
    GraphProto, NodeProto, TensorProto,
    proto::{
        AttributeProto, AttributeType, DataType, Dimension, DimensionValue, TensorShapeProto, TensorType, TypeProto,
        TypeValue, ValueInfoProto,
    },
};

/// A graph under construction.
///
/// Every node has one output, which bears the node's name, so a tensor's name says where it comes from.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// Goes on building `graph`.
    pub fn extend(graph: GraphProto) -> Self {
        Self { graph }
    }

    /// Adds a node; returns the name of its output, which is `name`.
    pub fn node(&mut self, op_type: &str, name: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.graph.node.push(NodeProto {
            op_type: Some(op_type.to_owned()),
            name: Some(name.to_owned()),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            attribute: attributes,
            ..NodeProto::default()
        });
        name.to_owned()
    }

    /// Adds a float32 constant; returns its name.
    pub fn constant(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        self.graph.initializer.push(TensorProto::from_f32(name, dims, values));
        name.to_owned()
    }

    /// Adds an int64 constant; returns its name.
    pub fn int_constant(&mut self, name: &str, dims: &[i64], values: &[i64]) -> String {
        self.graph.initializer.push(TensorProto::from_i64(name, dims, values));
        name.to_owned()
    }

    /// Declares a float32 parameter without values yet, see [`super::weights`]; returns its name.
    pub fn parameter(&mut self, name: &str, dims: &[i64]) -> String {
        self.graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            dims: dims.to_vec(),
            data_type: Some(DataType::Float as i32),
            ..TensorProto::default()
        });
        name.to_owned()
    }

    /// A convolution without bias, `weight` being `<name>.weight` [out, in / groups, k, k].
    pub fn conv(&mut self, name: &str, input: &str, shape: ConvShape) -> String {
        let ConvShape { input: channels, output, kernel, stride, groups } = shape;
        let weight = self.parameter(&format!("{name}.weight"), &[output, channels / groups, kernel, kernel]);
        let padding = (kernel - 1) / 2;
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[padding; 4]),
            ints("dilations", &[1; 2]),
            int("group", groups),
        ];
        self.node("Conv", name, &[input, &weight], attributes)
    }

    /// Batch normalisation with epsilon 1e-5 and parameters `<name>.weight`, `.bias`, `.running_mean`, `.running_var`.
    pub fn batch_norm(&mut self, name: &str, input: &str, channels: i64) -> String {
        let parts = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.parameter(&format!("{name}.{part}"), &[channels]));
        let [weight, bias, mean, variance] = &parts;
        // ONNX counts the share that is kept: .9 there is torch's momentum .1.
        let attributes = vec![float("epsilon", 1e-5), float("momentum", 0.9)];
        self.node("BatchNormalization", name, &[input, weight, bias, mean, variance], attributes)
    }

    /// A linear layer: `<name>.weight` has shape out × in, and `<name>.bias`, where `bias` is set, has length out.
    pub fn linear(&mut self, name: &str, input: &str, (channels, outputs): (i64, i64), bias: bool) -> String {
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, channels]);
        let attributes = vec![int("transB", 1)];
        if bias {
            let bias = self.parameter(&format!("{name}.bias"), &[outputs]);
            return self.node("Gemm", name, &[input, &weight, &bias], attributes);
        }
        self.node("Gemm", name, &[input, &weight], attributes)
    }

    /// Declares a graph input; a dimension of −1 is symbolic and called `N`.
    pub fn input(&mut self, name: &str, data_type: DataType, dims: &[i64]) {
        self.graph.input.push(value_info(name, data_type, dims));
    }

    /// Declares a graph output; a dimension of −1 is symbolic and called `N`.
    pub fn output(&mut self, name: &str, data_type: DataType, dims: &[i64]) {
        self.graph.output.push(value_info(name, data_type, dims));
    }

    /// The graph.
    pub fn finish(self, name: &str) -> GraphProto {
        GraphProto { name: Some(name.to_owned()), ..self.graph }
    }
}

/// The shape of a square convolution, padded so that stride 1 keeps height and width.
#[derive(Clone, Copy, Debug)]
pub struct ConvShape {
    /// Input channels.
    pub input: i64,
    /// Output channels.
    pub output: i64,
    /// Kernel height and width; odd.
    pub kernel: i64,
    /// Stride along both axes.
    pub stride: i64,
    /// Groups; `input` for a depthwise convolution.
    pub groups: i64,
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

/// A list of integers as attribute.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::Ints) }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind as i32), ..AttributeProto::default() }
}

fn value_info(name: &str, data_type: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&dim| Dimension {
            value: Some(if dim < 0 { DimensionValue::Param("N".to_owned()) } else { DimensionValue::Value(dim) }),
            denotation: None,
        })
        .collect();
    let tensor = TensorType { elem_type: Some(data_type as i32), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { denotation: None, value: Some(TypeValue::Tensor(tensor)) }),
        ..ValueInfoProto::default()
    }
}

/// Removes every node and initializer that no output needs.
pub fn prune(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name().to_owned()).collect();
    // Nodes stand in topological order, so one walk from the end sees every consumer before its producer.
    let mut kept: Vec<NodeProto> = Vec::new();
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            needed.extend(node.input.iter().cloned());
            // What a subgraph takes from outside is not among the node's inputs: see the standard's scoping rule.
            for subgraph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
                needed.extend(subgraph.node.iter().flat_map(|inner| inner.input.iter().cloned()));
            }
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|tensor| needed.contains(tensor.name()));
    graph.value_info.retain(|value| needed.contains(value.name()));
}
