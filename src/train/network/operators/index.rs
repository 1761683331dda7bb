//! Operators that pick, repeat and join elements.

use tch::{Kind, Tensor};

use super::{Ints, Operator, Outputs, Spec, Table, axis_of, beside, indices};
use crate::train::network::error::OperatorError;

pub(super) const OPERATORS: Table = &[
    ("Concat", concat),
    ("Split", split),
    ("Slice", slice),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("Tile", tile),
    ("Pad", pad),
];

fn concat(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", 0)?;
    Ok(Box::new(move |call| {
        let inputs = call.all()?;
        let [first, ..] = inputs.as_slice() else { return Err("nothing to join".into()) };
        Ok(vec![Tensor::f_cat(&inputs, axis_of(axis, first.dim())?)?])
    }))
}

fn split(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", 0)?;
    let lengths = spec.ints_or_input("split", 1)?;
    let parts = spec.int("num_outputs", spec.node.output.len() as i64)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let axis = axis_of(axis, input.dim())?;
        let lengths = match lengths.get(call)? {
            Some(lengths) => lengths,
            None => {
                let total = input.size().get(axis as usize).copied().unwrap_or_default();
                // Equal parts; the last is what remains.
                let part = (total + parts - 1) / parts.max(1);
                (0..parts).map(|index| part.min(total - index * part).max(0)).collect()
            }
        };
        Ok(input.f_split_with_sizes(lengths, axis)?)
    }))
}

fn slice(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let [starts, ends, axes, steps] =
        [spec.ints_input(1)?, spec.ints_input(2)?, spec.ints_input(3)?, spec.ints_input(4)?];
    Ok(Box::new(move |call| {
        let (starts, ends) = (starts.require(call)?, ends.require(call)?);
        let axes = axes.get(call)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = steps.get(call)?.unwrap_or_else(|| vec![1; starts.len()]);
        if [&ends, &axes, &steps].iter().any(|list| list.len() != starts.len()) {
            return Err("starts, ends, axes and steps differ in length".into());
        }
        let mut result = call.input(0)?.shallow_clone();
        for place in 0..starts.len() {
            let axis = axis_of(axes[place], result.dim())?;
            result = slice_axis(&result, axis, (starts[place], ends[place], steps[place]))?;
        }
        Ok(vec![result])
    }))
}

fn slice_axis(input: &Tensor, axis: i64, (start, end, step): (i64, i64, i64)) -> Result<Tensor, OperatorError> {
    let Some(&length) = input.size().get(axis as usize) else { return Err("a slice of a scalar".into()) };
    let from_front = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    if step > 0 {
        let start = from_front(start).clamp(0, length);
        let end = from_front(end).clamp(start, length);
        return Ok(input.f_slice(axis, start, end, step)?);
    }
    if step == 0 {
        return Err("a step of 0".into());
    }
    // libtorch has no negative steps.
    let (mut at, end) = (from_front(start).clamp(-1, length - 1), from_front(end).clamp(-1, length - 1));
    let mut places = Vec::new();
    while at > end {
        places.push(at);
        at = at.saturating_add(step);
    }
    Ok(input.f_index_select(axis, &indices(&places, input)?)?)
}

/// Non-negative int64 indices beside `data`: ONNX counts negative ones from the end.
fn from_front(index: &Tensor, data: &Tensor, axis: i64) -> Result<Tensor, OperatorError> {
    let length = data.size().get(axis as usize).copied().ok_or("a scalar has nothing to gather")?;
    let index = beside(index, data)?.f_to_kind(Kind::Int64)?;
    Ok(index.f_add_scalar(length)?.f_where_self(&index.f_lt(0)?, &index)?)
}

fn gather(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", 0)?;
    Ok(Box::new(move |call| {
        let (data, index) = (call.input(0)?, call.input(1)?);
        let axis = axis_of(axis, data.dim())?;
        let places = from_front(index, data, axis)?;
        let picked = data.f_index_select(axis, &places.f_reshape([-1])?)?;
        let size = data.size();
        let (before, after) = (&size[..axis as usize], &size[axis as usize + 1..]);
        Ok(vec![picked.f_reshape([before, &index.size(), after].concat())?])
    }))
}

fn gather_elements(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let axis = spec.int("axis", 0)?;
    Ok(Box::new(move |call| {
        let data = call.input(0)?;
        let axis = axis_of(axis, data.dim())?;
        Ok(vec![data.f_gather(axis, &from_front(call.input(1)?, data, axis)?, false)?])
    }))
}

fn tile(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let repeats = spec.ints_input(1)?;
    Ok(Box::new(move |call| Ok(vec![call.input(0)?.f_repeat(repeats.require(call)?)?])))
}

fn pad(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let mode = spec.string("mode", "constant")?;
    if !matches!(mode.as_str(), "constant" | "reflect" | "edge" | "wrap") {
        return Err(format!("mode {mode:?}").into());
    }
    let (pads, axes) = (spec.ints_input(1)?, spec.ints_input(3)?);
    let per_axis = move |call: &super::Call<'_>, rank: usize| pads_by_axis(&pads, &axes, call, rank);
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let pads = per_axis(call, input.dim())?;
        if mode == "constant" {
            let value = call.optional(2).map(|value| value.f_reshape([])?.f_double_value(&[])).transpose()?;
            let torch_order: Vec<i64> = pads.iter().rev().flat_map(|&(begin, end)| [begin, end]).collect();
            return Ok(vec![input.f_pad(torch_order, "constant", value.unwrap_or(0.0))?]);
        }
        pad_from_input(input, &pads, &mode)
    }))
}

/// The pads at beginning and end of every axis of a tensor with `rank` axes.
fn pads_by_axis(
    pads: &Ints,
    axes: &Ints,
    call: &super::Call<'_>,
    rank: usize,
) -> Result<Vec<(i64, i64)>, OperatorError> {
    let pads = pads.require(call)?;
    let axes = axes.get(call)?.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()).into());
    }
    let mut all = vec![(0, 0); rank];
    for (place, &axis) in axes.iter().enumerate() {
        let axis = axis_of(axis, rank)? as usize;
        *all.get_mut(axis).ok_or("a scalar cannot be padded")? = (pads[place], pads[axes.len() + place]);
    }
    Ok(all)
}

/// Padding with the input's own elements, axis by axis; libtorch's has no such mode for every rank.
fn pad_from_input(input: &Tensor, pads: &[(i64, i64)], mode: &str) -> Outputs {
    let mut result = input.shallow_clone();
    for (axis, &(begin, end)) in pads.iter().enumerate().filter(|(_, pads)| **pads != (0, 0)) {
        let length = input.size()[axis];
        let last = length - 1;
        if length == 0 {
            return Err("an empty axis has nothing to pad with".into());
        }
        let place = |at: i64| match mode {
            "edge" => at.clamp(0, last),
            "wrap" => at.rem_euclid(length),
            _ if last == 0 => 0,
            _ => last - (at.rem_euclid(2 * last) - last).abs(),
        };
        let places: Vec<i64> = (-begin..length + end).map(place).collect();
        result = result.f_index_select(axis as i64, &indices(&places, input)?)?;
    }
    Ok(vec![result])
}
