//! Reductions over axes.

use tch::{TchError, Tensor};

use super::{Operator, Spec, Table, axis_of};
use crate::train::network::error::OperatorError;

pub(super) const OPERATORS: Table = &[
    ("ReduceMean", |spec| reduce(spec, |x, axes, keep| x.f_mean_dim(axes, keep, None))),
    ("ReduceSum", |spec| reduce(spec, sum)),
    ("ReduceMax", |spec| reduce(spec, |x, axes, keep| x.f_amax(axes, keep))),
    ("ReduceMin", |spec| reduce(spec, |x, axes, keep| x.f_amin(axes, keep))),
    ("ReduceProd", |spec| reduce(spec, product)),
    ("ReduceL1", |spec| reduce(spec, |x, axes, keep| sum(&x.f_abs()?, axes, keep))),
    ("ReduceL2", |spec| reduce(spec, |x, axes, keep| sum(&x.f_square()?, axes, keep)?.f_sqrt())),
    ("ReduceSumSquare", |spec| reduce(spec, |x, axes, keep| sum(&x.f_square()?, axes, keep))),
    ("ReduceLogSum", |spec| reduce(spec, |x, axes, keep| sum(x, axes, keep)?.f_log())),
    ("ReduceLogSumExp", |spec| reduce(spec, |x, axes, keep| x.f_logsumexp(axes, keep))),
];

type Reduction = fn(&Tensor, &[i64], bool) -> Result<Tensor, TchError>;

/// Axes are an attribute in old operator sets and an input in new ones; none means all, or nothing to do where
/// `noop_with_empty_axes` says so.
fn reduce(spec: &Spec<'_>, run: Reduction) -> Result<Operator, OperatorError> {
    let axes = spec.ints_or_input("axes", 1)?;
    let keep = spec.flag("keepdims", true)?;
    let noop = spec.flag("noop_with_empty_axes", false)?;
    Ok(Box::new(move |call| {
        let input = call.input(0)?;
        let mut axes = axes.get(call)?.unwrap_or_default();
        if axes.is_empty() && noop {
            return Ok(vec![input.shallow_clone()]);
        }
        if axes.is_empty() {
            axes = (0..input.dim() as i64).collect();
        }
        let axes = axes.iter().map(|&axis| axis_of(axis, input.dim())).collect::<Result<Vec<_>, _>>()?;
        // No axes at all would mean every axis to libtorch, and a scalar has none.
        if axes.is_empty() {
            return Ok(vec![run(&input.f_reshape([1])?, &[0], false)?]);
        }
        Ok(vec![run(input, &axes, keep)?])
    }))
}

fn sum(input: &Tensor, axes: &[i64], keep: bool) -> Result<Tensor, TchError> {
    input.f_sum_dim_intlist(axes, keep, input.kind())
}

fn product(input: &Tensor, axes: &[i64], keep: bool) -> Result<Tensor, TchError> {
    let mut descending = axes.to_vec();
    descending.sort_unstable_by(|a, b| b.cmp(a));
    let mut result = input.shallow_clone();
    for axis in descending {
        result = result.f_prod_dim_int(axis, keep, input.kind())?;
    }
    Ok(result)
}
