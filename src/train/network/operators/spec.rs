//! A node as its operator's builder sees it: attributes and constant inputs, with typed access.

use tch::{Device, Kind, Tensor};

use super::Call;
use crate::{
    onnx::{NodeProto, proto::AttributeProto, proto::DataType},
    train::network::{
        convert::{kind_of, to_ints},
        error::OperatorError,
    },
};

/// A node before the first step.
pub(in crate::train::network) struct Spec<'a> {
    /// The node.
    pub(in crate::train::network) node: &'a NodeProto,
    /// What float32 tensors of the graph become.
    pub(in crate::train::network) kind: Kind,
    /// Where float tensors live.
    pub(in crate::train::network) device: Device,
    /// For each input the value, where it never changes.
    pub(in crate::train::network) constants: Vec<Option<&'a Tensor>>,
}

impl Spec<'_> {
    pub(super) fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name() == name)
    }

    /// An integer attribute, or its default.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, OperatorError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        attribute.i.ok_or_else(|| format!("attribute {name} is not an integer").into())
    }

    /// A flag, which ONNX writes as an integer.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, OperatorError> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    /// A float attribute, or its default: the decimal number that the file's float32 stands for, so that a graph run
    /// in float64 has 1e-5 and not the nearest float32.
    pub(super) fn float(&self, name: &str, default: f64) -> Result<f64, OperatorError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        let value = attribute.f.ok_or_else(|| format!("attribute {name} is not a float"))?;
        Ok(value.to_string().parse().unwrap_or(f64::from(value)))
    }

    /// A string attribute, or its default.
    pub(super) fn string(&self, name: &str, default: &str) -> Result<String, OperatorError> {
        let Some(attribute) = self.attribute(name) else { return Ok(default.to_owned()) };
        let bytes = attribute.s.clone().ok_or_else(|| format!("attribute {name} is not a string"))?;
        String::from_utf8(bytes).map_err(|_| format!("attribute {name} is not UTF-8").into())
    }

    /// A list of integers, where the attribute is there.
    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.ints.clone())
    }

    /// Integers that the operator takes as attribute `name` in old operator sets and as input `place` in new ones.
    pub(super) fn ints_or_input(&self, name: &str, place: usize) -> Result<Ints, OperatorError> {
        match self.ints(name) {
            Some(values) => Ok(Ints::Constant(values)),
            None => self.ints_input(place),
        }
    }

    /// Integers from input `place`.
    pub(super) fn ints_input(&self, place: usize) -> Result<Ints, OperatorError> {
        if !self.has_input(place) {
            return Ok(Ints::Absent);
        }
        match self.constant(place) {
            Some(tensor) => Ok(Ints::Constant(to_ints(tensor)?)),
            None => Ok(Ints::Input(place)),
        }
    }

    /// The value of input `place`, where it never changes.
    pub(super) fn constant(&self, place: usize) -> Option<&Tensor> {
        self.constants.get(place).copied().flatten()
    }

    /// Whether input `place` is given.
    pub(super) fn has_input(&self, place: usize) -> bool {
        self.node.input.get(place).is_some_and(|name| !name.is_empty())
    }

    /// Whether output `place` is asked for.
    pub(super) fn has_output(&self, place: usize) -> bool {
        self.node.output.get(place).is_some_and(|name| !name.is_empty())
    }

    /// What elements of an ONNX type are here: float32 is the network's kind.
    pub(super) fn kind_of(&self, data_type: i64) -> Result<Kind, OperatorError> {
        let known = i32::try_from(data_type).ok().and_then(|number| DataType::try_from(number).ok());
        let kind = known.and_then(kind_of).ok_or_else(|| format!("element type {data_type} is not supported"))?;
        Ok(if kind == Kind::Float { self.kind } else { kind })
    }
}

/// Integers that steer an operator: axes, shapes, pads.
#[derive(Clone, Debug)]
pub(in crate::train::network) enum Ints {
    /// Known before the first step.
    Constant(Vec<i64>),
    /// Computed by the graph.
    Input(usize),
    /// Left out.
    Absent,
}

impl Ints {
    /// The values now, or `None` where they were left out.
    pub(super) fn get(&self, call: &Call<'_>) -> Result<Option<Vec<i64>>, OperatorError> {
        match self {
            Self::Constant(values) => Ok(Some(values.clone())),
            Self::Input(place) => Ok(Some(call.ints(*place)?)),
            Self::Absent => Ok(None),
        }
    }

    /// The values now; leaving them out is an error.
    pub(super) fn require(&self, call: &Call<'_>) -> Result<Vec<i64>, OperatorError> {
        self.get(call)?.ok_or_else(|| "an input with integers is missing".into())
    }
}
