//! Normalisations, and dropout, which like batch norm behaves differently in training.

use tch::{Kind, Tensor};

use super::{Call, Operator, Outputs, Spec, Table, axis_of, beside};
use crate::train::network::{Mode, error::OperatorError};

pub(super) const OPERATORS: Table = &[
    ("BatchNormalization", batch_norm),
    ("LayerNormalization", layer_norm),
    ("InstanceNormalization", instance_norm),
    ("GroupNormalization", group_norm),
    ("Dropout", dropout),
];

fn batch_norm(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let epsilon = spec.float("epsilon", 1e-5)?;
    // ONNX counts the share that is kept, libtorch the share that is new.
    let momentum = 1.0 - spec.float("momentum", 0.9)?;
    if spec.flag("training_mode", false)? || spec.has_output(1) {
        return Err("training_mode is set; the trainer decides when to train".into());
    }
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let (weight, bias) = (call.input(1)?, call.input(2)?);
        let (mean, variance) = (call.input(3)?, call.input(4)?);
        let training = matches!(call.mode, Mode::Train { .. });
        if training && input.size().get(1).is_none_or(|&channels| input.numel() as i64 <= channels) {
            return Err("batch statistics of one value per channel; use a batch of two or more".into());
        }
        // In training libtorch updates the running statistics in place, the variance unbiased.
        let (weight, bias) = (Some(weight), Some(bias));
        Ok(vec![input.f_batch_norm(weight, bias, Some(mean), Some(variance), training, momentum, epsilon, true)?])
    }))
}

fn layer_norm(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let (axis, epsilon) = (spec.int("axis", -1)?, spec.float("epsilon", 1e-5)?);
    let with_statistics = spec.has_output(1) || spec.has_output(2);
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let axis = axis_of(axis, input.dim())? as usize;
        let shape = &input.size()[axis..];
        // libtorch wants the parameters in the full shape, ONNX lets them broadcast.
        let fitted = |tensor: &Tensor| {
            if tensor.size() == shape { Ok(tensor.shallow_clone()) } else { tensor.f_expand(shape, false) }
        };
        let weight = fitted(call.input(1)?)?;
        let bias = call.optional(2).map(fitted).transpose()?;
        if !with_statistics {
            return Ok(vec![input.f_layer_norm(shape, Some(weight), bias, epsilon, true)?]);
        }
        let (output, mean, inverse) = input.f_native_layer_norm(shape, Some(weight), bias, epsilon)?;
        Ok(vec![output, mean, inverse])
    }))
}

fn instance_norm(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let epsilon = spec.float("epsilon", 1e-5)?;
    Ok(Box::new(move |call| {
        let (weight, bias) = (Some(call.input(1)?), Some(call.input(2)?));
        let none = None::<&Tensor>;
        Ok(vec![call.input(0)?.f_instance_norm(weight, bias, none, none, true, 0.1, epsilon, true)?])
    }))
}

fn group_norm(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let epsilon = spec.float("epsilon", 1e-5)?;
    let groups = spec.int("num_groups", 0)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let channels = input.size().get(1).copied().unwrap_or_default();
        if groups < 1 || channels % groups != 0 {
            return Err(format!("{channels} channels in {groups} groups").into());
        }
        // Before operator set 21 there was one scale per group.
        let per_channel = |tensor: &Tensor| match tensor.numel() as i64 {
            count if count == groups => tensor.f_repeat_interleave_self_int(channels / groups, 0, channels),
            _ => Ok(tensor.shallow_clone()),
        };
        let (weight, bias) = (per_channel(call.input(1)?)?, per_channel(call.input(2)?)?);
        Ok(vec![input.f_group_norm(groups, Some(weight), Some(bias), epsilon, true)?])
    }))
}

fn dropout(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let ratio = match spec.constant(1) {
        Some(ratio) => Some(ratio.f_double_value(&[])?),
        None if spec.has_input(1) => None,
        None => Some(spec.float("ratio", 0.5)?),
    };
    let with_mask = spec.has_output(1);
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let ratio = match ratio {
            Some(ratio) => ratio,
            None => call.input(1)?.f_double_value(&[])?,
        };
        drop_out(call, input, ratio, with_mask)
    }))
}

fn drop_out(call: &Call<'_>, input: &Tensor, ratio: f64, with_mask: bool) -> Outputs {
    let dropout = match call.mode {
        Mode::Train { dropout } if ratio != 0.0 => dropout,
        Mode::Train { .. } | Mode::Evaluate => {
            let output = input.shallow_clone();
            return Ok(if with_mask {
                vec![output, input.f_ones_like()?.f_to_kind(Kind::Bool)?]
            } else {
                vec![output]
            });
        }
    };
    if !(0.0..1.0).contains(&ratio) {
        return Err(format!("ratio {ratio}; it must be at least 0 and below 1").into());
    }
    let mask = dropout(call.name, &input.size(), ratio)?;
    if mask.size() != input.size() {
        return Err(format!("a mask of shape {:?} for {:?}", mask.size(), input.size()).into());
    }
    let output = input.f_mul(&beside(&mask, input)?)?;
    Ok(if with_mask { vec![output, mask.f_ne(0.0)?] } else { vec![output] })
}
