//! The input of somebody else's graph: what it is, and putting ours before it.

use std::collections::BTreeSet;

use super::{
    GraphProto, TensorProto,
    proto::{DataType, Dimension, DimensionValue, TypeValue, ValueInfoProto},
};

/// Takes initializers out of the inputs: in old files every one of them is an input too.
pub(super) fn drop_initializers_from_inputs(graph: &mut GraphProto) {
    let initializers: BTreeSet<&str> = graph.initializer.iter().map(TensorProto::name).collect();
    graph.input.retain(|input| !initializers.contains(input.name()));
}

/// Element type and dimensions of a tensor, of which `None` are open; no dimensions where none are said. `None` for what
/// is no tensor.
pub(super) fn tensor_shape(value: &ValueInfoProto) -> Option<(DataType, Option<Vec<Option<i64>>>)> {
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref()?.value.as_ref() else { return None };
    let fixed = |dim: &Dimension| match dim.value {
        Some(DimensionValue::Value(value)) if value > 0 => Some(value),
        _ => None,
    };
    Some((tensor.elem_type(), tensor.shape.as_ref().map(|shape| shape.dim.iter().map(fixed).collect())))
}

/// Puts `before` in front of the graph; its inputs take the place of the graph's.
pub(super) fn prepend(graph: &mut GraphProto, before: GraphProto) {
    graph.input = before.input;
    graph.node.splice(0..0, before.node);
    graph.initializer.extend(before.initializer);
}
