//! The graph that training starts from: a backbone, its weights and the task's head.

use std::collections::BTreeSet;

use super::{
    TrainError,
    backbone::Body,
    initial::initialise,
    network::clear_parameters,
    recipe::Recipe,
    weights::{self, Destination},
};
use crate::{
    model::{Digest, Task},
    onnx::{
        GraphProto, SourceGraph,
        arch::{Normalisation, normalisation_of},
        head::{HeadSettings, Standard, replace_classifier},
    },
};

/// What training starts from.
#[derive(Debug)]
pub(super) struct Start {
    /// The graph, every parameter filled.
    pub(super) source: SourceGraph,
    /// SHA-256 of the file that the weights are from; none for random weights.
    pub(super) base_weights: Option<Digest>,
    /// What the graph normalises pixels by.
    pub(super) normalisation: Normalisation,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

/// The backbone with its weights and the task's head. An exported backbone has weights of its own, unless others are
/// given.
pub(super) fn starting_graph(recipe: &Recipe, task: &Task, standards: &[Standard]) -> Result<Start, TrainError> {
    let normalisation = recipe.normalisation.unwrap_or_default();
    let Body { mut source, digest, mut notes } = recipe.architecture.body(recipe.resize.size, &normalisation)?;
    let whole = std::mem::take(&mut source.graph);
    let mut classifier = parameters(&whole);
    let mut graph = replace_classifier(whole, task, HeadSettings { dropout: recipe.dropout, standards })?;
    parameters(&graph).iter().for_each(|name| _ = classifier.remove(name));
    if digest.is_some() && !recipe.weights.is_none() {
        clear_parameters(&mut graph);
    }
    let mut destination = Destination {
        name: &source.origin,
        architecture: recipe.architecture.named(),
        graph: &mut graph,
        classifier,
        keeps_normalisation: recipe.normalisation.is_some(),
        task,
        seed: recipe.seed,
    };
    let loaded = weights::load(&recipe.weights, &mut destination)?;
    initialise(&mut graph, recipe.seed)?;
    notes.extend(loaded.notes);
    let normalisation = normalisation_of(&graph).filter(|_| recipe.normalisation.is_none()).unwrap_or(normalisation);
    Ok(Start { source: SourceGraph { graph, ..source }, base_weights: loaded.digest.or(digest), normalisation, notes })
}

/// The names of what a graph keeps values of.
fn parameters(graph: &GraphProto) -> BTreeSet<String> {
    graph.initializer.iter().map(|tensor| tensor.name().to_owned()).collect()
}
