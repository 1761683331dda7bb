//! The weights that training starts from.
//!
//! [`WeightsSource`] says where they come from: a [`published`] file, which the [`store`] downloads once, or a file of
//! one's own. [`StateDict`] reads `.safetensors` files and PyTorch's state dicts without running anything from them;
//! `fill` puts them into a graph by name; `own_model` takes over a model.onnx, its head included as far as the new task
//! has the same outputs.

mod checkpoint;
mod download;
mod element;
mod error;
mod fill;
mod legacy;
mod own_model;
mod pickle;
pub mod published;
mod safetensors;
mod source;
mod state_dict;
pub mod store;
mod timm;
mod torch_zip;

use std::{collections::BTreeSet, path::Path};

use self::store::Store;
pub use self::{error::WeightsError, source::WeightsSource, state_dict::StateDict};
use crate::{
    model::{Digest, Task},
    onnx::{GraphProto, arch::Architecture, head::HEAD_PREFIX},
};

/// A graph that is to be filled.
#[derive(Debug)]
pub struct Destination<'a> {
    /// What the graph's body is called.
    pub name: &'a str,
    /// What the graph's body is, where it is one that we build.
    pub architecture: Option<Architecture>,
    /// The graph, the task's head attached; what has no values yet is filled.
    pub graph: &'a mut GraphProto,
    /// The parameters of the classifier that the head replaced: a file may have them, in any shape, or not.
    pub classifier: BTreeSet<String>,
    /// Whether the graph's normalisation of pixels stays as it is, whatever that of a model of one's own is.
    pub keeps_normalisation: bool,
    /// What the head is for.
    pub task: &'a Task,
    /// Decides how the rows of new labels are drawn.
    pub seed: u64,
}

/// What came of loading weights.
#[derive(Debug, Default)]
pub struct Loaded {
    /// SHA-256 of the file; none for random weights.
    pub digest: Option<Digest>,
    /// What a user should know, in sentences.
    pub notes: Vec<String>,
}

/// Fills the graph's body from its source; of the head, what a model of one's own has for the same outputs. Parameters
/// that the source does not give stay without values.
///
/// # Errors
/// A source that cannot be had, is not weights, or does not fit.
pub fn load(source: &WeightsSource, destination: &mut Destination<'_>) -> Result<Loaded, WeightsError> {
    match source {
        WeightsSource::None => Ok(Loaded::default()),
        WeightsSource::Imagenet(entry) => {
            let published = source::published(destination.architecture, entry.as_deref());
            let published = published.map_err(WeightsError::NotPublished)?;
            let store = Store::from_environment()?;
            let (bytes, digest) = store.get(&published)?;
            load_bytes(&store.path(&published), bytes, digest, destination)
        }
        WeightsSource::File(path) => {
            let bytes = std::fs::read(path).map_err(|source| WeightsError::io(path, source))?;
            let digest = Digest::of(&bytes);
            load_bytes(path, bytes, digest, destination)
        }
    }
}

fn load_bytes(
    path: &Path,
    bytes: Vec<u8>,
    digest: Digest,
    destination: &mut Destination<'_>,
) -> Result<Loaded, WeightsError> {
    let mut loaded = Loaded { digest: Some(digest), notes: Vec::new() };
    let name = path.file_name().unwrap_or_default().display();
    if path.extension().is_some_and(|extension| extension == "onnx") {
        let summary = own_model::load(path, bytes, destination)?;
        loaded.notes.push(format!("{name}: {summary}"));
        return Ok(loaded);
    }
    let mut dict = StateDict::read(bytes).map_err(|reason| WeightsError::file(path, reason))?;
    if destination.architecture == Some(Architecture::MobilenetV2) {
        timm::rename(&mut dict);
    }
    let body = |tensor: &str| !tensor.starts_with(HEAD_PREFIX);
    let classifier = |tensor: &str| destination.classifier.contains(tensor);
    fill::fill(destination.graph, &dict, destination.name, body, classifier)
        .map_err(|reason| WeightsError::file(path, reason))?;
    if !dict.notes().is_empty() {
        loaded.notes.push(format!("{name}: read {}", dict.notes().join(", ")));
    }
    Ok(loaded)
}
