//! Runs an ONNX graph on libtorch with gradients, so that what is trained is what is served.
//!
//! [`Network::new`] compiles the graph once: attributes are read, tensors get slots, what depends on no input and no
//! parameter is computed. Each step then runs the nodes that the wanted outputs need, frees every tensor after its
//! last use, and leaves gradients to libtorch's autograd. `parameter` says which initializers are trained, `operators`
//! has the operators by family, `compile` puts both together.
//!
//! Floats are in the network's precision on its device; integers stay in host memory, because they are shapes, axes
//! and indices. [`Network::compute_in`] lets the heavy operators run in bfloat16, see `casts`. Behind an NHWC picture features are channels-last, and so are the kernels, see [`Layout`].

mod casts;
mod compile;
mod convert;
mod error;
mod operators;
mod parameter;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use tch::{Device, Kind, Tensor};

use self::compile::{Node, Program, Target};
pub use self::{
    convert::{copy_of, to_f32, to_tensor, uploaded},
    error::NetworkError,
    parameter::{Layout, Parameter, Role},
    snapshot::Snapshot,
};
use crate::onnx::{GraphProto, TensorProto};

/// The operator sets whose rules the interpreter follows. Within them an operator's meaning can be told from its
/// attributes and inputs alone: what changed is what moved from attribute to input.
pub const OPSETS: std::ops::RangeInclusive<i64> = 13..=28;

/// Refuses an operator set outside the `supported` ones.
///
/// # Errors
/// What is supported, and what to do.
pub fn check_opset(opset: i64, supported: &std::ops::RangeInclusive<i64>) -> Result<(), NetworkError> {
    if supported.contains(&opset) {
        return Ok(());
    }
    let (first, last) = (supported.start(), supported.end());
    Err(NetworkError::Graph(format!(
        "the graph declares operator set {opset}; {first} to {last} are supported: export it with opset_version=18, or \
         convert it with onnx.version_converter"
    )))
}

/// Takes the values of parameters and running statistics away, so that others can be loaded in their place.
pub fn clear_parameters(graph: &mut GraphProto) {
    let roles = parameter::classify(graph);
    let names = roles.parameters.into_iter().map(|(name, ..)| name).chain(roles.statistics);
    let names: HashSet<String> = names.collect();
    for tensor in graph.initializer.iter_mut().filter(|tensor| names.contains(tensor.name())) {
        tensor.raw_data = None;
        tensor.float_data.clear();
    }
}

/// The mask of a Dropout node, from its name, its input's shape and its ratio p: 0 or 1 / (1 − p) for each element; or why
/// there is none.
pub type Dropout<'a> = dyn Fn(&str, &[i64], f64) -> Result<Tensor, String> + 'a;

/// How batch norm and dropout behave. Neither mode switches gradients on or off: that is the caller's.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// As served: running statistics, no dropout.
    Evaluate,
    /// As trained: batch norm uses the batch's statistics and updates the running ones.
    Train {
        /// It is the caller's, so that no global generator decides.
        dropout: &'a Dropout<'a>,
    },
}

/// An ONNX graph that runs and trains.
pub struct Network {
    program: Program,
    parameters: Vec<Parameter>,
    /// The slot of each parameter.
    parameter_slots: Vec<usize>,
    /// Name and slot of each running statistic.
    statistics: Vec<(String, usize)>,
    /// The names of the graph's inputs that are no initializers.
    inputs: Vec<String>,
    target: Target,
    /// What convolutions and matrix products compute in; the target's kind, or a shorter one.
    computes: Kind,
}

