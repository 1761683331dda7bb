//! The graph that training starts from: a backbone, its weights and the task's head.

use std::path::PathBuf;

use prost::Message as _;

use super::{TrainError, backbone::Body, initial::initialise, network::clear_parameters, recipe::Recipe};
use crate::{
    model::{Digest, Task},
    onnx::{
        ModelProto, OnnxError, SourceGraph,
        head::{HeadSettings, Standard, replace_classifier},
        weights,
    },
};

/// What training starts from.
#[derive(Debug)]
pub(super) struct Start {
    /// The graph, every parameter filled.
    pub(super) source: SourceGraph,
    /// SHA-256 of the file that the weights are from; none for random weights.
    pub(super) base_weights: Option<Digest>,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

/// The backbone with its weights and the task's head.
///
/// A `.safetensors` file fills the whole architecture, classifier included; a model file of our own fills what it has
/// in the same shape, its head too where the outputs are as many. An exported backbone has weights of its own.
pub(super) fn starting_graph(recipe: &Recipe, task: &Task, standards: &[Standard]) -> Result<Start, TrainError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| TrainError::Io { path: path.display().to_string(), source })
    };
    let attach_head = |graph| replace_classifier(graph, task, HeadSettings { dropout: recipe.dropout, standards });
    let Body { mut source, digest, notes } = recipe.architecture.body(recipe.resize.size, &recipe.normalisation)?;
    let mut graph = std::mem::take(&mut source.graph);
    // Weights given beside an exported backbone's own come before them.
    let own = (digest.is_some() && recipe.weights.is_some()).then(|| graph.clone());
    if own.is_some() {
        clear_parameters(&mut graph);
    }
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
    if let Some(own) = own {
        weights::complete(&mut graph, &own);
    }
    initialise(&mut graph, recipe.seed)?;
    let base_weights = bytes.map(|bytes| Digest::of(&bytes)).or(digest);
    Ok(Start { source: SourceGraph { graph, ..source }, base_weights, notes })
}
