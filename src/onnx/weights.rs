//! Parameters of a graph that have no values yet, and filling them.

use super::{GraphProto, OnnxError, TensorProto};

/// Parameters of a graph that have a shape but no values yet, in order of first use.
pub fn unfilled(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    graph.initializer.iter().filter(|tensor| is_unfilled(tensor))
}

/// Fills every parameter without values from `values(name, shape)`, which returns as many elements as the shape has.
///
/// # Errors
/// A number of elements that does not fit the shape.
pub fn fill(graph: &mut GraphProto, mut values: impl FnMut(&str, &[i64]) -> Vec<f32>) -> Result<(), OnnxError> {
    for tensor in graph.initializer.iter_mut().filter(|tensor| is_unfilled(tensor)) {
        let elements = values(tensor.name(), &tensor.dims);
        if elements.len() != tensor.element_count()? {
            let reason = format!("{} elements were given for shape {:?}", elements.len(), tensor.dims);
            return Err(OnnxError::Tensor { name: tensor.name().to_owned(), reason });
        }
        *tensor = TensorProto::from_f32(tensor.name(), &tensor.dims, &elements);
    }
    Ok(())
}

fn is_unfilled(tensor: &TensorProto) -> bool {
    tensor.raw_data.is_none()
        && tensor.data_type() == super::proto::DataType::Float
        && tensor.float_data.is_empty()
        && !tensor.dims.contains(&0)
}
