//! Which versions of a model answer: `<models>/<name>/serving.toml`, written by promotion and readable by people.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{files::write_whole, model::ModelVersion};

/// How many earlier defaults are remembered for rolling back.
const REMEMBERED: usize = 10;

/// What somebody chose for a model; nothing chosen serves the newest version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct Choice {
    /// The version that answers where a request names none; none follows the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::serve) default: Option<ModelVersion>,
    /// Earlier defaults, the last one last; 0 stands for following the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    previous: Vec<u64>,
    /// A version that sees a share of the pictures and never answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::serve) shadow: Option<ShadowChoice>,
}

/// A version on trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::serve) struct ShadowChoice {
    pub(in crate::serve) version: ModelVersion,
    /// The share of pictures that it sees, above 0 and at most 1.
    pub(in crate::serve) share: f64,
}

impl Choice {
    /// What the file says; nothing chosen where there is none.
    ///
    /// # Errors
    /// A file that cannot be read or says something else.
    pub(super) fn read(models: &Path, name: &str) -> Result<Self, String> {
        let path = path(models, name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let choice: Self = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        match choice.shadow {
            Some(shadow) if !(shadow.share > 0.0 && shadow.share <= 1.0) => {
                Err(format!("{}: share {} is not above 0 and at most 1", path.display(), shadow.share))
            }
            _ => Ok(choice),
        }
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn write(&self, models: &Path, name: &str) -> Result<(), String> {
        let path = path(models, name);
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        write_whole(&path, text.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The same with another default, the earlier one remembered.
    pub(super) fn promoting(&self, version: Option<ModelVersion>) -> Self {
        let mut choice = self.clone();
        if choice.default != version {
            choice.previous.push(self.default.map_or(0, |version| version.0));
            choice.previous.drain(..choice.previous.len().saturating_sub(REMEMBERED));
        }
        choice.default = version;
        choice
    }

    /// The same with the earlier default; None where there was none.
    pub(super) fn rolled_back(&self) -> Option<Self> {
        let mut choice = self.clone();
        let earlier = choice.previous.pop()?;
        choice.default = (earlier > 0).then_some(ModelVersion(earlier));
        Some(choice)
    }
}

fn path(models: &Path, name: &str) -> PathBuf {
    models.join(name).join("serving.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_back_goes_through_the_earlier_defaults_one_by_one() {
        let choice = Choice::default().promoting(Some(ModelVersion(1))).promoting(Some(ModelVersion(3)));
        let back = choice.promoting(Some(ModelVersion(3))).rolled_back().unwrap();
        assert_eq!(back.default, Some(ModelVersion(1)));
        let back = back.rolled_back().unwrap();
        assert_eq!(back.default, None);
        assert_eq!(back.rolled_back(), None);
    }

    #[test]
    fn a_choice_is_read_as_it_was_written_and_nonsense_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("scenes")).unwrap();
        assert_eq!(Choice::read(folder.path(), "scenes"), Ok(Choice::default()));
        let shadow = Some(ShadowChoice { version: ModelVersion(4), share: 0.25 });
        let choice = Choice { shadow, ..Choice::default().promoting(Some(ModelVersion(2))) };
        choice.write(folder.path(), "scenes").unwrap();
        assert_eq!(Choice::read(folder.path(), "scenes"), Ok(choice));
        for nonsense in ["default = \"two\"", "shadow = { version = 1, share = 2.0 }", "colour = 1"] {
            std::fs::write(folder.path().join("scenes/serving.toml"), nonsense).unwrap();
            let error = Choice::read(folder.path(), "scenes").unwrap_err();
            assert!(error.contains("serving.toml"), "{error}");
        }
    }
}
