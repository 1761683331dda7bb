//! Operators that change or give shapes and move no elements, but for transposing.

use tch::{Kind, Tensor};

use super::{Operator, Outputs, Spec, Table, axis_of, unary};
use crate::train::network::error::OperatorError;

pub(super) const OPERATORS: Table = &[
    ("Identity", |_| unary(|x| Ok(x.shallow_clone()))),
    ("Flatten", flatten),
    ("Reshape", reshape),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
    ("Squeeze", squeeze),
    ("Expand", expand),
    ("Shape", shape),
    ("Size", |_| Ok(Box::new(|call| Ok(vec![Tensor::from(call.input(0)?.numel() as i64)])))),
];

fn flatten(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", 1)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let size = input.size();
        let axis = if axis < 0 { axis + size.len() as i64 } else { axis };
        let Some((rows, columns)) = usize::try_from(axis).ok().and_then(|axis| size.split_at_checked(axis)) else {
            return Err(format!("axis {axis} of a tensor of shape {size:?}").into());
        };
        Ok(vec![input.f_reshape([rows.iter().product::<i64>(), columns.iter().product()])?])
    }))
}

fn reshape(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let shape = spec.ints_or_input("shape", 1)?;
    let allow_zero = spec.flag("allowzero", false)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let mut shape = shape.require(call)?;
        if !allow_zero {
            let size = input.size();
            for (place, dim) in shape.iter_mut().enumerate().filter(|(_, dim)| **dim == 0) {
                *dim = *size.get(place).ok_or_else(|| format!("0 at place {place} of the shape for {size:?}"))?;
            }
        }
        Ok(vec![input.f_reshape(shape)?])
    }))
}

fn transpose(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let order = spec.ints("perm");
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let order = order.clone().unwrap_or_else(|| (0..input.dim() as i64).rev().collect());
        Ok(vec![input.f_permute(order)?])
    }))
}

fn unsqueeze(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axes = spec.ints_or_input("axes", 1)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let axes = axes.require(call)?;
        let rank = input.dim() + axes.len();
        let mut axes = axes.iter().map(|&axis| axis_of(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        let mut result = input.shallow_clone();
        for axis in axes {
            result = result.f_unsqueeze(axis)?;
        }
        Ok(vec![result])
    }))
}

fn squeeze(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axes = spec.ints_or_input("axes", 1)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let Some(axes) = axes.get(call)? else { return Ok(vec![input.f_squeeze()?]) };
        let size = input.size();
        let axes = axes.iter().map(|&axis| axis_of(axis, size.len())).collect::<Result<Vec<_>, _>>()?;
        if axes.iter().any(|&axis| size.get(axis as usize) != Some(&1)) {
            return Err(format!("axes {axes:?} of a tensor of shape {size:?} are not all 1").into());
        }
        Ok(vec![input.f_squeeze_dims(axes)?])
    }))
}

fn expand(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let shape = spec.ints_input(1)?;
    Ok(Box::new(move |call| expand_to(call.input(0)?, &shape.require(call)?)))
}

/// Broadcasts in both directions: a 1 in the wanted shape leaves the input's length.
fn expand_to(input: &Tensor, shape: &[i64]) -> Outputs {
    let size = input.size();
    let rank = size.len().max(shape.len());
    let dim_at = |dims: &[i64], place: usize| (place + dims.len()).checked_sub(rank).map_or(1, |place| dims[place]);
    let target: Vec<i64> = (0..rank)
        .map(|place| match (dim_at(&size, place), dim_at(shape, place)) {
            (own, 1) => own,
            (_, wanted) => wanted,
        })
        .collect();
    Ok(vec![input.f_expand(target, false)?])
}

fn shape(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let start = spec.int("start", 0)?;
    let end = spec.int("end", i64::MAX)?;
    Ok(Box::new(move |call| {
        let size = call.input(0)?.size();
        let rank = size.len() as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let dims = size.get(bound(start)..bound(end)).unwrap_or_default();
        Ok(vec![Tensor::f_from_slice(dims)?.f_to_kind(Kind::Int64)?])
    }))
}
