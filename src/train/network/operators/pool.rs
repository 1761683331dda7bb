//! Poolings.

use tch::{Kind, Tensor};

use super::{
    Operator, Outputs, Spec, Table,
    window::{Sized, Window},
};
use crate::train::network::{convert::is_float, error::OperatorError};

pub(super) const OPERATORS: Table = &[
    ("MaxPool", max_pool),
    ("AveragePool", average_pool),
    ("GlobalAveragePool", global_average_pool),
    ("GlobalMaxPool", global_max_pool),
];

fn max_pool(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let window = Window::read(spec)?;
    let ceil = spec.flag("ceil_mode", false)?;
    let with_indices = spec.has_output(1);
    if with_indices && spec.int("storage_order", 0)? != 0 {
        return Err("indices in column-major order".into());
    }
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let mut sized = window.on(input, None)?;
        // libtorch pads both ends alike and by at most half a kernel; else the padding is our own.
        let torch_pads =
            sized.is_symmetric() && (0..sized.kernel.len()).all(|axis| 2 * sized.begin[axis] <= sized.kernel[axis]);
        if torch_pads {
            return max_pool_of(input, &sized, ceil, with_indices);
        }
        if with_indices || !is_float(input.kind()) {
            return Err("indices or integers with such pads".into());
        }
        let padded = input.f_pad(sized.torch_pads(), "constant", f64::NEG_INFINITY)?;
        sized.begin.fill(0);
        sized.end.fill(0);
        max_pool_of(&padded, &sized, ceil, false)
    }))
}

fn max_pool_of(input: &Tensor, sized: &Sized, ceil: bool, with_indices: bool) -> Outputs {
    let Sized { kernel, strides, dilations, begin, .. } = sized;
    // libtorch has the narrow integers in no pooling; their values fit a float32 exactly.
    let kind = input.kind();
    let narrow = matches!(kind, Kind::Uint8 | Kind::Int8);
    let input = if narrow { input.f_to_kind(Kind::Float)? } else { input.shallow_clone() };
    let (output, indices) = match kernel.len() {
        1 => input.f_max_pool1d_with_indices(kernel, strides, begin, dilations, ceil)?,
        2 if !with_indices => {
            let output = input.f_max_pool2d(kernel, strides, begin, dilations, ceil)?;
            return Ok(vec![output.f_to_kind(kind)?]);
        }
        2 => input.f_max_pool2d_with_indices(kernel, strides, begin, dilations, ceil)?,
        3 => input.f_max_pool3d_with_indices(kernel, strides, begin, dilations, ceil)?,
        axes => return Err(format!("{axes} spatial axes").into()),
    };
    // libtorch counts within a channel's plane, ONNX within the whole tensor.
    let size = input.size();
    let plane: i64 = size[2..].iter().product();
    let mut shape = vec![1; size.len()];
    (shape[0], shape[1]) = (size[0], size[1]);
    let planes = Tensor::f_arange(size[0] * size[1], (Kind::Int64, input.device()))?;
    let offsets = planes.f_mul_scalar(plane)?.f_reshape(shape)?;
    Ok(vec![output.f_to_kind(kind)?, indices.f_add(&offsets)?])
}

fn average_pool(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let window = Window::read(spec)?;
    let ceil = spec.flag("ceil_mode", false)?;
    let count_pads = spec.flag("count_include_pad", false)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let sized = window.on(input, None)?;
        let Sized { kernel, strides, begin, dilations, .. } = &sized;
        let plain = kernel.len() == 2
            && !ceil
            && sized.is_symmetric()
            && dilations.iter().all(|&dilation| dilation == 1)
            && begin.iter().zip(kernel).all(|(pad, kernel)| 2 * pad <= *kernel);
        if plain {
            return Ok(vec![input.f_avg_pool2d(kernel, strides, begin, false, count_pads, None)?]);
        }
        average_of(input, &sized, ceil, count_pads)
    }))
}

/// Average pooling as a convolution by ones, divided by how many pixels each window counts: any rank, dilation and
/// pads, none of which libtorch's own pooling has.
fn average_of(input: &Tensor, sized: &Sized, ceil: bool, count_pads: bool) -> Outputs {
    let Sized { kernel, strides, dilations, .. } = sized;
    let size = input.size();
    let spatial = &size[2..];
    let options = (input.kind(), input.device());
    // One channel at a time, so that one kernel of ones does for all.
    let planes = input.f_reshape([&[size[0] * size[1], 1], spatial].concat())?;
    let ones = Tensor::f_ones([&[1, 1], spatial].concat(), options)?;
    let counted = if count_pads {
        Tensor::f_ones([&[1, 1], &sized.padded(spatial)[..]].concat(), options)?
    } else {
        ones.f_constant_pad_nd(sized.torch_pads())?
    };
    let overhang = if ceil { sized.overhang(spatial) } else { vec![0; 2 * spatial.len()] };
    let window = Tensor::f_ones([&[1, 1], &kernel[..]].concat(), options)?;
    let zero = vec![0; kernel.len()];
    let sum = |tensor: &Tensor| {
        let tensor = tensor.f_constant_pad_nd(&overhang)?;
        tensor.f_convolution(&window, None::<&Tensor>, strides, &zero, dilations, false, &zero, 1)
    };
    let average = sum(&planes.f_constant_pad_nd(sized.torch_pads())?)?.f_div(&sum(&counted)?)?;
    let shape = [&size[..2], &average.size()[2..]].concat();
    Ok(vec![average.f_reshape(shape)?])
}

impl Sized {
    /// The spatial lengths with pads.
    fn padded(&self, spatial: &[i64]) -> Vec<i64> {
        spatial.iter().enumerate().map(|(axis, length)| length + self.begin[axis] + self.end[axis]).collect()
    }

    /// In libtorch's pad order: what `ceil_mode` adds at each end, so that the last window fits. A window that would
    /// begin beyond the input and its beginning's pads is left out.
    fn overhang(&self, spatial: &[i64]) -> Vec<i64> {
        let one = |axis: usize| {
            let padded = spatial[axis] + self.begin[axis] + self.end[axis];
            let stride = self.strides[axis];
            let mut windows = (padded - self.extent(axis) + stride - 1).div_euclid(stride) + 1;
            if (windows - 1) * stride >= spatial[axis] + self.begin[axis] {
                windows -= 1;
            }
            ((windows - 1) * stride + self.extent(axis) - padded).max(0)
        };
        (0..spatial.len()).rev().flat_map(|axis| [0, one(axis)]).collect()
    }
}

fn global_average_pool(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let input = call.input(0)?;
        Ok(vec![input.f_mean_dim(spatial_axes(input)?, true, None)?])
    }))
}

fn global_max_pool(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| {
        let input = call.input(0)?;
        // Among equal maxima one gets the gradient, as in libtorch's adaptive pooling; `amax` would share it out.
        if input.dim() == 4 {
            return Ok(vec![input.f_adaptive_max_pool2d([1, 1])?.0]);
        }
        let mut shape = input.size();
        for axis in spatial_axes(input)? {
            shape[axis as usize] = 1;
        }
        Ok(vec![input.f_flatten(2, -1)?.f_max_dim(2, false)?.0.f_reshape(shape)?])
    }))
}

fn spatial_axes(input: &Tensor) -> Result<Vec<i64>, OperatorError> {
    if input.dim() < 3 {
        return Err(format!("a tensor of shape {:?}; it must be [N, C, spatial…]", input.size()).into());
    }
    Ok((2..input.dim() as i64).collect())
}
