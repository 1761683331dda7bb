//! Checkpoints: everything that training changes, in one file that is written whole or not at all.
//!
//! The file is a safetensors file. `now/…`, `average/…` and `best/…` are the network's values, row-major, by the
//! initializers' names; `optimiser/<group>/…` are the averages of the gradients and of their squares. What is no tensor
//! is JSON in the file's metadata.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Companions, Learner, Progress};
use crate::{
    files::write_whole,
    model::Digest,
    train::{
        TrainError,
        network::{Snapshot, to_f32},
        optimiser::OptimiserState,
        recipe::Recipe,
        schedule::PhasePlan,
    },
};

/// The metadata key of the [`Header`].
const KEY: &str = "tagpoint.checkpoint";
/// The format that this build writes and reads.
const VERSION: u32 = 1;

/// Why a run cannot go on from a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is no checkpoint, or a damaged one.
    #[error("{path} is no checkpoint that can be read: {reason}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The run is another one now.
    #[error("{path}: {what} changed since the checkpoint was written; resume with what it was, or start a new run")]
    Changed {
        /// The file.
        path: String,
        /// What is another.
        what: &'static str,
    },
}

/// What is no tensor.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    recipe: Recipe,
    data: Digest,
    optimiser_steps: i32,
    progress: Progress,
}

/// A checkpoint on its way to the disk, while training goes on.
pub(super) struct Saving {
    path: PathBuf,
    writing: JoinHandle<std::io::Result<()>>,
}

impl Learner {
    /// Takes what makes a checkpoint, where the companions want one, and lets it be written.
    ///
    /// # Errors
    /// That the one before it could not be written, and libtorch's.
    pub(super) fn save(&mut self, companions: &Companions<'_>) -> Result<(), TrainError> {
        let Some(path) = companions.checkpoint else { return Ok(()) };
        self.saved()?;
        let state = self.optimiser.state();
        let header = Header {
            version: VERSION,
            recipe: self.recipe.clone(),
            data: self.dataset.fingerprint,
            optimiser_steps: state.steps,
            progress: self.progress.clone(),
        };
        let mut tensors = Tensors::default();
        for (name, value) in self.network.values() {
            tensors.add(format!("now/{name}"), &value)?;
        }
        for (prefix, snapshot) in [("average", &self.average), ("best", &self.best)] {
            for (name, value) in snapshot.iter().flat_map(|snapshot| &snapshot.values) {
                tensors.add(format!("{prefix}/{name}"), value)?;
            }
        }
        for (group, [average, squares]) in state.averages.iter().enumerate() {
            tensors.add(format!("optimiser/{group}/average"), average)?;
            tensors.add(format!("optimiser/{group}/squares"), squares)?;
        }
        let path = path.to_owned();
        let target = path.clone();
        let writing =
            std::thread::spawn(move || write_whole(&target, &tensors.serialise(serde_json::to_string(&header)?)?));
        self.saving = Some(Saving { path, writing });
        Ok(())
    }

    /// Waits until what [`Learner::save`] took is on the disk.
    pub(super) fn saved(&mut self) -> Result<(), TrainError> {
        let Some(Saving { path, writing }) = self.saving.take() else { return Ok(()) };
        let written = writing.join().unwrap_or_else(|_| Err(std::io::Error::other("its writer ended early")));
        written.map_err(|source| TrainError::Io { path: path.display().to_string(), source })
    }

    /// Goes back to where a checkpoint was written; [`Learner::fit`] with the same plan then goes on from there.
    ///
    /// # Errors
    /// A file that cannot be read or is no checkpoint, one of another recipe or other data, and libtorch's.
    pub fn resume(&mut self, path: &Path, plan: &[PhasePlan]) -> Result<(), TrainError> {
        let name = path.display().to_string();
        let broken = |reason: String| CheckpointError::Broken { path: name.clone(), reason };
        let bytes = std::fs::read(path).map_err(|source| TrainError::Io { path: name.clone(), source })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| broken(error.to_string()))?;
        let header = header(&bytes).map_err(broken)?;
        for (what, same) in
            [("the data set", header.data == self.dataset.fingerprint), ("the settings", header.recipe == self.recipe)]
        {
            if !same {
                return Err(CheckpointError::Changed { path: name, what }.into());
            }
        }
        self.network.restore(&snapshot(&file, "now")?)?;
        let present = |snapshot: Snapshot| (!snapshot.values.is_empty()).then_some(snapshot);
        self.average = present(snapshot(&file, "average")?.on(self.network.device())?);
        self.best = present(snapshot(&file, "best")?);
        self.progress = header.progress;
        if let Some(phase) = plan.get(self.progress.phase).filter(|_| self.is_under_way()) {
            self.begin(phase)?;
            let group = |place: usize| -> Result<[Tensor; 2], TrainError> {
                let [average, squares] = ["average", "squares"].map(|part| format!("optimiser/{place}/{part}"));
                Ok([tensor(&file, &average)?, tensor(&file, &squares)?])
            };
            let averages = (0..self.optimiser.group_count()).map(group).collect::<Result<_, _>>()?;
            self.optimiser.restore(&OptimiserState { steps: header.optimiser_steps, averages })?;
        }
        Ok(())
    }
}

fn header(bytes: &[u8]) -> Result<Header, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let metadata = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = metadata.ok_or("it was not written by tagpoint-train")?;
    // The version first: a header of another version may have other fields.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        version => {
            let version = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            return Err(format!("its format is {version}, this build reads {VERSION}"));
        }
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Tensors on their way into a file, in host memory.
#[derive(Default)]
struct Tensors(Vec<(String, Values)>);

struct Values {
    shape: Vec<usize>,
    /// Row-major.
    elements: Vec<f32>,
}

impl View for &Values {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.elements.iter().flat_map(|element| element.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.elements.as_slice())
    }
}

impl Tensors {
    fn add(&mut self, name: String, tensor: &Tensor) -> Result<(), TrainError> {
        let shape = tensor.size().iter().map(|&dim| dim as usize).collect();
        self.0.push((name, Values { shape, elements: to_f32(tensor)? }));
        Ok(())
    }

    fn serialise(&self, header: String) -> std::io::Result<Vec<u8>> {
        let views = self.0.iter().map(|(name, values)| (name, values));
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), header)]))).map_err(std::io::Error::other)
    }
}

fn snapshot(file: &SafeTensors<'_>, prefix: &str) -> Result<Snapshot, TrainError> {
    let mut values = Vec::new();
    for full in file.names() {
        if let Some(name) = full.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) {
            values.push((name.to_owned(), tensor(file, full)?));
        }
    }
    Ok(Snapshot { values })
}

fn tensor(file: &SafeTensors<'_>, name: &str) -> Result<Tensor, TrainError> {
    let missing = |reason: String| CheckpointError::Broken { path: name.to_owned(), reason };
    let view = file.tensor(name).map_err(|error| missing(error.to_string()))?;
    if view.dtype() != Dtype::F32 {
        return Err(missing(format!("its elements are {:?}", view.dtype())).into());
    }
    let (elements, _) = view.data().as_chunks::<4>();
    let values: Vec<f32> = elements.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let shape: Vec<i64> = view.shape().iter().map(|&dim| dim as i64).collect();
    Ok(Tensor::f_from_slice(&values)?.f_view(shape.as_slice())?)
}
