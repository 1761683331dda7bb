//! Activations and other functions of one tensor.

use tch::{Kind, Tensor};

use super::{Operator, Spec, Table, axis_of, unary, unary_in_place};
use crate::train::network::{convert::is_float, error::OperatorError};

pub(super) const OPERATORS: Table = &[
    ("Relu", |_| unary_in_place(Tensor::f_relu, Tensor::f_relu_)),
    ("Sigmoid", |_| unary(Tensor::f_sigmoid)),
    ("Tanh", |_| unary(Tensor::f_tanh)),
    ("Erf", |_| unary(Tensor::f_erf)),
    ("HardSwish", |_| unary(Tensor::f_hardswish)),
    ("Mish", |_| unary(Tensor::f_mish)),
    ("Softplus", |_| unary(Tensor::f_softplus)),
    ("Softsign", |_| unary(|x| x.f_div(&x.f_abs()?.f_add_scalar(1.0)?))),
    ("HardSigmoid", hard_sigmoid),
    ("LeakyRelu", leaky_relu),
    ("PRelu", p_relu),
    ("Elu", elu),
    ("Gelu", gelu),
    ("Swish", swish),
    ("Clip", clip),
    ("Softmax", |spec| softmax(spec, |x, axis| x.f_softmax(axis, None))),
    ("LogSoftmax", |spec| softmax(spec, |x, axis| x.f_log_softmax(axis, None))),
];

fn hard_sigmoid(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let (alpha, beta) = (spec.float("alpha", 0.2)?, spec.float("beta", 0.5)?);
    if (alpha - 1.0 / 6.0).abs() < 1e-7 && beta == 0.5 {
        return unary(Tensor::f_hardsigmoid);
    }
    Ok(Box::new(move |call| {
        let line = call.input(0)?.f_mul_scalar(alpha)?.f_add_scalar(beta)?;
        Ok(vec![line.f_clamp(0.0, 1.0)?])
    }))
}

fn leaky_relu(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let slope = spec.float("alpha", 0.01)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        // The binding's leaky_relu has no slope, its prelu has.
        Ok(vec![input.f_prelu(&Tensor::f_full([1], slope, (input.kind(), input.device()))?)?])
    }))
}

fn p_relu(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let (input, slope) = (call.input(0)?, call.input(1)?);
        let negative = input.f_mul(slope)?;
        Ok(vec![input.f_where_self(&input.f_ge(0.0)?, &negative)?.f_to_kind(input.kind())?])
    }))
}

fn elu(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let alpha = spec.float("alpha", 1.0)?;
    if alpha == 1.0 {
        return unary(Tensor::f_elu);
    }
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        // Bounded first: where both branches are computed, an infinite one would make the gradient NaN.
        let negative = input.f_clamp_max(0.0)?.f_expm1()?.f_mul_scalar(alpha)?;
        Ok(vec![input.f_where_self(&input.f_gt(0.0)?, &negative)?])
    }))
}

fn gelu(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let approximate = spec.string("approximate", "none")?;
    Ok(Box::new(move |call| Ok(vec![call.input(0)?.f_gelu(&approximate)?])))
}

fn swish(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let alpha = spec.float("alpha", 1.0)?;
    if alpha == 1.0 {
        return unary(Tensor::f_silu);
    }
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        Ok(vec![input.f_mul(&input.f_mul_scalar(alpha)?.f_sigmoid()?)?])
    }))
}

/// Bounds are constants in every graph that we have seen: then they are plain numbers here.
fn clip(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let bound = |place: usize| -> Result<Option<f64>, OperatorError> {
        Ok(spec.constant(place).map(|bound| bound.f_reshape([])?.f_double_value(&[])).transpose()?)
    };
    let (low, high) = (bound(1)?, bound(2)?);
    if spec.has_input(1) != low.is_some() || spec.has_input(2) != high.is_some() {
        return Ok(Box::new(|call| {
            let bounds = (call.optional(1), call.optional(2));
            Ok(vec![call.input(0)?.f_clamp_tensor(bounds.0, bounds.1)?])
        }));
    }
    match (low, high) {
        // One pass forwards and one backwards, where a general clamp makes several.
        (Some(0.0), Some(6.0)) => unary_in_place(Tensor::f_relu6, Tensor::f_relu6_),
        (None, None) => unary(|x| Ok(x.shallow_clone())),
        _ => Ok(Box::new(move |call| Ok(vec![clamp(call.input(0)?, low, high)?]))),
    }
}

fn clamp(input: &Tensor, low: Option<f64>, high: Option<f64>) -> Result<Tensor, tch::TchError> {
    // A float bound would turn integers into floats.
    let integers = !is_float(input.kind());
    match (low, high) {
        (Some(low), Some(high)) if integers => input.f_clamp(low as i64, high as i64),
        (Some(low), Some(high)) => input.f_clamp(low, high),
        (Some(low), None) if integers => input.f_clamp_min(low as i64),
        (Some(low), None) => input.f_clamp_min(low),
        (None, Some(high)) if integers => input.f_clamp_max(high as i64),
        (None, Some(high)) => input.f_clamp_max(high),
        (None, None) => Ok(input.shallow_clone()),
    }
}

type AlongAxis = fn(&Tensor, i64) -> Result<Tensor, tch::TchError>;

fn softmax(spec: &Spec<'_>, run: AlongAxis) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", -1)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        Ok(vec![run(input, axis_of(axis, input.dim())?)?])
    }))
}

/// Kinds whose comparison with a number makes sense to a unary test.
pub(super) fn is_infinite(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let (negative, positive) = (spec.flag("detect_negative", true)?, spec.flag("detect_positive", true)?);
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let found = match (negative, positive) {
            (true, true) => input.f_isinf()?,
            (true, false) => input.f_isneginf()?,
            (false, true) => input.f_isposinf()?,
            (false, false) => input.f_zeros_like()?.f_to_kind(Kind::Bool)?,
        };
        Ok(vec![found])
    }))
}
