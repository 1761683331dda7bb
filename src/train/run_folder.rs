//! A run's folder: its record, its checkpoint, and what is written about it.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{TOOL, TrainError, now, recipe::Recipe};
use crate::{files::write_whole, model::Digest};

/// The record's file in the folder.
const RECORD: &str = "run.json";
/// The checkpoint's file in the folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// Where the folders of runs are, unless the user says otherwise.
const RUNS: &str = "runs";

/// What repeats a run, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The program that wrote it, and its version.
    pub tool: String,
    /// When the run was started, RFC 3339.
    pub started: String,
    /// The command line that started it.
    pub command: Vec<String>,
    /// The folder that the command's paths are relative to.
    pub working_folder: PathBuf,
    /// The run's settings; the learning rate is the one that was found where it was to be found.
    pub recipe: Recipe,
    /// SHA-256 over the data set's rows and files.
    pub data: Digest,
    /// The model file, once the run is finished.
    pub model: Option<PathBuf>,
}

impl RunRecord {
    /// The record of a run that this process starts now.
    ///
    /// # Errors
    /// No working folder, or a command line that is not UTF-8.
    pub fn new(recipe: &Recipe, data: Digest) -> Result<Self, TrainError> {
        let working_folder = std::env::current_dir().map_err(|source| io_error(Path::new("."), source))?;
        let command = std::env::args_os().map(OsString::into_string).collect::<Result<_, _>>();
        let command = command.map_err(|argument| {
            TrainError::Recipe(format!("{} is not UTF-8, so the run could not be repeated", argument.display()))
        })?;
        Ok(Self {
            tool: TOOL.to_owned(),
            started: now(),
            command,
            working_folder,
            recipe: recipe.clone(),
            data,
            model: None,
        })
    }
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder, for one run alone.
    ///
    /// # Errors
    /// A folder that has a run already, or that cannot be made.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        if path.join(RECORD).exists() {
            let path = path.display();
            return Err(TrainError::Recipe(format!("{path} has a run already: go on with fit --resume {path}")));
        }
        std::fs::create_dir_all(path).map_err(|source| io_error(path, source))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where [`RunFolder::create_next`] makes the folders of runs for the model's folder `out`.
    pub fn runs_of(out: &Path) -> PathBuf {
        Path::new(RUNS).join(out.file_name().unwrap_or_else(|| "model".as_ref()))
    }

    /// Makes runs/MODEL/NUMBER, with the next free number, for the model's folder `out`.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn create_next(out: &Path) -> Result<Self, TrainError> {
        let runs = Self::runs_of(out);
        std::fs::create_dir_all(&runs).map_err(|source| io_error(&runs, source))?;
        let mut number = 1;
        loop {
            let path = runs.join(number.to_string());
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(io_error(&path, source)),
            }
        }
    }

    /// The folder of an earlier run.
    ///
    /// # Errors
    /// A folder without a run's record.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let path = std::path::absolute(path).map_err(|source| io_error(path, source))?;
        if !path.join(RECORD).is_file() {
            return Err(TrainError::Recipe(format!(
                "{} is not the folder of a run: it has no {RECORD}",
                path.display()
            )));
        }
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint's file, whether it is there or not.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// Removes the checkpoint of a finished run, which is several times as large as its model.
    ///
    /// # Errors
    /// What the file system says.
    pub fn drop_checkpoint(&self) -> Result<(), TrainError> {
        let path = self.checkpoint();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&path, error)),
            _ => Ok(()),
        }
    }

    /// The line that tells a user how to go on.
    pub fn how_to_resume(&self) -> String {
        format!("go on with: tagpoint-train fit --resume {}", self.path.display())
    }

    /// Reads the record.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn read(&self) -> Result<RunRecord, TrainError> {
        let path = self.path.join(RECORD);
        let bytes = std::fs::read(&path).map_err(|source| io_error(&path, source))?;
        serde_json::from_slice(&bytes).map_err(|error| io_error(&path, error.into()))
    }

    /// Writes the record.
    ///
    /// # Errors
    /// A record that cannot be written.
    pub fn write(&self, record: &RunRecord) -> Result<(), TrainError> {
        let path = self.path.join(RECORD);
        let text = serde_json::to_string_pretty(record).map_err(|error| io_error(&path, error.into()))?;
        write_whole(&path, text.as_bytes()).map_err(|source| io_error(&path, source))
    }
}

fn io_error(path: &Path, source: io::Error) -> TrainError {
    TrainError::Io { path: path.display().to_string(), source }
}
