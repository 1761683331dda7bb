//! Functions that a file brings along: ONNX Runtime writes each out where it is called.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    TrustLimits,
    operators::{FunctionId, shorten},
    untrusted,
};
use crate::onnx::{GraphProto, ModelProto, NodeProto, OnnxError, proto::FunctionProto};

/// The functions of a model.
pub(super) fn ids(model: &ModelProto) -> BTreeSet<FunctionId<'_>> {
    model.functions.iter().map(id).collect()
}

fn id(function: &FunctionProto) -> FunctionId<'_> {
    (function.domain(), function.name(), function.overload())
}

/// Counts the nodes that are left once every function is written out: a few lines can call each other into millions.
pub(super) fn check_functions(model: &ModelProto, limits: &TrustLimits) -> Result<(), OnnxError> {
    let functions: BTreeMap<FunctionId<'_>, &FunctionProto> =
        model.functions.iter().map(|function| (id(function), function)).collect();
    if functions.len() != model.functions.len() {
        return Err(untrusted("it has two functions of one name"));
    }
    if let Some(function) = model.functions.iter().find(|function| matches!(function.domain(), "" | "ai.onnx")) {
        return Err(untrusted(format!("its function {:?} bears the standard's own domain", shorten(function.name()))));
    }
    let mut counter = Counter { functions, counted: BTreeMap::new(), limits };
    let nodes = model.graph.as_ref().map_or(Ok(0), |graph| counter.graph(graph, &mut Vec::new()))?;
    if nodes > limits.max_nodes {
        return Err(untrusted(format!(
            "it has {nodes} nodes with its functions written out, {} at most",
            limits.max_nodes
        )));
    }
    Ok(())
}

struct Counter<'a> {
    functions: BTreeMap<FunctionId<'a>, &'a FunctionProto>,
    /// Nodes of functions that are counted already.
    counted: BTreeMap<FunctionId<'a>, u64>,
    limits: &'a TrustLimits,
}

impl<'a> Counter<'a> {
    fn graph(&mut self, graph: &'a GraphProto, open: &mut Vec<FunctionId<'a>>) -> Result<u64, OnnxError> {
        self.nodes(&graph.node, open)
    }

    fn nodes(&mut self, nodes: &'a [NodeProto], open: &mut Vec<FunctionId<'a>>) -> Result<u64, OnnxError> {
        let mut count = nodes.len() as u64;
        for node in nodes {
            count = count.saturating_add(self.call((node.domain(), node.op_type(), node.overload()), open)?);
            for graph in node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
                count = count.saturating_add(self.graph(graph, open)?);
            }
        }
        Ok(count)
    }

    /// The nodes of a function; 0 where it is none of the file's. `open` are those that it is called from.
    fn call(&mut self, id: FunctionId<'a>, open: &mut Vec<FunctionId<'a>>) -> Result<u64, OnnxError> {
        let Some(&function) = self.functions.get(&id) else { return Ok(0) };
        if let Some(count) = self.counted.get(&id) {
            return Ok(*count);
        }
        if open.contains(&id) {
            return Err(untrusted(format!("its function {:?} calls itself", shorten(function.name()))));
        }
        if open.len() >= self.limits.max_depth {
            return Err(untrusted(format!("its functions call each other more than {} deep", self.limits.max_depth)));
        }
        open.push(id);
        let count = self.nodes(&function.node, open)?;
        open.pop();
        self.counted.insert(id, count);
        Ok(count)
    }
}
