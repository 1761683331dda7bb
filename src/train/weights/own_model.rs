//! A model file of one's own as a start: its body, and of its head what the new task has as well.
//!
//! The last layer of the head has a row for each label (or value), and two rows, x and y, for each point. Rows are taken
//! over by name, so labels may be added, removed or reordered; the rows of new ones are drawn as any new head's.
//! Pixels are normalised as the model's were, unless the user says how.

use std::{collections::BTreeMap, path::Path};

use prost::Message as _;

use super::{Destination, WeightsError, fill::fill, state_dict::StateDict};
use crate::{
    model::{Manifest, ModelError, ModelFile, Task},
    onnx::{
        GraphProto, ModelProto, TensorProto,
        arch::{normalisation_of, set_normalisation},
        head::{DEVIATIONS, HEAD_PREFIX, MEANS},
    },
    train::initial::initialise,
};

/// The last layer of the head: [rows, hidden].
const LAST_LAYER: &str = "head.linear2.weight";
/// Names that a summary lists.
const LISTED: usize = 10;

/// Fills the graph from a model file, and says what was taken over.
///
/// # Errors
/// A file that is no ONNX, was changed after it was written, or is another architecture's.
pub(super) fn load(path: &Path, bytes: Vec<u8>, destination: &mut Destination<'_>) -> Result<String, WeightsError> {
    let refused = |reason: String| WeightsError::file(path, reason);
    let graph = ModelProto::decode(bytes.as_slice()).map_err(|error| refused(format!("not an ONNX file: {error}")))?;
    let graph = graph.graph.unwrap_or_default();
    let manifest = match ModelFile::parse(bytes) {
        Ok(file) => Some(file.manifest),
        Err(ModelError::NoManifest) => None,
        Err(error) => return Err(refused(error.to_string())),
    };
    let name = destination.name;
    if let Some(other) = other_architecture(manifest.as_ref(), name) {
        return Err(refused(format!("the model is a {other}, not a {name}: pass --arch {other} to go on from it")));
    }
    let dict = StateDict::of_graph(&graph)?;
    let old = manifest.as_ref().map(|manifest| &manifest.task).filter(|old| old.kind() == destination.task.kind());
    let taken = |name: &str| !name.starts_with(HEAD_PREFIX) || (old.is_some() && name != LAST_LAYER);
    fill(destination.graph, &dict, name, taken, |_| true).map_err(refused)?;
    let normalised = take_normalisation(&graph, destination);
    let Some(old) = old else {
        return Ok(body_only(manifest.as_ref(), destination.task) + &normalised);
    };
    // What is left without values is the last layer; its rows are drawn first, and then those of old names replaced.
    initialise(destination.graph, destination.seed)?;
    let last = dict.values(LAST_LAYER).map_err(|reason| refused(format!("{LAST_LAYER} {reason}")))?;
    take_rows(destination.graph, destination.task, old, &last).map_err(refused)?;
    let rescaled = is_rescaled([(&graph, old), (destination.graph, destination.task)]);
    Ok(summary(destination.task, old, rescaled) + &normalised)
}

/// Lets the new graph normalise pixels as the file's does, unless it keeps its own; gives what is to be said of it.
fn take_normalisation(graph: &GraphProto, destination: &mut Destination<'_>) -> String {
    let (own, new) = (normalisation_of(graph), normalisation_of(destination.graph));
    let Some(own) = own.filter(|own| new.is_some_and(|new| new != *own)) else { return String::new() };
    let its = format!("mean {:?} and deviation {:?}", own.mean, own.std);
    if destination.keeps_normalisation {
        return format!("; its pixels were normalised by {its}, and now are by others");
    }
    set_normalisation(destination.graph, &own);
    format!("; pixels are normalised as its own were, by {its}")
}

/// Whether a value that both tasks have, without a range, has another mean or deviation in the new graph.
fn is_rescaled([old, new]: [(&GraphProto, &Task); 2]) -> bool {
    let old = standards(old.0, old.1);
    standards(new.0, new.1).iter().any(|(name, standard)| old.get(name).is_some_and(|old| old != standard))
}

/// The mean and deviation of each value that the graph spreads its outputs by; none for other tasks and for ranges.
fn standards<'a>(graph: &GraphProto, task: &'a Task) -> BTreeMap<&'a str, (f32, f32)> {
    let constants = |name: &str| {
        let tensor = graph.initializer.iter().find(|tensor| tensor.name() == name);
        tensor.and_then(|tensor| tensor.to_f32().ok()).unwrap_or_default()
    };
    let standards = constants(MEANS).into_iter().zip(constants(DEVIATIONS));
    task.names().into_iter().zip(standards).collect()
}

