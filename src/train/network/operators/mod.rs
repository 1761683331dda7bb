//! The operators, by family. Each family is a table of names and builders; a builder reads a node's attributes once
//! and returns what runs on every step.

mod activation;
mod constant;
mod conv;
mod elementwise;
mod index;
mod linear;
mod norm;
mod pool;
mod reduce;
mod shape;
mod spec;
mod window;

use tch::{Kind, Tensor};

pub(super) use self::spec::{Ints, Spec};
use super::{
    Mode,
    convert::{to_ints, uploaded},
    error::OperatorError,
};

/// What an operator gives.
pub(super) type Outputs = Result<Vec<Tensor>, OperatorError>;
/// An operator with its attributes.
pub(super) type Operator = Box<dyn Fn(&Call<'_>) -> Outputs + Send>;
/// Reads a node's attributes.
pub(super) type Builder = fn(&Spec<'_>) -> Result<Operator, OperatorError>;
/// A family's operators by ONNX name.
type Table = &'static [(&'static str, Builder)];

const FAMILIES: [Table; 10] = [
    activation::OPERATORS,
    constant::OPERATORS,
    conv::OPERATORS,
    elementwise::OPERATORS,
    index::OPERATORS,
    linear::OPERATORS,
    norm::OPERATORS,
    pool::OPERATORS,
    reduce::OPERATORS,
    shape::OPERATORS,
];

/// The builder of an operator of the standard domain.
pub(super) fn find(name: &str) -> Option<Builder> {
    FAMILIES.into_iter().flatten().find(|(known, _)| *known == name).map(|(_, builder)| *builder)
}

/// The names of all operators.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().flatten().map(|(name, _)| *name)
}

/// One node's turn: its inputs and the mode.
pub(super) struct Call<'a> {
    /// The node's name.
    pub(super) name: &'a str,
    /// One for each input of the node; `None` for an optional one left out.
    pub(super) inputs: Vec<Option<&'a Tensor>>,
    /// Whether the first input's memory may be reused for the output: large activations are half of a step's memory
    /// traffic.
    pub(super) overwrite: bool,
    /// Whether batch norm and dropout train.
    pub(super) mode: &'a Mode<'a>,
}

impl Call<'_> {
    /// A required input.
    fn input(&self, place: usize) -> Result<&Tensor, OperatorError> {
        self.optional(place).ok_or_else(|| OperatorError::Invalid(format!("input {place} is missing")))
    }

    /// An input that may be left out.
    fn optional(&self, place: usize) -> Option<&Tensor> {
        self.inputs.get(place).copied().flatten()
    }

    /// Every input; none may be left out.
    fn all(&self) -> Result<Vec<&Tensor>, OperatorError> {
        (0..self.inputs.len()).map(|place| self.input(place)).collect()
    }

    /// The values of an integer input.
    fn ints(&self, place: usize) -> Result<Vec<i64>, OperatorError> {
        Ok(to_ints(self.input(place)?)?)
    }
}

/// An operator of one input and one output without attributes.
fn unary(run: fn(&Tensor) -> Result<Tensor, tch::TchError>) -> Result<Operator, OperatorError> {
    Ok(Box::new(move |call| Ok(vec![run(call.input(0)?)?])))
}

/// The same for an operator that can also overwrite its input.
fn unary_in_place(
    run: fn(&Tensor) -> Result<Tensor, tch::TchError>,
    overwrite: fn(&mut Tensor) -> Result<Tensor, tch::TchError>,
) -> Result<Operator, OperatorError> {
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        Ok(vec![if call.overwrite { overwrite(&mut input.shallow_clone())? } else { run(input)? }])
    }))
}

/// `axis` counted from the front, for a tensor of `rank` dimensions.
fn axis_of(axis: i64, rank: usize) -> Result<i64, OperatorError> {
    let rank = rank as i64;
    let front = if axis < 0 { axis + rank } else { axis };
    // A scalar has one axis for the operators that take an axis at all.
    if (0..rank.max(1)).contains(&front) {
        return Ok(front);
    }
    Err(OperatorError::Invalid(format!("axis {axis} of a tensor with {rank} dimensions")))
}

/// `tensor`, moved to where `other` is: integers live in host memory, see [`super::Network`].
fn beside(tensor: &Tensor, other: &Tensor) -> Result<Tensor, tch::TchError> {
    uploaded(tensor, other.device())
}

/// `values` as a 1-D int64 tensor beside `other`.
fn indices(values: &[i64], other: &Tensor) -> Result<Tensor, tch::TchError> {
    uploaded(&Tensor::f_from_slice(values)?.f_to_kind(Kind::Int64)?, other.device())
}
