//! Arithmetic, comparison and logic, element by element with broadcasting.

use tch::{TchError, Tensor};

use super::{Operator, Spec, Table, activation::is_infinite, beside, unary};
use crate::train::network::{convert::is_float, error::OperatorError};

pub(super) const OPERATORS: Table = &[
    ("Abs", |_| unary(Tensor::f_abs)),
    ("Neg", |_| unary(Tensor::f_neg)),
    ("Exp", |_| unary(Tensor::f_exp)),
    ("Log", |_| unary(Tensor::f_log)),
    ("Sqrt", |_| unary(Tensor::f_sqrt)),
    ("Reciprocal", |_| unary(Tensor::f_reciprocal)),
    ("Floor", |_| unary(Tensor::f_floor)),
    ("Ceil", |_| unary(Tensor::f_ceil)),
    ("Round", |_| unary(Tensor::f_round)),
    ("Sign", |_| unary(Tensor::f_sign)),
    ("Sin", |_| unary(Tensor::f_sin)),
    ("Cos", |_| unary(Tensor::f_cos)),
    ("Not", |_| unary(Tensor::f_logical_not)),
    ("IsNaN", |_| unary(Tensor::f_isnan)),
    ("IsInf", is_infinite),
    ("Add", add),
    ("Sub", |_| binary(Tensor::f_sub)),
    ("Mul", |_| binary(Tensor::f_mul)),
    ("Div", |_| binary(div)),
    ("Pow", |_| binary(|base, exponent| base.f_pow(exponent)?.f_to_kind(base.kind()))),
    ("Mod", modulo),
    ("Equal", |_| binary(Tensor::f_eq_tensor)),
    ("Greater", |_| binary(Tensor::f_gt_tensor)),
    ("GreaterOrEqual", |_| binary(Tensor::f_ge_tensor)),
    ("Less", |_| binary(Tensor::f_lt_tensor)),
    ("LessOrEqual", |_| binary(Tensor::f_le_tensor)),
    ("And", |_| binary(Tensor::f_logical_and)),
    ("Or", |_| binary(Tensor::f_logical_or)),
    ("Xor", |_| binary(Tensor::f_logical_xor)),
    ("Min", |_| fold(Tensor::f_minimum)),
    ("Max", |_| fold(Tensor::f_maximum)),
    ("Sum", |_| fold(Tensor::f_add)),
    ("Mean", mean),
    ("Where", where_),
];

type Binary = fn(&Tensor, &Tensor) -> Result<Tensor, TchError>;

fn binary(run: Binary) -> Result<Operator, OperatorError> {
    Ok(Box::new(move |call| {
        let (left, right) = (call.input(0)?, call.input(1)?);
        Ok(vec![together(run, left, right)?])
    }))
}

fn add(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let (left, right) = (call.input(0)?, call.input(1)?);
        if call.overwrite && left.size() == right.size() && left.kind() == right.kind() {
            return Ok(vec![left.shallow_clone().f_add_(right)?]);
        }
        Ok(vec![together(Tensor::f_add, left, right)?])
    }))
}

/// Runs on two tensors wherever they are: a number computed from shapes is in host memory.
fn together(run: Binary, left: &Tensor, right: &Tensor) -> Result<Tensor, TchError> {
    if left.device() == right.device() {
        return run(left, right);
    }
    if left.device() == tch::Device::Cpu { run(&beside(left, right)?, right) } else { run(left, &beside(right, left)?) }
}

/// Integers are divided as in C, towards zero.
fn div(left: &Tensor, right: &Tensor) -> Result<Tensor, TchError> {
    if is_float(left.kind()) { left.f_div(right) } else { left.f_div_tensor_mode(right, "trunc") }
}

fn modulo(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    // The sign is the dividend's with fmod, as in C, else the divisor's, as in Python.
    if spec.flag("fmod", false)? { binary(Tensor::f_fmod_tensor) } else { binary(Tensor::f_remainder_tensor) }
}

/// An operator of any number of inputs, from left to right.
fn fold(run: Binary) -> Result<Operator, OperatorError> {
    Ok(Box::new(move |call| {
        let mut result = call.input(0)?.shallow_clone();
        for input in &call.all()?[1..] {
            result = together(run, &result, input)?;
        }
        Ok(vec![result])
    }))
}

fn mean(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let count = spec.node.input.len() as f64;
    let sum = fold(Tensor::f_add)?;
    Ok(Box::new(move |call| sum(call)?.iter().map(|sum| Ok(sum.f_div_scalar(count)?)).collect()))
}

fn where_(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let (condition, yes, no) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let no = if yes.device() == tch::Device::Cpu { no.shallow_clone() } else { beside(no, yes)? };
        let yes = beside(yes, &no)?;
        Ok(vec![yes.f_where_self(&beside(condition, &yes)?, &no)?])
    }))
}