fn other_architecture<'a>(manifest: Option<&'a Manifest>, name: &str) -> Option<&'a str> {
    manifest.map(|manifest| manifest.provenance.architecture.as_str()).filter(|other| *other != name)
}

fn body_only(manifest: Option<&Manifest>, task: &Task) -> String {
    let why = match manifest {
        Some(manifest) => format!("its head is for {}, not for {}", manifest.task.kind(), task.kind()),
        None => "it has no tagpoint manifest that says what its head is for".to_owned(),
    };
    format!("{why}: the body alone is taken over, the head is new")
}

/// Copies the rows of the names that both tasks have.
fn take_rows(graph: &mut GraphProto, task: &Task, old: &Task, last: &[f32]) -> Result<(), String> {
    let layer = graph.initializer.iter_mut().find(|tensor| tensor.name() == LAST_LAYER);
    let layer = layer.ok_or("the new head has no last layer")?;
    let mut values = layer.to_f32().map_err(|error| error.to_string())?;
    let (new_names, old_names) = (task.names(), old.names());
    let width = values.len() / new_names.len().max(1);
    if last.len() != width * old_names.len() {
        let found = last.len();
        return Err(format!("{LAST_LAYER} has {found} values for {} {}s", old_names.len(), noun(task)));
    }
    for (row, name) in values.chunks_exact_mut(width.max(1)).zip(&new_names) {
        if let Some(place) = old_names.iter().position(|old| old == name) {
            row.copy_from_slice(&last[width * place..width * (place + 1)]);
        }
    }
    *layer = TensorProto::from_f32(LAST_LAYER, &layer.dims.clone(), &values);
    Ok(())
}

/// Such as `3 labels kept, 1 new: dog; 1 dropped: bus`.
fn summary(task: &Task, old: &Task, rescaled: bool) -> String {
    let (new_names, old_names) = (task.names(), old.names());
    let lacking = |names: &[&str], others: &[&str]| -> Vec<String> {
        names.iter().filter(|name| !others.contains(name)).map(|name| (*name).to_owned()).collect()
    };
    let (new, dropped) = (lacking(&new_names, &old_names), lacking(&old_names, &new_names));
    let kept = new_names.len() - new.len();
    let mut summary = format!("{kept} {}{} kept", noun(task), if kept == 1 { "" } else { "s" });
    if !new.is_empty() {
        summary += &format!(", {} new: {}", new.len(), list(&new));
    }
    if !dropped.is_empty() {
        summary += &format!("; {} dropped: {}", dropped.len(), list(&dropped));
    }
    if ranges(task) != ranges(old) {
        summary += "; the outputs' range is another one, so what was learned is scaled to it";
    }
    if rescaled {
        summary += "; the values' means and deviations are other ones, so what was learned is scaled to them";
    }
    summary
}

fn list(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    names[..names.len().min(LISTED)].join(", ") + more
}

fn ranges(task: &Task) -> &[crate::model::YRange] {
    match task {
        Task::MultiLabel { .. } | Task::SingleLabel { .. } => &[],
        Task::Points(points) => std::slice::from_ref(&points.y_range),
        Task::Values(values) => &values.y_ranges,
    }
}

/// What an output is called.
fn noun(task: &Task) -> &'static str {
    match task {
        Task::MultiLabel { .. } | Task::SingleLabel { .. } => "label",
        Task::Points(_) => "point",
        Task::Values(_) => "value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Values;

    fn values(names: &[&str]) -> Task {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Task::Values(Values { names, y_ranges: Vec::new() })
    }

    fn spread(means: &[f32], deviations: &[f32]) -> GraphProto {
        let tensor = |name: &str, values: &[f32]| TensorProto::from_f32(name, &[1, values.len() as i64], values);
        GraphProto { initializer: vec![tensor(MEANS, means), tensor(DEVIATIONS, deviations)], ..GraphProto::default() }
    }

    #[test]
    fn a_value_that_stays_is_said_to_be_rescaled_where_its_mean_or_deviation_is_another() {
        let (old, old_graph) = (values(&["age", "height"]), spread(&[40.0, 170.0], &[20.0, 10.0]));
        for (names, means, deviations, rescaled) in [
            (["height", "age"], [170.0, 40.0], [10.0, 20.0], false),
            (["age", "weight"], [40.0, 70.0], [20.0, 15.0], false),
            (["age", "height"], [40.0, 171.0], [20.0, 10.0], true),
            (["age", "height"], [40.0, 170.0], [20.0, 11.0], true),
        ] {
            let (new, graph) = (values(&names), spread(&means, &deviations));
            assert_eq!(is_rescaled([(&old_graph, &old), (&graph, &new)]), rescaled, "{names:?}");
        }
        assert!(summary(&old, &old, true).contains("means and deviations are other ones"));
    }
}
