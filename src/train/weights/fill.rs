//! From a file's tensors to a graph's parameters, by name.

use super::state_dict::StateDict;
use crate::{
    onnx::{
        GraphProto, TensorProto,
        arch::{Architecture, PREPROCESS_PREFIX},
        weights::unfilled,
    },
    picture::PictureSize,
};

/// Differences that a message lists; the others are counted.
const LISTED: usize = 10;

/// Fills the graph's parameters without values that are `wanted` from the file; nothing is changed on an error.
///
/// Tensors of the file that the graph does not ask for are an error as well, unless they are `known`, such as those of
/// a classifier that has been replaced.
///
/// # Errors
/// One message with every tensor that is missing, unexpected, misshapen or not readable.
pub(super) fn fill(
    graph: &mut GraphProto,
    dict: &StateDict,
    name: &str,
    wanted: impl Fn(&str) -> bool,
    known: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let mut problems = Vec::new();
    let mut filled = Vec::new();
    let unfilled: Vec<&TensorProto> = unfilled(graph).filter(|tensor| wanted(tensor.name())).collect();
    for tensor in &unfilled {
        match values(dict, tensor) {
            Ok(values) => filled.push(TensorProto::from_f32(tensor.name(), &tensor.dims, &values)),
            Err(problem) => problems.push(format!("{} {problem}", tensor.name())),
        }
    }
    for name in dict.names() {
        if !known(name) && !unfilled.iter().any(|tensor| tensor.name() == name) {
            problems.push(format!("{name} {:?} is unexpected", dict.shape(name).unwrap_or_default()));
        }
    }
    if !problems.is_empty() {
        return Err(message(&problems, dict, name));
    }
    let mut filled = filled.into_iter();
    let mut next = filled.next();
    for tensor in &mut graph.initializer {
        if next.as_ref().is_some_and(|new| new.name() == tensor.name()) {
            *tensor = std::mem::replace(&mut next, filled.next()).unwrap_or_default();
        }
    }
    Ok(())
}

/// The values for a parameter, whose shape has to be the graph's.
fn values(dict: &StateDict, tensor: &TensorProto) -> Result<Vec<f32>, String> {
    let shape = dict.shape(tensor.name()).ok_or_else(|| format!("{:?} is missing", tensor.dims))?;
    if !shape.iter().map(|&size| size as i64).eq(tensor.dims.iter().copied()) {
        return Err(format!("has shape {shape:?}, the architecture's is {:?}", tensor.dims));
    }
    dict.values(tensor.name())
}

fn message(problems: &[String], dict: &StateDict, name: &str) -> String {
    let count = problems.len();
    let verb = if count == 1 { "tensor does" } else { "tensors do" };
    let mut message = match architecture_of(dict) {
        Some(other) if other.name() != name => {
            let other = other.name();
            format!("these are weights of {other}, not of {name} (pass --arch {other}?): {count} {verb} not fit:")
        }
        _ => format!("{count} {verb} not fit {name}:"),
    };
    for problem in problems.iter().take(LISTED) {
        message += &format!("\n  {problem}");
    }
    if count > LISTED {
        message += &format!("\n  and {} more", count - LISTED);
    }
    message
}

