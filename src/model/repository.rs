//! The folder that models live in: `<root>/<name>/<version>/model.onnx`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The model's file in the folder of its version.
pub(crate) const MODEL_FILE: &str = "model.onnx";
/// The same model for integer kernels, beside `model.onnx` where there is one: a whole model file of its own.
pub const INT8_FILE: &str = "model.int8.onnx";

/// A model's name: 1 to 64 of `a-z A-Z 0-9 _ - .`, not starting with a dot. It is a folder's name and part of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

/// A model's version: a whole number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelVersion(pub u64);

/// One version's place in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionFolder {
    /// The model.
    pub name: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// The model file: `<root>/<name>/<version>/model.onnx`.
    pub file: PathBuf,
}

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModelName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if text.is_empty() || text.len() > 64 || text.starts_with('.') || !text.chars().all(allowed) {
            return Err(format!(
                "{text:?} is not a model name: 1 to 64 letters, digits, '_', '-' or '.', not starting with '.'"
            ));
        }
        Ok(Self(text))
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ModelVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(number) if number > 0 && !text.starts_with(['0', '+']) => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a model version: a whole number from 1")),
        }
    }
}

/// Every version below `root` that has a model file, by name and version.
///
/// Folders whose names are not model names or versions are passed over: they are not models.
///
/// # Errors
/// A folder that cannot be read.
pub fn list_versions(root: &Path) -> std::io::Result<Vec<VersionFolder>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().and_then(|text| ModelName::try_from(text.to_owned()).ok()) else {
            continue;
        };
        if !entry.path().is_dir() {
            continue;
        }
        for version in versions_in(&entry.path())? {
            let file = entry.path().join(version.to_string()).join(MODEL_FILE);
            if file.is_file() {
                found.push(VersionFolder { name: name.clone(), version, file });
            }
        }
    }
    found.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    Ok(found)
}

/// The version after the highest one below `model_folder`, 1 where there is none, and the file that it is to stand in.
///
/// # Errors
/// A folder that is there but cannot be read.
pub fn next_version(model_folder: &Path) -> std::io::Result<(ModelVersion, PathBuf)> {
    let highest = if model_folder.exists() { versions_in(model_folder)?.into_iter().max() } else { None };
    let version = highest.map_or(ModelVersion(1), |version| ModelVersion(version.0 + 1));
    Ok((version, model_folder.join(version.to_string()).join(MODEL_FILE)))
}

fn versions_in(folder: &Path) -> std::io::Result<Vec<ModelVersion>> {
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Some(version) = entry?.file_name().to_str().and_then(|text| text.parse().ok()) {
            versions.push(version);
        }
    }
    Ok(versions)
}
