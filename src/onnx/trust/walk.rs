//! The way through every graph of a model, functions' bodies and graphs inside of graphs included.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    TrustLimits, functions,
    operators::{FunctionId, check_made_size, check_operator, shorten},
    tensors::check_tensor,
    untrusted,
    values::check_value,
};
use crate::onnx::{GraphProto, ModelProto, NodeProto, OnnxError, TensorProto, proto::AttributeProto};

/// Small constants by name: shapes that operators are given.
pub(super) type Constants<'a> = BTreeMap<&'a str, Vec<i64>>;

/// More numbers than a shape has.
const SHAPE_LEN: usize = 64;

pub(super) fn check_bodies(model: &ModelProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    let walk = Walk { functions: functions::ids(model), limits };
    for function in &model.functions {
        let names = [function.name(), function.domain(), function.overload()];
        names.into_iter().try_for_each(|name| walk.name(name))?;
        function.attribute_proto.iter().try_for_each(|attribute| walk.attribute(attribute, &Constants::new(), 0))?;
        function.value_info.iter().try_for_each(|value| check_value(value, limits))?;
        walk.nodes(&function.node, constants(&function.node, &[]), 0)?;
    }
    model
        .graph
        .as_ref()
        .map_or_else(|| Err(untrusted("it has no graph")), |graph| walk.graph(graph, &Constants::new(), 0))
}

struct Walk<'a> {
    functions: BTreeSet<FunctionId<'a>>,
    limits: &'a TrustLimits,
}

impl Walk<'_> {
    /// `around` are the constants of the graphs around it, whose names it sees.
    fn graph(&self, graph: &GraphProto, around: &Constants<'_>, depth: usize) -> Result<(), OnnxError> {
        if depth > self.limits.max_depth {
            return Err(untrusted(format!("its graphs lie more than {} deep in each other", self.limits.max_depth)));
        }
        for value in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            self.name(value.name())?;
            check_value(value, self.limits)?;
        }
        graph.initializer.iter().try_for_each(|tensor| self.tensor(tensor))?;
        let mut known = around.clone();
        known.extend(constants(&graph.node, &graph.initializer));
        self.nodes(&graph.node, known, depth)
    }

    fn nodes(&self, nodes: &[NodeProto], known: Constants<'_>, depth: usize) -> Result<(), OnnxError> {
        for node in nodes {
            let names =
                node.input.iter().chain(&node.output).chain(&node.name).chain(&node.op_type).chain(&node.domain);
            names.into_iter().try_for_each(|name| self.name(name))?;
            check_operator(node, &self.functions)?;
            check_made_size(node, &known, self.limits)?;
            node.attribute.iter().try_for_each(|attribute| self.attribute(attribute, &known, depth))?;
        }
        Ok(())
    }

    fn attribute(&self, attribute: &AttributeProto, known: &Constants<'_>, depth: usize) -> Result<(), OnnxError> {
        self.name(attribute.name())?;
        attribute.t.iter().chain(&attribute.tensors).try_for_each(|tensor| self.tensor(tensor))?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|graph| self.graph(graph, known, depth + 1))
    }

    fn tensor(&self, tensor: &TensorProto) -> Result<(), OnnxError> {
        self.name(tensor.name())?;
        check_tensor(tensor, self.limits)
    }

    fn name(&self, name: &str) -> Result<(), OnnxError> {
        let limit = self.limits.max_name;
        if name.len() > limit {
            return Err(untrusted(format!("the name {:?} has {} bytes, {limit} at most", shorten(name), name.len())));
        }
        match name.contains('\0') {
            true => Err(untrusted(format!("the name {:?} has a zero byte", shorten(name)))),
            false => Ok(()),
        }
    }
}

fn constants<'a>(nodes: &'a [NodeProto], initializers: &'a [TensorProto]) -> Constants<'a> {
    let small = |tensor: &TensorProto| tensor.element_count().is_ok_and(|count| count <= SHAPE_LEN);
    let of_nodes = nodes.iter().filter(|node| node.op_type() == "Constant").filter_map(|node| {
        let (name, attribute) = (node.output.first()?, node.attribute.first()?);
        let values = match &attribute.t {
            Some(tensor) if small(tensor) => tensor.to_i64().ok()?,
            Some(_) => return None,
            None => attribute.ints.iter().copied().take(SHAPE_LEN).collect(),
        };
        Some((name.as_str(), values))
    });
    let of_initializers = initializers
        .iter()
        .filter(|tensor| small(tensor))
        .filter_map(|tensor| Some((tensor.name(), tensor.to_i64().ok()?)));
    of_nodes.chain(of_initializers).collect()
}
