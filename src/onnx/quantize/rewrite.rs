//! Putting QuantizeLinear and DequantizeLinear around units.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    fold::fold_into_linear_layers,
    links::{Links, int_of},
    numbers::{Params, WeightRange, least_scales, quantise_bias, quantise_weights},
    picture::{self, PictureWay},
    range::Range,
    units::{Kind, Unit, active, channel_axis, units},
};
use crate::onnx::{
    GraphProto, NodeProto, OnnxError, TensorProto,
    builder::{int, prune},
    proto::DataType,
};

/// What becomes of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The range of each activation by name.
    pub ranges: &'a BTreeMap<String, Range>,
    /// Names of units that stay in float32.
    pub in_float: &'a BTreeSet<String>,
    /// How large weights may be.
    pub weights: WeightRange,
}

/// The quantised form of a graph that [`super::simplify`] has simplified.
///
/// # Errors
/// An activation without a range, and tensors that cannot be read.
pub fn rewrite(graph: &GraphProto, recipe: &Recipe<'_>) -> Result<GraphProto, OnnxError> {
    let mut graph = graph.clone();
    let before = units(&graph);
    let chosen = before.iter().zip(active(&before, recipe.in_float)).filter(|(_, active)| *active);
    fold_into_linear_layers(&mut graph, &chosen.map(|(unit, _)| unit.name.as_str()).collect())?;
    write(&graph, recipe)
}

