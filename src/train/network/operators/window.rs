//! Sliding windows, shared by convolutions and poolings: kernel, stride, dilation, padding.

use tch::Tensor;

use super::Spec;
use crate::train::network::error::OperatorError;

/// How a window's padding is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutoPad {
    /// By the attribute `pads`.
    No,
    /// None at all.
    Valid,
    /// So that the output is ⌈input / stride⌉ long, with the odd pixel at the end.
    SameUpper,
    /// The same, with the odd pixel at the beginning.
    SameLower,
}

/// The window attributes of a node.
#[derive(Clone, Debug)]
pub(super) struct Window {
    kernel: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
    dilations: Option<Vec<i64>>,
    pads: Option<Vec<i64>>,
    pub(super) auto_pad: AutoPad,
}

/// A window for a tensor of known rank; one entry per spatial axis.
#[derive(Clone, Debug)]
pub(super) struct Sized {
    pub(super) kernel: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    pub(super) begin: Vec<i64>,
    pub(super) end: Vec<i64>,
}

impl Window {
    pub(super) fn read(spec: &Spec<'_>) -> Result<Self, OperatorError> {
        let auto_pad = match spec.string("auto_pad", "NOTSET")?.as_str() {
            "NOTSET" | "" => AutoPad::No,
            "VALID" => AutoPad::Valid,
            "SAME_UPPER" => AutoPad::SameUpper,
            "SAME_LOWER" => AutoPad::SameLower,
            other => return Err(format!("auto_pad {other:?}").into()),
        };
        Ok(Self {
            kernel: spec.ints("kernel_shape"),
            strides: spec.ints("strides"),
            dilations: spec.ints("dilations"),
            pads: spec.ints("pads"),
            auto_pad,
        })
    }

    /// The window on `input` [N, C, spatial…]; `kernel` is a convolution's, whose attribute may be left out.
    pub(super) fn on(&self, input: &Tensor, kernel: Option<&[i64]>) -> Result<Sized, OperatorError> {
        let size = input.size();
        let Some(spatial) = size.get(2..).filter(|spatial| !spatial.is_empty()) else {
            return Err(format!("a window over a tensor of shape {size:?}; it must be [N, C, spatial…]").into());
        };
        let axes = spatial.len();
        let kernel = match (kernel, &self.kernel) {
            (Some(kernel), Some(attribute)) if kernel != attribute => {
                return Err(format!("kernel_shape {attribute:?}, but the weight's is {kernel:?}").into());
            }
            (Some(kernel), _) => kernel.to_vec(),
            (None, Some(attribute)) => attribute.clone(),
            (None, None) => return Err("kernel_shape is missing".into()),
        };
        let ones = || vec![1; axes];
        let strides = self.strides.clone().unwrap_or_else(ones);
        let dilations = self.dilations.clone().unwrap_or_else(ones);
        let pads = self.pads.clone().unwrap_or_else(|| vec![0; 2 * axes]);
        if [&kernel, &strides, &dilations].iter().any(|list| list.len() != axes) || pads.len() != 2 * axes {
            return Err(format!("kernel_shape, strides, dilations or pads do not fit {axes} spatial axes").into());
        }
        if [&kernel, &strides, &dilations].iter().any(|list| list.iter().any(|&value| value < 1)) {
            return Err("kernel_shape, strides and dilations must be positive".into());
        }
        let mut sized = Sized { kernel, strides, dilations, begin: pads[..axes].to_vec(), end: pads[axes..].to_vec() };
        match self.auto_pad {
            AutoPad::No => {}
            AutoPad::Valid => (sized.begin, sized.end) = (vec![0; axes], vec![0; axes]),
            AutoPad::SameUpper | AutoPad::SameLower => sized.pad_to_same(spatial, self.auto_pad),
        }
        Ok(sized)
    }
}

impl Sized {
    fn pad_to_same(&mut self, spatial: &[i64], auto_pad: AutoPad) {
        for (axis, &length) in spatial.iter().enumerate() {
            let outputs = (length + self.strides[axis] - 1) / self.strides[axis];
            let total = ((outputs - 1) * self.strides[axis] + self.extent(axis) - length).max(0);
            (self.begin[axis], self.end[axis]) = split(total, auto_pad);
        }
    }

    /// How many pixels the dilated kernel spans.
    pub(super) fn extent(&self, axis: usize) -> i64 {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Whether beginning and end are padded alike, which is all that libtorch's own padding can do.
    pub(super) fn is_symmetric(&self) -> bool {
        self.begin == self.end
    }

    /// The pads in libtorch's order: last axis first, beginning and end of each.
    pub(super) fn torch_pads(&self) -> Vec<i64> {
        self.begin.iter().zip(&self.end).rev().flat_map(|(&begin, &end)| [begin, end]).collect()
    }
}

/// A total padding as beginning and end.
pub(super) fn split(total: i64, auto_pad: AutoPad) -> (i64, i64) {
    let half = total / 2;
    if auto_pad == AutoPad::SameLower { (total - half, half) } else { (half, total - half) }
}