impl Network {
    /// Compiles a graph for the standard operator set `opset`; `kind` is Float, or Double for numerical checks.
    ///
    /// # Errors
    /// An operator set outside [`OPSETS`], unknown operators (all of them in one error), initializers without values,
    /// and nodes with wrong attributes.
    pub fn new(graph: &GraphProto, opset: i64, device: Device, kind: Kind) -> Result<Self, NetworkError> {
        check_opset(opset, &OPSETS)?;
        let roles = parameter::classify(graph);
        if !roles.shared_statistics.is_empty() {
            let names = roles.shared_statistics.join(", ");
            return Err(NetworkError::Graph(format!("several batch normalisations share running statistics: {names}")));
        }
        let target = Target { device, kind };
        let names: Vec<&str> = roles.parameters.iter().map(|(name, ..)| name.as_str()).collect();
        let mut program = compile::compile(graph, target, &names)?;
        let (mut parameters, mut parameter_slots) = (Vec::new(), Vec::new());
        for (name, role, layout) in roles.parameters {
            let slot = program.slots[&name];
            let value = program.constants[slot].take().ok_or_else(|| missing(&name))?;
            let tensor = layout.view(&layout.flatten(&value)?, &value.size())?.f_detach()?.f_set_requires_grad(true)?;
            program.constants[slot] = Some(tensor.shallow_clone());
            parameter_slots.push(slot);
            parameters.push(Parameter { name, role, tensor, layout });
        }
        let statistics = roles.statistics.into_iter().map(|name| (name.clone(), program.slots[&name])).collect();
        let initializers: Vec<&str> = graph.initializer.iter().map(TensorProto::name).collect();
        let inputs = graph.input.iter().map(|input| input.name().to_owned());
        let inputs = inputs.filter(|name| !initializers.contains(&name.as_str())).collect();
        Ok(Self { program, parameters, parameter_slots, statistics, inputs, target, computes: kind })
    }