/// The architecture whose convolutions are the file's, by name and shape.
fn architecture_of(dict: &StateDict) -> Option<Architecture> {
    let mut own: Vec<(&str, Vec<i64>)> = dict
        .names()
        .filter(|name| !name.starts_with(PREPROCESS_PREFIX))
        .filter_map(|name| Some((name, dict.shape(name)?.iter().map(|&size| size as i64).collect::<Vec<_>>())))
        .filter(|(_, shape)| shape.len() == 4)
        .collect();
    own.sort();
    Architecture::ALL.into_iter().find(|architecture| {
        let graph = architecture.build(PictureSize { width: 32, height: 32 }, 1);
        let convolutions = unfilled(&graph).filter(|tensor| tensor.dims.len() == 4);
        let mut wanted: Vec<_> = convolutions.map(|tensor| (tensor.name(), tensor.dims.clone())).collect();
        wanted.sort();
        wanted == own
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::{Dtype, tensor::TensorView};

    use super::*;
    use crate::onnx::weights;

    type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

    fn graph(architecture: Architecture) -> GraphProto {
        architecture.build(PictureSize { width: 64, height: 64 }, 1000)
    }

    /// A `.safetensors` file of an architecture's weights, changed.
    fn file(architecture: Architecture, change: impl Fn(&mut Tensors)) -> StateDict {
        let tensor = |tensor: &TensorProto| {
            let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
            let bytes = 1.5_f32.to_le_bytes().repeat(shape.iter().product());
            (tensor.name().to_owned(), (shape, bytes))
        };
        let mut tensors: Tensors = unfilled(&graph(architecture)).map(tensor).collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            let count: usize = shape.iter().product();
            let dtype = if bytes.len() == 8 * count { Dtype::I64 } else { Dtype::F32 };
            (name, TensorView::new(dtype, shape.clone(), bytes).unwrap())
        });
        StateDict::read(safetensors::serialize(views, None).unwrap()).unwrap()
    }

    #[test]
    fn a_complete_file_fills_every_parameter() {
        let mut graph = graph(Architecture::MobilenetV2);
        let dict = file(Architecture::MobilenetV2, |_| ());
        fill(&mut graph, &dict, "mobilenet_v2", |_| true, |_| false).unwrap();
        assert_eq!(weights::unfilled(&graph).count(), 0);
        let last = graph.initializer.iter().find(|tensor| tensor.name() == "classifier.1.bias").unwrap();
        assert_eq!(last.to_f32().unwrap(), [1.5; 1000]);
    }

    #[test]
    fn every_missing_unexpected_and_misshapen_tensor_stands_in_one_error() {
        let mut graph = graph(Architecture::MobilenetV2);
        let dict = file(Architecture::MobilenetV2, |tensors| {
            tensors.remove("features.0.0.weight");
            tensors.insert("classifier.1.bias".into(), (vec![2], vec![0; 8]));
            tensors.insert("fc.weight".into(), (vec![1], vec![0; 4]));
            tensors.insert("features.0.1.bias".into(), (vec![32], vec![0; 256]));
        });
        let before = graph.clone();
        let message = fill(&mut graph, &dict, "mobilenet_v2", |_| true, |_| false).unwrap_err();
        for part in [
            "4 tensors do not fit mobilenet_v2:",
            "features.0.0.weight [32, 3, 3, 3] is missing",
            "classifier.1.bias has shape [2], the architecture's is [1000]",
            "features.0.1.bias has whole numbers",
            "fc.weight [1] is unexpected",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
        assert!(graph == before, "a refused file changes nothing");
    }

    #[test]
    fn a_replaced_classifier_may_be_in_the_file_in_any_shape_or_not_at_all() {
        for change in [
            |tensors: &mut Tensors| _ = tensors.insert("fc.bias".into(), (vec![7], vec![0; 28])),
            |tensors: &mut Tensors| tensors.retain(|name, _| !name.starts_with("fc.")),
        ] {
            let mut graph = graph(Architecture::Resnet18);
            let dict = file(Architecture::Resnet18, change);
            let classifier = |name: &str| name.starts_with("fc.");
            fill(&mut graph, &dict, "resnet18", |name| !classifier(name), classifier).unwrap();
            let left: Vec<&str> = weights::unfilled(&graph).map(TensorProto::name).collect();
            assert_eq!(left, ["fc.weight", "fc.bias"]);
        }
    }

    #[test]
    fn the_weights_of_another_architecture_are_refused_with_its_name_and_a_short_list() {
        let mut graph = graph(Architecture::Resnet34);
        let dict = file(Architecture::Resnet18, |_| ());
        let message = fill(&mut graph, &dict, "resnet34", |_| true, |_| false).unwrap_err();
        assert!(message.contains("weights of resnet18, not of resnet34 (pass --arch resnet18?)"), "{message}");
        assert_eq!(message.lines().count(), 12, "{message}");
        assert!(message.lines().last().unwrap().contains("more"), "{message}");
    }
}
