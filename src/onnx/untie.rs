//! Giving every parameter a tensor of its own.
//!
//! PyTorch's exporters store tensors of equal values once: a fresh network's norms all share one tensor of ones, which
//! is at the same time its running variances. Trained like that, they would move together. So every use of a vector
//! gets a copy. A matrix or kernel stays shared where its values differ from each other: equal ones are no coincidence
//! then, but weights that their author tied.

use std::collections::{HashMap, HashSet};

use super::{GraphProto, NodeProto, OnnxError, TensorProto, proto::DataType};

/// Copies shared parameters; the graph computes the same as before.
///
/// # Errors
/// Initializers whose values cannot be read.
pub(super) fn untie(graph: &mut GraphProto) -> Result<(), OnnxError> {
    let mut copies = Copies::of(graph)?;
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in graph.node.drain(..) {
        // TorchScript's exporter says by an Identity which names had the same values.
        if node.op_type() == "Identity"
            && let ([input], [output]) = (node.input.as_slice(), node.output.as_slice())
            && let Some(&place) = copies.own.get(input)
        {
            copies.add(place, output.clone());
            continue;
        }
        for at in 0..node.input.len() {
            let Some(&place) = copies.own.get(&node.input[at]) else { continue };
            if !copies.used.insert(node.input[at].clone()) {
                let name = copies.free_name(&node, at);
                copies.add(place, name.clone());
                copies.used.insert(name.clone());
                node.input[at] = name;
            }
        }
        nodes.push(node);
    }
    graph.node = nodes;
    graph.initializer = copies.tensors;
    Ok(())
}

struct Copies {
    /// The initializers, copies included.
    tensors: Vec<TensorProto>,
    /// The place in `tensors` of each that every use needs for itself.
    own: HashMap<String, usize>,
    /// Those that a node has already.
    used: HashSet<String>,
}

impl Copies {
    fn of(graph: &mut GraphProto) -> Result<Self, OnnxError> {
        let tensors = std::mem::take(&mut graph.initializer);
        let mut own = HashMap::new();
        for (place, tensor) in tensors.iter().enumerate() {
            if tensor.data_type() == DataType::Float
                && tensor.dims.iter().any(|&dim| dim > 1)
                && (tensor.dims.len() == 1 || is_constant(tensor)?)
            {
                own.insert(tensor.name().to_owned(), place);
            }
        }
        Ok(Self { tensors, own, used: HashSet::new() })
    }

    fn add(&mut self, place: usize, name: String) {
        let copy = TensorProto { name: Some(name.clone()), ..self.tensors[place].clone() };
        self.own.insert(name, self.tensors.len());
        self.tensors.push(copy);
    }

    /// A name after the node that uses the copy: `<its output>.bias`.
    fn free_name(&self, node: &NodeProto, at: usize) -> String {
        let part = match (node.op_type(), at) {
            ("BatchNormalization", 3) => "running_mean".to_owned(),
            ("BatchNormalization", 4) => "running_var".to_owned(),
            ("Add" | "Sub" | "Mul" | "Div" | "Concat", _) => format!("input{at}"),
            (_, 1) => "weight".to_owned(),
            (_, 2) => "bias".to_owned(),
            _ => format!("input{at}"),
        };
        let mut name = format!("{}.{part}", node.output.first().map_or("", String::as_str));
        while self.own.contains_key(&name) {
            name.push('_');
        }
        name
    }
}

/// Whether all values are equal, such as those of layer scales before training.
fn is_constant(tensor: &TensorProto) -> Result<bool, OnnxError> {
    let values = tensor.to_f32()?;
    Ok(values.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::builder::GraphBuilder;

    fn inputs<'a>(graph: &'a GraphProto, node: &str) -> Vec<&'a str> {
        let node = graph.node.iter().find(|it| it.name() == node).unwrap();
        node.input.iter().map(String::as_str).collect()
    }

    #[test]
    fn every_use_of_a_vector_gets_a_tensor_of_its_own() {
        let mut builder = GraphBuilder::default();
        builder.constant("ones", &[2], &[1.0; 2]);
        builder.constant("zeros", &[2], &[0.0; 2]);
        builder.constant("scale", &[2, 1, 1], &[0.1; 2]);
        builder.constant("root", &[], &[1.4]);
        builder.node("Identity", "second.weight", &["ones"], vec![]);
        builder.node("BatchNormalization", "first", &["x", "ones", "zeros", "zeros", "ones"], vec![]);
        builder.node("BatchNormalization", "second", &["first", "second.weight", "zeros", "zeros", "ones"], vec![]);
        builder.node("Mul", "third", &["scale", "second"], vec![]);
        builder.node("Mul", "fourth", &["scale", "third"], vec![]);
        builder.node("Div", "fifth", &["fourth", "root"], vec![]);
        builder.node("Div", "sixth", &["fifth", "root"], vec![]);
        let mut graph = builder.finish("test");
        untie(&mut graph).unwrap();
        assert_eq!(inputs(&graph, "first"), ["x", "ones", "zeros", "first.running_mean", "first.running_var"]);
        assert_eq!(
            inputs(&graph, "second"),
            ["first", "second.weight", "second.bias", "second.running_mean", "second.running_var"]
        );
        assert_eq!(inputs(&graph, "fourth"), ["fourth.input0", "third"]);
        assert_eq!(inputs(&graph, "sixth"), ["fifth", "root"], "a single number is no parameter");
        assert!(graph.node.iter().all(|node| node.op_type() != "Identity"));
        let copy = graph.initializer.iter().find(|tensor| tensor.name() == "second.running_var").unwrap();
        assert_eq!(copy.to_f32().unwrap(), [1.0, 1.0]);
    }

    #[test]
    fn a_matrix_of_different_values_stays_tied() {
        let mut builder = GraphBuilder::default();
        builder.constant("weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        builder.node("MatMul", "first", &["x", "weight"], vec![]);
        builder.node("MatMul", "second", &["first", "weight"], vec![]);
        let mut graph = builder.finish("test");
        untie(&mut graph).unwrap();
        assert_eq!((inputs(&graph, "first")[1], inputs(&graph, "second")[1]), ("weight", "weight"));
    }
}
