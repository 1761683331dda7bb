//! Constants, ranges and changes of element type.

use tch::{Device, Kind, Tensor};

use super::{Operator, Spec, Table};
use crate::train::network::{
    convert::{is_float, to_tensor},
    error::OperatorError,
};

pub(super) const OPERATORS: Table = &[
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Range", range),
    ("Cast", cast),
    ("CastLike", cast_like),
];

fn constant(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let value = constant_value(spec)?;
    let value = if is_float(value.kind()) { value.f_to_device(spec.device)? } else { value };
    Ok(Box::new(move |_| Ok(vec![value.shallow_clone()])))
}

fn constant_value(spec: &Spec<'_>) -> Result<Tensor, OperatorError> {
    let [attribute] = spec.node.attribute.as_slice() else {
        return Err("a constant has exactly one attribute".into());
    };
    let floats = |values: &[f32]| Tensor::f_from_slice(values)?.f_to_kind(spec.kind);
    Ok(match attribute.name() {
        "value" => tensor_attribute(spec, "value")?.ok_or("value is not a tensor")?,
        "value_int" => Tensor::from(attribute.i.ok_or("value_int is not an integer")?),
        "value_ints" => Tensor::f_from_slice(&attribute.ints)?,
        "value_float" => floats(&[attribute.f.ok_or("value_float is not a float")?])?.f_reshape([])?,
        "value_floats" => floats(&attribute.floats)?,
        other => return Err(format!("attribute {other}").into()),
    })
}

/// A tensor attribute, float32 in the network's precision.
fn tensor_attribute(spec: &Spec<'_>, name: &str) -> Result<Option<Tensor>, OperatorError> {
    let Some(proto) = spec.attribute(name).and_then(|attribute| attribute.t.as_ref()) else { return Ok(None) };
    let tensor = to_tensor(proto).map_err(|error| error.to_string())?;
    Ok(Some(if tensor.kind() == Kind::Float { tensor.f_to_kind(spec.kind)? } else { tensor }))
}

fn constant_of_shape(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let shape = spec.ints_input(0)?;
    let value = match tensor_attribute(spec, "value")? {
        Some(value) => value.f_reshape([])?,
        None => Tensor::f_zeros([0_i64; 0], (spec.kind, Device::Cpu))?,
    };
    let value = if is_float(value.kind()) { value.f_to_device(spec.device)? } else { value };
    Ok(Box::new(move |call| Ok(vec![value.f_expand(shape.require(call)?, false)?.f_contiguous()?])))
}

fn range(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let (start, limit, delta) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let options = (start.kind(), start.device());
        if is_float(start.kind()) {
            let [start, limit, delta] =
                [start.f_double_value(&[])?, limit.f_double_value(&[])?, delta.f_double_value(&[])?];
            let count = ((limit - start) / delta).ceil().max(0.0) as i64;
            // Counted first: libtorch's own float range may have one element more.
            return Ok(vec![Tensor::f_arange(count, options)?.f_mul_scalar(delta)?.f_add_scalar(start)?]);
        }
        let [start, limit, delta] = [start.f_int64_value(&[])?, limit.f_int64_value(&[])?, delta.f_int64_value(&[])?];
        if delta == 0 {
            return Err("a step of 0".into());
        }
        // libtorch refuses a range that goes the other way; here it is empty.
        let limit = if delta > 0 { limit.max(start) } else { limit.min(start) };
        Ok(vec![Tensor::f_arange_start_step(start, limit, delta, options)?])
    }))
}

fn cast(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let kind = spec.kind_of(spec.int("to", 0)?)?;
    Ok(Box::new(move |call| Ok(vec![call.input(0)?.f_to_kind(kind)?])))
}

fn cast_like(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| Ok(vec![call.input(0)?.f_to_kind(call.input(1)?.kind())?])))
}
