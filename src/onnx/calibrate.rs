//! Score calibration as nodes of the graph, between the logits and the sigmoid or softmax.
//!
//! `scores = activation(logits · scale + shift)`: for each label of a multi-label model its own scale and shift (Platt
//! 1999), for a single-label model one scale for all, the inverse temperature (Guo et al. 2017). The constants'
//! names start with [`CALIBRATION_PREFIX`], so that nobody takes them for parameters to be trained.

use super::{GraphProto, NodeProto, OnnxError, TensorProto};

/// Initializers and nodes whose names start so belong to the calibration.
pub const CALIBRATION_PREFIX: &str = "calibration.";
const SCALE: &str = "calibration.scale";
const SHIFT: &str = "calibration.shift";
const SCALED: &str = "calibration.scaled";
const SHIFTED: &str = "calibration.shifted";

/// What logits are multiplied by, and what is then added.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Above 0; one for each label, or one for all.
    pub scales: Vec<f32>,
    /// As many as there are scales.
    pub shifts: Vec<f32>,
}

impl Calibration {
    /// Changes nothing.
    pub fn identity(labels: usize) -> Self {
        Self { scales: vec![1.0; labels], shifts: vec![0.0; labels] }
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.scales.iter().all(|&scale| scale == 1.0) && self.shifts.iter().all(|&shift| shift == 0.0)
    }
}

/// Puts a calibration before the sigmoid or softmax that makes `output`, in place of one that is there.
///
/// # Errors
/// A graph whose output is made by something else.
pub fn insert(graph: &mut GraphProto, output: &str, calibration: &Calibration) -> Result<(), OnnxError> {
    remove(graph);
    let place = graph
        .node
        .iter()
        .position(|node| matches!(node.op_type(), "Sigmoid" | "Softmax") && node.output.iter().any(|o| o == output))
        .ok_or_else(|| {
            OnnxError::Graph(format!("{output:?} is made by no Sigmoid or Softmax, so it cannot be calibrated"))
        })?;
    let logits = graph.node[place].input.first().cloned().unwrap_or_default();
    graph.node[place].input = vec![SHIFTED.to_owned()];
    let node = |op_type: &str, name: &str, inputs: [&str; 2]| NodeProto {
        op_type: Some(op_type.to_owned()),
        name: Some(name.to_owned()),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![name.to_owned()],
        ..NodeProto::default()
    };
    let nodes = [node("Mul", SCALED, [&logits, SCALE]), node("Add", SHIFTED, [SCALED, SHIFT])];
    graph.node.splice(place..place, nodes);
    for (name, values) in [(SCALE, &calibration.scales), (SHIFT, &calibration.shifts)] {
        graph.initializer.push(TensorProto::from_f32(name, &[1, values.len() as i64], values));
    }
    Ok(())
}

/// Takes a calibration out, so that the activation has the logits as they are; does nothing where there is none.
pub fn remove(graph: &mut GraphProto) {
    let first = graph.node.iter().find(|node| node.output.iter().any(|output| output == SCALED));
    let Some(logits) = first.and_then(|node| node.input.first().cloned()) else { return };
    graph.node.retain(|node| !node.output.iter().any(|output| output.starts_with(CALIBRATION_PREFIX)));
    graph.initializer.retain(|tensor| !tensor.name().starts_with(CALIBRATION_PREFIX));
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|input| *input == SHIFTED) {
        input.clone_from(&logits);
    }
}

/// The calibration of a graph; none where it has none.
///
/// # Errors
/// Constants that cannot be read.
pub fn find(graph: &GraphProto) -> Result<Option<Calibration>, OnnxError> {
    let values = |name: &str| graph.initializer.iter().find(|tensor| tensor.name() == name).map(TensorProto::to_f32);
    let (Some(scales), Some(shifts)) = (values(SCALE), values(SHIFT)) else { return Ok(None) };
    Ok(Some(Calibration { scales: scales?, shifts: shifts? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{builder::GraphBuilder, proto::DataType};

    fn graph(activation: &str) -> GraphProto {
        let mut builder = GraphBuilder::default();
        builder.input("x", DataType::Float, &[-1, 2]);
        builder.node("Identity", "logits", &["x"], vec![]);
        builder.node(activation, "scores", &["logits"], vec![]);
        builder.output("scores", DataType::Float, &[-1, 2]);
        builder.finish("g")
    }

    #[test]
    fn a_calibration_stands_between_logits_and_activation_and_comes_out_again() {
        let plain = graph("Sigmoid");
        let mut changed = plain.clone();
        let first = Calibration { scales: vec![0.5, 2.0], shifts: vec![0.1, -1.0] };
        insert(&mut changed, "scores", &first).unwrap();
        let operators: Vec<&str> = changed.node.iter().map(NodeProto::op_type).collect();
        assert_eq!(operators, ["Identity", "Mul", "Add", "Sigmoid"]);
        assert_eq!(find(&changed).unwrap(), Some(first));
        // A second one takes the place of the first.
        let second = Calibration { scales: vec![3.0], shifts: vec![0.0] };
        insert(&mut changed, "scores", &second).unwrap();
        assert_eq!((changed.node.len(), find(&changed).unwrap()), (4, Some(second)));
        remove(&mut changed);
        assert!(changed == plain);
        assert_eq!(find(&changed).unwrap(), None);
    }

    #[test]
    fn an_output_without_activation_is_refused() {
        let error = insert(&mut graph("Relu"), "scores", &Calibration::identity(2)).unwrap_err();
        assert!(error.to_string().contains("no Sigmoid or Softmax"), "{error}");
    }
}