fn write(graph: &GraphProto, recipe: &Recipe<'_>) -> Result<GraphProto, OnnxError> {
    let units = units(graph);
    let active = active(&units, recipe.in_float);
    let chosen: HashMap<usize, &Unit> =
        units.iter().zip(&active).filter(|(_, active)| **active).map(|(unit, _)| (unit.node, unit)).collect();
    let picture = picture::find(graph)?.filter(|way| chosen.contains_key(&way.conv));
    let mut writer = Writer {
        links: Links::of(graph),
        recipe,
        same_as: chosen
            .values()
            .filter(|unit| unit.kind == Kind::Passive)
            .map(|unit| (unit.output.as_str(), unit.inputs[0].as_str()))
            .collect(),
        params: HashMap::new(),
        bytes: HashMap::new(),
        dequantised: HashMap::new(),
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let mut skipped: HashSet<usize> = chosen.values().filter_map(|unit| unit.activation).collect();
    if let Some(way) = &picture {
        skipped.extend(&way.dropped);
        writer.take_picture(way);
        skipped.extend(&way.kept);
    }
    for (place, node) in graph.node.iter().enumerate() {
        if skipped.contains(&place) {
            continue;
        }
        match chosen.get(&place) {
            Some(unit) => writer.unit(unit, node, picture.as_ref().filter(|way| way.conv == place))?,
            None => writer.in_float(node),
        }
    }
    let Writer { nodes, initializers, .. } = writer;
    let mut graph = GraphProto { node: nodes, ..graph.clone() };
    graph.initializer.extend(initializers);
    prune(&mut graph);
    Ok(graph)
}

struct Writer<'a> {
    links: Links<'a>,
    recipe: &'a Recipe<'a>,
    /// Outputs whose bytes mean what those of an input mean.
    same_as: HashMap<&'a str, &'a str>,
    /// Activations that have scale and zero point among the initializers.
    params: HashMap<String, Params>,
    /// The bytes of quantised activations.
    bytes: HashMap<String, String>,
    /// The float32 form of quantised activations.
    dequantised: HashMap<String, String>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    /// The bytes of the picture are what the first convolution takes.
    fn take_picture(&mut self, way: &PictureWay) {
        let mut tensor = way.input.clone();
        for &place in &way.kept {
            let mut node = self.links.node(place).clone();
            node.input[0] = tensor;
            tensor = format!("int8.{}", node.output[0]);
            node.output = vec![tensor.clone()];
            self.nodes.push(node);
        }
        let input = self.links.node(way.conv).input[0].clone();
        self.declare(&input, way.params);
        self.dequantise(&input, &tensor);
    }

    /// A node that stays what it is.
    fn in_float(&mut self, layer: &NodeProto) {
        let mut node = layer.clone();
        if let Some(first) = node.input.first_mut()
            && let Some(channels) = taken_channels(layer, &self.links)
            && let Some(name) = self.by_channel(first, channels)
        {
            *first = name;
        }
        for input in &mut node.input {
            if let Some(name) = self.dequantised.get(input) {
                input.clone_from(name);
            }
        }
        self.nodes.push(node);
    }

    fn unit(&mut self, unit: &Unit, node: &NodeProto, picture: Option<&PictureWay>) -> Result<(), OnnxError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for input in &unit.inputs {
            inputs.push(self.in_bytes(input)?);
        }
        match unit.kind {
            Kind::Conv | Kind::Gemm => inputs.extend(self.weights(unit, node, picture)?),
            // Shapes and axes.
            _ => inputs.extend(node.input.iter().skip(unit.inputs.len()).cloned()),
        }
        self.nodes.push(NodeProto { input: inputs, output: vec![unit.output.clone()], ..node.clone() });
        if unit.makes_bytes() {
            self.in_bytes(&unit.output)?;
        }
        Ok(())
    }

    /// The name of an activation's float32 form behind its bytes, which are made where they are not there yet.
    fn in_bytes(&mut self, tensor: &str) -> Result<String, OnnxError> {
        if let Some(name) = self.dequantised.get(tensor) {
            return Ok(name.clone());
        }
        let params = self.params_of(tensor)?;
        self.declare(tensor, params);
        let bytes = format!("int8.{tensor}.bytes");
        let [scale, zero] = constants_of(tensor);
        self.nodes.push(node("QuantizeLinear", [tensor, &scale, &zero], &bytes));
        Ok(self.dequantise(tensor, &bytes))
    }

    fn dequantise(&mut self, tensor: &str, bytes: &str) -> String {
        let [scale, zero] = constants_of(tensor);
        let name = format!("int8.{tensor}");
        self.nodes.push(node("DequantizeLinear", [bytes, &scale, &zero], &name));
        self.bytes.insert(tensor.to_owned(), bytes.to_owned());
        self.dequantised.insert(tensor.to_owned(), name.clone());
        name
    }

    /// The float32 form of a quantised activation, with its one scale repeated for each channel.
    ///
    /// ONNX Runtime quantises a float32 layer behind a DequantizeLinear of one scale by itself (its
    /// WeightBiasQuantization, with one scale for all weights): the very layers that are to stay in float32.
    fn by_channel(&mut self, tensor: &str, channels: i64) -> Option<String> {
        let bytes = self.bytes.get(tensor)?.clone();
        let params = self.params_of(tensor).ok()?;
        let name = format!("int8.{tensor}.float");
        let [scale, zero] = ["scale", "zero"].map(|part| format!("{name}.{part}"));
        // A second float32 layer may take the same.
        if !self.nodes.iter().any(|node| node.output.first() == Some(&name)) {
            let count = channels as usize;
            self.initializers.push(TensorProto::from_f32(&scale, &[channels], &vec![params.scale; count]));
            let zeros = vec![params.zero_point; count];
            self.initializers.push(TensorProto::from_raw(&zero, &[channels], DataType::Uint8, zeros));
            let dequantise = node("DequantizeLinear", [&bytes, &scale, &zero], &name);
            self.nodes.push(NodeProto { attribute: vec![int("axis", 1)], ..dequantise });
        }
        Some(name)
    }

    fn params_of(&self, tensor: &str) -> Result<Params, OnnxError> {
        let mut source = tensor;
        while let Some(before) = self.same_as.get(source) {
            source = before;
        }
        if let Some(params) = self.params.get(source) {
            return Ok(*params);
        }
        let range = self.recipe.ranges.get(source);
        let range = range.ok_or_else(|| OnnxError::Graph(format!("activation {source:?} has no range")))?;
        Ok(Params::of(*range))
    }

    fn declare(&mut self, tensor: &str, params: Params) {
        let [scale, zero] = constants_of(tensor);
        self.initializers.push(TensorProto::from_f32(&scale, &[], &[params.scale]));
        self.initializers.push(TensorProto::from_raw(&zero, &[], DataType::Uint8, vec![params.zero_point]));
        self.params.insert(tensor.to_owned(), params);
    }

    /// Weights, and bias where there is one, as the outputs of nodes that dequantise them.
    fn weights(
        &mut self,
        unit: &Unit,
        layer: &NodeProto,
        picture: Option<&PictureWay>,
    ) -> Result<Vec<String>, OnnxError> {
        let mut values = self.links.floats(&layer.input[1])?;
        let dims = self.links.constant(&layer.input[1]).map(|tensor| tensor.dims.clone()).unwrap_or_default();
        let shape: Vec<usize> = dims.iter().map(|&dim| dim as usize).collect();
        let axis = channel_axis(unit, layer);
        let mut bias = match layer.input.get(2).filter(|name| !name.is_empty()) {
            Some(bias) => self.links.floats(bias)?,
            None => vec![0.0; shape[axis]],
        };
        if let Some(way) = picture {
            way.absorb(&mut values, &mut bias);
        }
        let input = self.params.get(&unit.inputs[0]).map_or(1.0, |params| params.scale);
        let least = least_scales(&bias, input);
        let (bytes, scales) = quantise_weights(&values, &shape, axis, self.recipe.weights, &least);
        let raw = bytes.into_iter().flat_map(i8::to_le_bytes).collect();
        let name = layer.output.first().map_or("", String::as_str);
        let weight = TensorProto::from_raw(&format!("int8.{name}.weight"), &dims, DataType::Int8, raw);
        let (steps, units) = quantise_bias(&bias, input, &scales);
        let raw = steps.into_iter().flat_map(i32::to_le_bytes).collect();
        let bias = TensorProto::from_raw(&format!("int8.{name}.bias"), &[units.len() as i64], DataType::Int32, raw);
        Ok(vec![self.constant(weight, &scales, axis as i64), self.constant(bias, &units, 0)])
    }

    /// Adds a quantised constant with a scale for each channel and zero points of 0; gives its float32 form's name.
    fn constant(&mut self, tensor: TensorProto, scales: &[f32], axis: i64) -> String {
        let name = tensor.name().to_owned();
        let [scale, zero, float] = ["scale", "zero", "float"].map(|part| format!("{name}.{part}"));
        let channels = [scales.len() as i64];
        let width = if tensor.data_type() == DataType::Int8 { 1 } else { 4 };
        let zeros = vec![0; width * scales.len()];
        self.initializers.push(TensorProto::from_f32(&scale, &channels, scales));
        self.initializers.push(TensorProto::from_raw(&zero, &channels, tensor.data_type(), zeros));
        self.initializers.push(tensor);
        let dequantise = node("DequantizeLinear", [&name, &scale, &zero], &float);
        self.nodes.push(NodeProto { attribute: vec![int("axis", axis)], ..dequantise });
        float
    }
}

/// The channels that a float32 layer with constant weights takes; `None` for other nodes.
fn taken_channels(layer: &NodeProto, links: &Links<'_>) -> Option<i64> {
    let dims = &links.constant(layer.input.get(1)?)?.dims;
    match layer.op_type() {
        "Conv" => dims.get(1).map(|dim| dim * int_of(layer, "group", 1)),
        "ConvTranspose" => dims.first().copied(),
        "Gemm" if int_of(layer, "transB", 0) != 0 => dims.get(1).copied(),
        "Gemm" => dims.first().copied(),
        _ => None,
    }
}

/// The names of an activation's scale and zero point.
fn constants_of(tensor: &str) -> [String; 2] {
    [format!("int8.{tensor}.scale"), format!("int8.{tensor}.zero")]
}

fn node(op_type: &str, inputs: [&str; 3], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op_type.to_owned()),
        name: Some(output.to_owned()),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}
