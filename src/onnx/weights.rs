//! Filling a graph's parameters by name from a `.safetensors` file or another graph, or from a function.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, SafeTensors};

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

/// Fills every parameter without values from a `.safetensors` file by name; nothing is changed on an error.
///
/// `num_batches_tracked`, which torch's batch norm carries along, is passed over.
///
/// # Errors
/// One error that names every tensor that is missing, unexpected or misshapen.
pub fn load_safetensors(graph: &mut GraphProto, path: &Path, bytes: &[u8]) -> Result<(), OnnxError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| OnnxError::Weights(format!("{}: not a safetensors file: {error}", path.display())))?;
    let mut found: BTreeMap<_, _> = file.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
    let mut problems = Vec::new();
    let mut values = BTreeMap::new();
    for tensor in unfilled(graph) {
        let Some(view) = found.remove(tensor.name()) else {
            problems.push(format!("{} {:?} is missing", tensor.name(), tensor.dims));
            continue;
        };
        let shape: Vec<i64> = view.shape().iter().map(|&dim| dim as i64).collect();
        if shape != tensor.dims {
            problems.push(format!("{} has shape {shape:?}, the architecture's is {:?}", tensor.name(), tensor.dims));
        } else if view.dtype() != Dtype::F32 {
            problems.push(format!("{} has type {:?}, only F32 is read", tensor.name(), view.dtype()));
        } else {
            values.insert(tensor.name().to_owned(), view.data().to_vec());
        }
    }
    problems.extend(found.iter().map(|(name, view)| format!("{name} {:?} is unexpected", view.shape())));
    if !problems.is_empty() {
        let count = problems.len();
        let list = problems.join("\n  ");
        return Err(OnnxError::Weights(format!("{}: {count} tensors do not fit:\n  {list}", path.display())));
    }
    for tensor in graph.initializer.iter_mut().filter(|tensor| is_unfilled(tensor)) {
        // Both formats store little-endian, row-major floats.
        tensor.raw_data = values.remove(tensor.name());
    }
    Ok(())
}

/// Fills parameters without values from another graph's by name, as far as it has them in the same shape, such as those
/// of a model that was trained before; parameters that it lacks stay unfilled.
///
/// # Errors
/// A graph of another architecture, which gives fewer than half of the parameters, or unreadable values.
pub fn load_graph(graph: &mut GraphProto, other: &GraphProto) -> Result<(), OnnxError> {
    let found: BTreeMap<&str, &TensorProto> = other.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect();
    let (mut filled, mut count) = (0, 0);
    for tensor in graph.initializer.iter_mut().filter(|tensor| is_unfilled(tensor)) {
        count += 1;
        if let Some(other) = found.get(tensor.name()).filter(|other| other.dims == tensor.dims) {
            *tensor = TensorProto::from_f32(tensor.name(), &tensor.dims, &other.to_f32()?);
            filled += 1;
        }
    }
    if 2 * filled < count {
        return Err(OnnxError::Weights(format!(
            "only {filled} of {count} parameters fit: is it another architecture?"
        )));
    }
    Ok(())
}

/// Fills what is still without values from the graph that they were taken away from.
pub fn complete(graph: &mut GraphProto, own: &GraphProto) {
    let found: BTreeMap<&str, &TensorProto> = own.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect();
    for tensor in graph.initializer.iter_mut().filter(|tensor| is_unfilled(tensor)) {
        if let Some(&own) = found.get(tensor.name()) {
            tensor.clone_from(own);
        }
    }
}

fn is_unfilled(tensor: &TensorProto) -> bool {
    tensor.raw_data.is_none()
        && tensor.data_type() == super::proto::DataType::Float
        && tensor.float_data.is_empty()
        && !tensor.dims.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{onnx::arch::Architecture, picture::PictureSize};

    fn mobilenet() -> GraphProto {
        Architecture::MobilenetV2.build(PictureSize { width: 64, height: 64 }, 1000)
    }

    fn file(graph: &GraphProto, change: impl Fn(&mut BTreeMap<String, (Vec<usize>, Vec<u8>)>)) -> Vec<u8> {
        let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = unfilled(graph)
            .map(|tensor| {
                let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
                let bytes = vec![0; 4 * shape.iter().product::<usize>()];
                (tensor.name().to_owned(), (shape, bytes))
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            (name, safetensors::tensor::TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn a_complete_file_fills_every_parameter() {
        let mut graph = mobilenet();
        let bytes = file(&graph, |_| ());
        load_safetensors(&mut graph, Path::new("x"), &bytes).unwrap();
        assert_eq!(unfilled(&graph).count(), 0);
    }

    #[test]
    fn every_missing_unexpected_and_misshapen_tensor_stands_in_one_error() {
        let mut graph = mobilenet();
        let bytes = file(&graph, |tensors| {
            tensors.remove("features.0.0.weight");
            tensors.insert("classifier.1.bias".into(), (vec![2], vec![0; 8]));
            tensors.insert("fc.weight".into(), (vec![1], vec![0; 4]));
        });
        let before = graph.clone();
        let message = load_safetensors(&mut graph, Path::new("w.safetensors"), &bytes).unwrap_err().to_string();
        for part in [
            "w.safetensors: 3 tensors do not fit",
            "features.0.0.weight [32, 3, 3, 3] is missing",
            "classifier.1.bias has shape [2], the architecture's is [1000]",
            "fc.weight [1] is unexpected",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
        assert!(graph == before, "a refused file changes nothing");
    }

    #[test]
    fn another_graph_gives_what_fits_and_the_rest_stays_unfilled() {
        let mut other = mobilenet();
        fill(&mut other, |_, dims| vec![3.0; dims.iter().product::<i64>() as usize]).unwrap();
        let mut graph = Architecture::MobilenetV2.build(PictureSize { width: 64, height: 64 }, 5);
        load_graph(&mut graph, &other).unwrap();
        let names: Vec<&str> = unfilled(&graph).map(TensorProto::name).collect();
        assert_eq!(names, ["classifier.1.weight", "classifier.1.bias"]);
        assert_eq!(graph.initializer[0].dims, [1, 3, 1, 1]);
        let mut resnet = Architecture::Resnet18.build(PictureSize { width: 64, height: 64 }, 5);
        assert!(load_graph(&mut resnet, &other).unwrap_err().to_string().contains("another architecture"));
    }

    #[test]
    fn the_shipped_imagenet_weights_fit_mobilenet() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/weights/mobilenet_v2-imagenet.safetensors");
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: {} is absent", path.display());
            return;
        };
        load_safetensors(&mut mobilenet(), &path, &bytes).unwrap();
    }
}
