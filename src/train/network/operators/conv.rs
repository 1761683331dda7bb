//! Convolutions.

use tch::Tensor;

use super::{
    Call, Operator, Outputs, Spec, Table,
    window::{AutoPad, Sized, Window, split},
};
use crate::train::network::error::OperatorError;

pub(super) const OPERATORS: Table = &[("Conv", conv), ("ConvTranspose", conv_transpose)];

fn conv(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let window = Window::read(spec)?;
    let groups = groups(spec)?;
    Ok(Box::new(move |call| {
        let (input, weight, bias) = operands(call)?;
        let sized = window.on(input, weight.size().get(2..))?;
        let Sized { strides, dilations, .. } = &sized;
        let no_padding = vec![0; strides.len()];
        let output = if sized.is_symmetric() {
            input.f_convolution(weight, bias, strides, &sized.begin, dilations, false, &no_padding, groups)?
        } else {
            let padded = input.f_constant_pad_nd(sized.torch_pads())?;
            padded.f_convolution(weight, bias, strides, &no_padding, dilations, false, &no_padding, groups)?
        };
        Ok(vec![output])
    }))
}

fn conv_transpose(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let window = Window::read(spec)?;
    let groups = groups(spec)?;
    let output_padding = spec.ints("output_padding");
    let output_shape = spec.ints("output_shape");
    Ok(Box::new(move |call| {
        let (input, weight, bias) = operands(call)?;
        let mut sized = window.on(input, weight.size().get(2..))?;
        let axes = sized.kernel.len();
        let mut output_padding = output_padding.clone().unwrap_or_else(|| vec![0; axes]);
        if output_padding.len() != axes {
            return Err("output_padding does not fit the spatial axes".into());
        }
        let spatial = &input.size()[2..];
        place_output(&mut sized, spatial, &mut output_padding, output_shape.as_deref(), window.auto_pad)?;
        transposed(input, weight, bias, &sized, &output_padding, groups)
    }))
}

/// Pads that give the output its wanted length, where `output_shape` or `auto_pad` says one.
fn place_output(
    sized: &mut Sized,
    spatial: &[i64],
    output_padding: &mut [i64],
    output_shape: Option<&[i64]>,
    auto_pad: AutoPad,
) -> Result<(), OperatorError> {
    for axis in 0..spatial.len() {
        let length = match (output_shape, auto_pad) {
            (Some(shape), _) => *shape
                .get(shape.len().wrapping_sub(spatial.len()) + axis)
                .ok_or_else(|| OperatorError::from("output_shape does not fit the spatial axes"))?,
            (None, AutoPad::SameUpper | AutoPad::SameLower) => spatial[axis] * sized.strides[axis],
            (None, AutoPad::No | AutoPad::Valid) => continue,
        };
        let full = (spatial[axis] - 1) * sized.strides[axis] + sized.extent(axis) + output_padding[axis];
        output_padding[axis] += (length - full).max(0);
        // Here the standard puts the odd pixel where it does for a convolution only with SAME_UPPER.
        let (begin, end) = split((full - length).max(0), auto_pad);
        (sized.begin[axis], sized.end[axis]) = if auto_pad == AutoPad::No { (end, begin) } else { (begin, end) };
    }
    Ok(())
}

/// A transposed convolution; unequal pads are cut off afterwards.
fn transposed(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    sized: &Sized,
    output_padding: &[i64],
    groups: i64,
) -> Outputs {
    let Sized { strides, dilations, .. } = sized;
    if sized.is_symmetric() {
        let padding = &sized.begin;
        let output = input.f_convolution(weight, bias, strides, padding, dilations, true, output_padding, groups)?;
        return Ok(vec![output]);
    }
    let no_padding = vec![0; strides.len()];
    let full = input.f_convolution(weight, bias, strides, &no_padding, dilations, true, output_padding, groups)?;
    let cuts: Vec<i64> = sized.torch_pads().iter().map(|pad| -pad).collect();
    Ok(vec![full.f_constant_pad_nd(cuts)?])
}

fn groups(spec: &Spec<'_>) -> Result<i64, OperatorError> {
    match spec.int("group", 1)? {
        groups if groups >= 1 => Ok(groups),
        groups => Err(format!("group {groups}").into()),
    }
}

fn operands<'a>(call: &'a Call<'_>) -> Result<(&'a Tensor, &'a Tensor, Option<&'a Tensor>), OperatorError> {
    Ok((call.input(0)?, call.input(1)?, call.optional(2)))
}
