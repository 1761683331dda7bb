//! The graph that training starts from: an architecture, its weights and the task's head.

use std::path::PathBuf;

use prost::Message as _;

use super::{TrainError, initial::initialise, recipe::Recipe};
use crate::{
    model::{Digest, Task},
    onnx::{
        GraphProto, ModelProto, OnnxError,
        head::{HeadSettings, Standard, replace_classifier},
        weights,
    },
};

/// Classes of the ImageNet classifiers that weight files come with; the head replaces them.
const IMAGENET_CLASSES: i64 = 1000;

/// The architecture with its weights and the task's head, every parameter filled.
///
/// A `.safetensors` file fills the whole architecture, classifier included; a model file of our own fills what it has
/// in the same shape, its head too where the outputs are as many.
pub(super) fn starting_graph(
    recipe: &Recipe,
    task: &Task,
    standards: &[Standard],
) -> Result<(GraphProto, Option<Digest>), TrainError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| TrainError::Io { path: path.display().to_string(), source })
    };
    let attach_head = |graph| replace_classifier(graph, task, HeadSettings { dropout: recipe.dropout, standards });
    let mut graph = recipe.architecture.build(recipe.resize.size, IMAGENET_CLASSES);
    let bytes = recipe.weights.as_ref().map(read).transpose()?;
    match (&recipe.weights, &bytes) {
        (Some(path), Some(bytes)) if path.extension().is_some_and(|extension| extension == "onnx") => {
            let model = ModelProto::decode(bytes.as_slice()).map_err(OnnxError::from)?;
            graph = attach_head(graph)?;
            weights::load_graph(&mut graph, &model.graph.unwrap_or_default())?;
        }
        (Some(path), Some(bytes)) => {
            weights::load_safetensors(&mut graph, path, bytes)?;
            graph = attach_head(graph)?;
        }
        _ => graph = attach_head(graph)?,
    }
    initialise(&mut graph, recipe.seed)?;
    Ok((graph, bytes.map(|bytes| Digest::of(&bytes))))
}
