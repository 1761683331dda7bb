//! Matrix products.

use tch::Tensor;

use super::{Operator, Spec, Table};
use crate::train::network::error::OperatorError;

pub(super) const OPERATORS: Table = &[("Gemm", gemm), ("MatMul", mat_mul), ("Einsum", einsum)];

fn gemm(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let (alpha, beta) = (spec.float("alpha", 1.0)?, spec.float("beta", 1.0)?);
    let (trans_a, trans_b) = (spec.flag("transA", false)?, spec.flag("transB", false)?);
    Ok(Box::new(move |call| {
        let (a, b, c) = (call.input(0)?, call.input(1)?, call.optional(2));
        if a.dim() != 2 || b.dim() != 2 {
            return Err(format!("matrices of shapes {:?} and {:?}", a.size(), b.size()).into());
        }
        // A linear layer as every exporter writes it, in one fused operation.
        if !trans_a && trans_b && alpha == 1.0 && beta == 1.0 && c.is_none_or(|c| c.dim() == 1 && c.size()[0] > 1) {
            return Ok(vec![a.f_linear(b, c)?]);
        }
        let transposed =
            |matrix: &Tensor, yes: bool| if yes { matrix.f_transpose(0, 1) } else { Ok(matrix.shallow_clone()) };
        let mut product = transposed(a, trans_a)?.f_matmul(&transposed(b, trans_b)?)?;
        if alpha != 1.0 {
            product = product.f_mul_scalar(alpha)?;
        }
        match c {
            Some(c) if beta == 1.0 => Ok(vec![product.f_add(c)?]),
            Some(c) => Ok(vec![product.f_add(&c.f_mul_scalar(beta)?)?]),
            None => Ok(vec![product]),
        }
    }))
}

fn mat_mul(_: &Spec<'_>) -> Result<Operator, OperatorError> {
    Ok(Box::new(|call| Ok(vec![call.input(0)?.f_matmul(call.input(1)?)?])))
}

fn einsum(spec: &Spec<'_>) -> Result<Operator, OperatorError> {
    let equation = spec.string("equation", "")?;
    Ok(Box::new(move |call| Ok(vec![Tensor::f_einsum(&equation, &call.all()?, None::<i64>)?])))
}
