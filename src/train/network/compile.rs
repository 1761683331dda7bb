//! A graph to nodes that run: names become slots, attributes are read, what never changes is computed.

use std::collections::{BTreeMap, HashMap};

use tch::{Device, Kind, Tensor};

use super::{
    Mode, NetworkError,
    casts::Casts,
    convert::{is_float, to_tensor},
    operators::{self, Call, Operator, Spec},
};
use crate::onnx::{GraphProto, NodeProto};

/// A node that runs.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operator_name: String,
    pub(super) operator: Operator,
    /// The slot of each input; `None` for an optional one left out.
    pub(super) inputs: Vec<Option<usize>>,
    /// The slot of each output; `None` for one that is not asked for.
    pub(super) outputs: Vec<Option<usize>>,
    /// Whether the first input is fresh memory that no gradient needs and no other node takes, so that it may be
    /// overwritten, unless the caller wants it.
    takes_fresh: bool,
    casts: Casts,
}

/// Operators whose output is new memory that their own gradient does not look at.
const FRESH: [&str; 4] = ["BatchNormalization", "Conv", "Gemm", "Add"];

/// A compiled graph.
pub(super) struct Program {
    /// The nodes that depend on the input or on a parameter, in the graph's order.
    pub(super) nodes: Vec<Node>,
    /// Every tensor of the graph by name.
    pub(super) slots: HashMap<String, usize>,
    /// The tensors that do not depend on the input, by slot.
    pub(super) constants: Vec<Option<Tensor>>,
}

/// Where and in which precision a graph runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) device: Device,
    pub(super) kind: Kind,
}

impl Target {
    /// A value of the file as the interpreter holds it: floats in the network's precision on its device, integers in
    /// host memory, because they are shapes, axes and indices.
    pub(super) fn place(self, tensor: Tensor) -> Result<Tensor, NetworkError> {
        let kind = tensor.kind();
        if !is_float(kind) {
            return Ok(tensor);
        }
        let kind = if kind == Kind::Float { self.kind } else { kind };
        Ok(tensor.f_to_kind(kind)?.f_to_device(self.device)?)
    }
}

/// Compiles `graph`; `variables` are initializers whose values change, so that nothing is computed from them here.
pub(super) fn compile(graph: &GraphProto, target: Target, variables: &[&str]) -> Result<Program, NetworkError> {
    refuse_unknown(graph)?;
    let mut program = Program { nodes: Vec::new(), slots: HashMap::new(), constants: Vec::new() };
    let mut values = Vec::new();
    for proto in &graph.initializer {
        values.push((program.slot(proto.name()), target.place(to_tensor(proto)?)?));
    }
    for input in &graph.input {
        program.slot(input.name());
    }
    let changing: Vec<usize> = variables.iter().map(|name| program.slot(name)).collect();
    let (variables, constants): (Vec<_>, Vec<_>) = values.into_iter().partition(|(slot, _)| changing.contains(slot));
    for (slot, value) in constants {
        program.constants[slot] = Some(value);
    }
    for proto in &graph.node {
        program.add(proto, target)?;
    }
    for (slot, value) in variables {
        program.constants[slot] = Some(value);
    }
    mark_fresh_inputs(&mut program);
    Ok(program)
}

fn mark_fresh_inputs(program: &mut Program) {
    let mut uses = vec![0; program.constants.len()];
    for &slot in program.nodes.iter().flat_map(|node| &node.inputs).flatten() {
        uses[slot] += 1;
    }
    let mut fresh = vec![false; uses.len()];
    for node in &mut program.nodes {
        node.takes_fresh = node.inputs.first().copied().flatten().is_some_and(|slot| fresh[slot] && uses[slot] == 1);
        if FRESH.contains(&node.operator_name.as_str()) {
            node.outputs.iter().flatten().for_each(|&slot| fresh[slot] = true);
        }
    }
}

