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

/// The name of the model whose versions lie in `model_folder`: the folder's own.
///
/// # Errors
/// A folder whose name no model can have: [`list_versions`] passes over it.
pub fn name_of(model_folder: &Path) -> Result<ModelName, String> {
    let folder = std::path::absolute(model_folder).map_err(|error| format!("{}: {error}", model_folder.display()))?;
    ModelName::try_from(folder.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// The version after the highest one below `model_folder`, 1 where there is none, and the file that it is to stand in.
/// The version's folder is made for the caller alone: another program that asks at the same time gets the next one.
///
/// # Errors
/// A folder that cannot be made or read.
pub fn next_version(model_folder: &Path) -> std::io::Result<(ModelVersion, PathBuf)> {
    std::fs::create_dir_all(model_folder)?;
    loop {
        let highest = versions_in(model_folder)?.into_iter().max();
        let version = highest.map_or(ModelVersion(1), |version| ModelVersion(version.0 + 1));
        let folder = model_folder.join(version.to_string());
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok((version, folder.join(MODEL_FILE))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_ask_at_the_same_time_get_versions_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("models/scenes");
        let ask = || (0..20).map(|_| next_version(&out).unwrap().0).collect::<Vec<_>>();
        let mut versions = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect::<Vec<_>>()
        });
        versions.sort_unstable();
        assert_eq!(versions, (1..=80).map(ModelVersion).collect::<Vec<_>>());
    }

    #[test]
    fn a_models_folder_has_the_name_of_a_model() {
        for folder in ["models/scenes", "/models/my-scenes_2.1/", "models/./scenes/."] {
            assert!(name_of(Path::new(folder)).is_ok(), "{folder}");
        }
        for folder in ["models/my scenes", "models/.scenes", "models/größe", "/", "models/.."] {
            assert!(name_of(Path::new(folder)).unwrap_err().contains("is not a model name"), "{folder}");
        }
    }
}
