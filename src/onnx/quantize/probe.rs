//! Making a graph's activations its outputs, so that their values can be collected.

use std::collections::BTreeSet;

use super::units::Unit;
use crate::onnx::{
    GraphProto,
    proto::{DataType, TensorType, TypeProto, TypeValue, ValueInfoProto},
};

/// The activations whose ranges a rewrite of these units needs, each once.
pub fn probed(units: &[Unit]) -> BTreeSet<String> {
    let inputs = units.iter().flat_map(|unit| unit.inputs.iter());
    let outputs = units.iter().filter(|unit| unit.makes_bytes()).map(|unit| &unit.output);
    inputs.chain(outputs).cloned().collect()
}

/// The graph with these activations, which are float32, as its only outputs.
pub fn probe(graph: &GraphProto, activations: &BTreeSet<String>) -> GraphProto {
    let made: BTreeSet<&str> = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str)).collect();
    let output = |name: &String| {
        // Without a shape: the runtime knows it.
        let tensor = TensorType { elem_type: Some(DataType::Float as i32), shape: None };
        let value = Some(TypeValue::Tensor(tensor));
        ValueInfoProto {
            name: Some(name.clone()),
            r#type: Some(TypeProto { denotation: None, value }),
            ..ValueInfoProto::default()
        }
    };
    let output = activations.iter().filter(|name| made.contains(name.as_str())).map(output).collect();
    GraphProto { output, ..graph.clone() }
}
