//! The graph that training starts from: an architecture, its weights and the task's head.

use std::collections::BTreeSet;

use super::{
    TrainError,
    initial::initialise,
    recipe::Recipe,
    weights::{self, Destination, Loaded},
};
use crate::{
    model::Task,
    onnx::{
        GraphProto,
        head::{HeadSettings, Standard, replace_classifier},
    },
};

/// Classes of the ImageNet classifiers that weight files come with; the head replaces them.
const IMAGENET_CLASSES: i64 = 1000;

/// The architecture with its weights and the task's head, every parameter filled; and what came of loading the weights.
pub(super) fn starting_graph(
    recipe: &Recipe,
    task: &Task,
    standards: &[Standard],
) -> Result<(GraphProto, Loaded), TrainError> {
    let whole = recipe.architecture.build(recipe.resize.size, IMAGENET_CLASSES);
    let mut classifier = parameters(&whole);
    let mut graph = replace_classifier(whole, task, HeadSettings { dropout: recipe.dropout, standards })?;
    parameters(&graph).iter().for_each(|name| _ = classifier.remove(name));
    let mut destination =
        Destination { architecture: recipe.architecture, graph: &mut graph, classifier, task, seed: recipe.seed };
    let loaded = weights::load(&recipe.weights, &mut destination)?;
    initialise(&mut graph, recipe.seed)?;
    Ok((graph, loaded))
}

/// The names of what a graph keeps values of.
fn parameters(graph: &GraphProto) -> BTreeSet<String> {
    graph.initializer.iter().map(|tensor| tensor.name().to_owned()).collect()
}