    /// The operators of the standard domain that the interpreter knows.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        operators::names()
    }

    /// The trainable parameters in order of first use.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Running means and variances by name; they change in [`Mode::Train`].
    pub fn statistics(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.statistics.iter().filter_map(|(name, slot)| Some((name.as_str(), self.program.constants[*slot].as_ref()?)))
    }

    /// Whether the graph has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.program.slots.contains_key(name)
    }

    /// Where float tensors live.
    pub fn device(&self) -> Device {
        self.target.device
    }

    /// The precision of float tensors.
    pub fn kind(&self) -> Kind {
        self.target.kind
    }

    /// Lets convolutions and matrix products compute in another precision from now on: [`Kind::BFloat16`], or the
    /// network's own again. Parameters, statistics, the head and so the outputs stay in the network's own.
    pub fn compute_in(&mut self, kind: Kind) {
        self.computes = kind;
    }

    /// Puts another tensor in a parameter's place, such as a view into an optimiser's buffer.
    ///
    /// # Errors
    /// No such parameter, or another shape.
    pub fn set_parameter(&mut self, index: usize, tensor: Tensor) -> Result<(), NetworkError> {
        let count = self.parameters.len();
        let wrong = |reason: String| NetworkError::Graph(format!("parameter {index} of {count}: {reason}"));
        let parameter = self.parameters.get_mut(index).ok_or_else(|| wrong("no such parameter".to_owned()))?;
        if tensor.size() != parameter.tensor.size() {
            return Err(wrong(format!("shape {:?} in place of {:?}", tensor.size(), parameter.tensor.size())));
        }
        self.program.constants[self.parameter_slots[index]] = Some(tensor.shallow_clone());
        parameter.tensor = tensor;
        Ok(())
    }

    /// Runs the graph on a batch of pictures and gives the named tensors, whichever of the graph they are.
    ///
    /// `image` is [N, H, W, 3], uint8 or float 0…255: a float picture passes the graph's Cast unchanged, so augmented
    /// pixels are never rounded.
    ///
    /// # Errors
    /// A graph with several inputs, unknown outputs, and shapes that do not fit.
    pub fn forward(&mut self, image: &Tensor, outputs: &[&str], mode: &Mode) -> Result<Vec<Tensor>, NetworkError> {
        let [input] = self.inputs.as_slice() else {
            return Err(NetworkError::Graph(format!("the graph has the inputs {:?}, not one", self.inputs)));
        };
        let image =
            if convert::is_float(image.kind()) { image.f_to_kind(self.target.kind)? } else { image.shallow_clone() };
        let inputs = HashMap::from([(input.clone(), uploaded(&image, self.target.device)?)]);
        self.run(inputs, outputs, mode)
    }

    /// Runs the graph on any inputs and gives the named tensors.
    ///
    /// # Errors
    /// Missing inputs, unknown outputs, and shapes that do not fit; errors name the node.
    pub fn run(
        &mut self,
        inputs: HashMap<String, Tensor>,
        outputs: &[&str],
        mode: &Mode,
    ) -> Result<Vec<Tensor>, NetworkError> {
        let slots = &self.program.slots;
        let wanted = outputs
            .iter()
            .map(|&name| slots.get(name).copied().ok_or_else(|| missing(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let mut values: Vec<Option<Tensor>> = self.program.constants.iter().map(|_| None).collect();
        for (name, tensor) in inputs {
            let slot = *slots.get(&name).ok_or_else(|| missing(&name))?;
            values[slot] = Some(tensor);
        }
        let precisions = (self.target.kind, self.computes);
        for step in schedule(&self.program.nodes, &wanted, &values) {
            let node = &self.program.nodes[step.node];
            let results = node.run(|slot| self.value(&values, slot), &step.last_uses, mode, precisions)?;
            for slot in step.last_uses {
                values[slot] = None;
            }
            for (slot, value) in results {
                values[slot] = Some(value);
            }
        }
        let value = |(&slot, name): (&usize, &&str)| {
            self.value(&values, slot).map(Tensor::shallow_clone).ok_or_else(|| missing(name))
        };
        wanted.iter().zip(outputs).map(value).collect()
    }

    fn value<'a>(&'a self, values: &'a [Option<Tensor>], slot: usize) -> Option<&'a Tensor> {
        values[slot].as_ref().or(self.program.constants[slot].as_ref())
    }

    /// Writes parameters and running statistics into the initializers of the graph that the network was made from.
    ///
    /// # Errors
    /// An initializer that the graph no longer has, or with another shape.
    pub fn write_back(&self, graph: &mut GraphProto) -> Result<(), NetworkError> {
        let parameters = self.parameters.iter().map(|parameter| (parameter.name.as_str(), &parameter.tensor));
        let values: HashMap<&str, &Tensor> = parameters.chain(self.statistics()).collect();
        let mut written = 0;
        for initializer in &mut graph.initializer {
            let Some(tensor) = values.get(initializer.name()) else { continue };
            if tensor.size() != initializer.dims {
                let name = initializer.name();
                return Err(NetworkError::Graph(format!("{name:?} has another shape than when training began")));
            }
            *initializer = TensorProto::from_f32(initializer.name(), &initializer.dims, &to_f32(tensor)?);
            written += 1;
        }
        if written == values.len() {
            return Ok(());
        }
        Err(NetworkError::Graph(format!("the graph has {written} of {} trained initializers", values.len())))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Network")
            .field("nodes", &self.program.nodes.len())
            .field("parameters", &self.parameters.len())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// One node's turn.
struct Step {
    node: usize,
    /// What no later node and no caller needs.
    last_uses: Vec<usize>,
}

/// The nodes that `wanted` needs, in the graph's order; what was fed is not computed.
fn schedule(nodes: &[Node], wanted: &[usize], fed: &[Option<Tensor>]) -> Vec<Step> {
    let mut needed = vec![false; fed.len()];
    for &slot in wanted {
        needed[slot] = true;
    }
    let mut steps = Vec::new();
    // From the end, so that every consumer is seen before its producer, and a tensor's last use first.
    for (index, node) in nodes.iter().enumerate().rev() {
        if !node.outputs.iter().flatten().any(|&slot| needed[slot] && fed[slot].is_none()) {
            continue;
        }
        let mut last_uses = Vec::new();
        for &slot in node.inputs.iter().flatten() {
            if !needed[slot] {
                needed[slot] = true;
                // What was fed is the caller's: never freed, and so never overwritten.
                if fed[slot].is_none() {
                    last_uses.push(slot);
                }
            }
        }
        steps.push(Step { node: index, last_uses });
    }
    steps.reverse();
    steps
}

fn missing(name: &str) -> NetworkError {
    NetworkError::Graph(format!("the graph has no tensor {name:?} with a value"))
}