/// One error for every operator that is missing, so that a user learns at once how far a graph is from training.
fn refuse_unknown(graph: &GraphProto) -> Result<(), NetworkError> {
    let mut unknown: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in &graph.node {
        if !matches!(node.domain(), "" | "ai.onnx") {
            unknown.entry(format!("{}.{}", node.domain(), node.op_type())).or_default().push(name_of(node));
        } else if operators::find(node.op_type()).is_none() {
            unknown.entry(node.op_type().to_owned()).or_default().push(name_of(node));
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = unknown.iter().map(|(name, nodes)| format!("{name} (in {})", nodes.join(", "))).collect();
    Err(NetworkError::UnknownOperators(list.join("; ")))
}

/// A node's name, or its first output's where it has none.
fn name_of(node: &NodeProto) -> &str {
    match node.name() {
        "" => node.output.first().map_or("", String::as_str),
        name => name,
    }
}

impl Program {
    fn slot(&mut self, name: &str) -> usize {
        if let Some(&slot) = self.slots.get(name) {
            return slot;
        }
        self.slots.insert(name.to_owned(), self.constants.len());
        self.constants.push(None);
        self.constants.len() - 1
    }

    fn add(&mut self, proto: &NodeProto, target: Target) -> Result<(), NetworkError> {
        let (name, operator_name) = (name_of(proto), proto.op_type());
        let inputs = proto.input.iter().map(|input| self.input_slot(input, name)).collect::<Result<Vec<_>, _>>()?;
        let constants = inputs.iter().map(|slot| slot.and_then(|slot| self.constants[slot].as_ref())).collect();
        let Target { device, kind } = target;
        let spec = Spec { node: proto, kind, device, constants };
        let build =
            operators::find(operator_name).ok_or_else(|| NetworkError::UnknownOperators(operator_name.to_owned()))?;
        let operator = build(&spec).map_err(|error| error.at(name, operator_name))?;
        let outputs = proto.output.iter().map(|output| (!output.is_empty()).then(|| self.slot(output))).collect();
        let operator_name = operator_name.to_owned();
        let casts = Casts::of(proto, name);
        let node = Node { name: name.to_owned(), operator_name, operator, inputs, outputs, takes_fresh: false, casts };
        let never_changes = node.inputs.iter().flatten().all(|&slot| self.constants[slot].is_some());
        if never_changes && !matches!(proto.op_type(), "Dropout" | "BatchNormalization") {
            let values =
                node.run(|slot| self.constants[slot].as_ref(), &[], &Mode::Evaluate, (target.kind, target.kind))?;
            for (slot, value) in values {
                self.constants[slot] = Some(value);
            }
        } else {
            self.nodes.push(node);
        }
        Ok(())
    }

    fn input_slot(&self, input: &str, node: &str) -> Result<Option<usize>, NetworkError> {
        if input.is_empty() {
            return Ok(None);
        }
        match self.slots.get(input) {
            Some(&slot) => Ok(Some(slot)),
            None => Err(NetworkError::Graph(format!("node {node:?} takes {input:?}, which nothing before it gives"))),
        }
    }
}

impl Node {
    /// Runs the node; gives the slots of its outputs with their values. `last_uses` are slots that nobody needs later;
    /// `precisions` are the network's own and the one that it computes in.
    pub(super) fn run<'a>(
        &'a self,
        value: impl Fn(usize) -> Option<&'a Tensor>,
        last_uses: &[usize],
        mode: &'a Mode<'a>,
        precisions: (Kind, Kind),
    ) -> Result<Vec<(usize, Tensor)>, NetworkError> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for slot in &self.inputs {
            inputs.push(match *slot {
                None => None,
                Some(slot) => Some(value(slot).ok_or_else(|| {
                    NetworkError::Graph(format!("node {:?} ({}) lacks an input", self.name, self.operator_name))
                })?),
            });
        }
        let (full, computes) = precisions;
        let cast = |input: &Option<&Tensor>| match input {
            Some(tensor) if full != computes => self.casts.apply(tensor, full, computes),
            _ => Ok(None),
        };
        let changed = inputs.iter().map(cast).collect::<Result<Vec<_>, _>>()?;
        let inputs = inputs.into_iter().zip(&changed).map(|(input, changed)| changed.as_ref().or(input)).collect();
        let first = self.inputs.first().copied().flatten();
        let overwrite = self.takes_fresh && first.is_some_and(|slot| last_uses.contains(&slot));
        let call = Call { name: &self.name, inputs, overwrite, mode };
        let values = (self.operator)(&call).map_err(|error| error.at(&self.name, &self.operator_name))?;
        if values.len() < self.outputs.len() {
            let reason = format!("{} outputs are asked for, {} are supported", self.outputs.len(), values.len());
            return Err(
                crate::train::network::error::OperatorError::Invalid(reason).at(&self.name, &self.operator_name)
            );
        }
        Ok(self.outputs.iter().zip(values).filter_map(|(slot, value)| slot.map(|slot| (slot, value))).collect())
    }
}
