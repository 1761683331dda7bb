//! Where the weights that training starts from come from, as `--weights` says it.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use super::published::Published;
use crate::onnx::arch::Architecture;

/// Where the weights that training starts from come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum WeightsSource {
    /// Random weights: `none`.
    #[default]
    None,
    /// A published file that was trained on ImageNet: `imagenet`, or `imagenet:ENTRY` for another than the first entry
    /// of [`super::published::FILES`].
    Imagenet(Option<String>),
    /// A file: `.safetensors`, a PyTorch state dict, or a model.onnx of one's own.
    File(PathBuf),
}

impl WeightsSource {
    /// Whether there is no source, so that weights are drawn at random.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Checks that the entry is published for the architecture.
    ///
    /// # Errors
    /// An entry that is not, with those that are.
    pub fn check(&self, architecture: Option<Architecture>) -> Result<(), String> {
        match self {
            Self::Imagenet(entry) => published(architecture, entry.as_deref()).map(|_| ()),
            Self::None | Self::File(_) => Ok(()),
        }
    }

    /// The source as a model file records it: which published file, but no path of the user's; a file's digest is
    /// recorded instead.
    #[must_use]
    pub fn for_manifest(&self, architecture: Option<Architecture>) -> Self {
        match self {
            Self::Imagenet(entry) => match published(architecture, entry.as_deref()) {
                Ok(published) => Self::Imagenet(Some(published.entry.to_owned())),
                Err(_) => self.clone(),
            },
            Self::None | Self::File(_) => Self::None,
        }
    }
}

/// The published file for an architecture; an exported backbone has none.
pub(super) fn published(architecture: Option<Architecture>, entry: Option<&str>) -> Result<Published, String> {
    let architecture = architecture.ok_or_else(|| {
        "nothing is published for an exported backbone, which has its own weights: leave --weights away".to_owned()
    })?;
    Published::find(architecture, entry)
}

impl From<&str> for WeightsSource {
    fn from(text: &str) -> Self {
        match text {
            "none" => Self::None,
            "imagenet" => Self::Imagenet(None),
            _ => match text.strip_prefix("imagenet:") {
                Some(entry) => Self::Imagenet(Some(entry.to_owned())),
                None => Self::File(text.into()),
            },
        }
    }
}

impl From<String> for WeightsSource {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl FromStr for WeightsSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl fmt::Display for WeightsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Imagenet(None) => f.write_str("imagenet"),
            Self::Imagenet(Some(entry)) => write!(f, "imagenet:{entry}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl From<WeightsSource> for String {
    fn from(source: WeightsSource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_as_it_is_written() {
        for text in ["none", "imagenet", "imagenet:IMAGENET1K_V2", "weights/mine.pth"] {
            let source = WeightsSource::from(text);
            assert_eq!(source.to_string(), text);
            assert_eq!(
                serde_json::from_value::<WeightsSource>(serde_json::to_value(&source).unwrap()).unwrap(),
                source
            );
        }
        assert_eq!(WeightsSource::from("./imagenet"), WeightsSource::File("./imagenet".into()));
    }

    #[test]
    fn an_entry_that_is_not_published_is_refused_with_those_that_are() {
        let message = WeightsSource::from("imagenet:V7").check(Some(Architecture::Resnet50)).unwrap_err();
        for part in ["V7", "resnet50", "IMAGENET1K_V1", "IMAGENET1K_V2", "a1_in1k"] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }

    #[test]
    fn a_manifest_names_the_published_file_but_no_path() {
        let recorded = |text: &str| WeightsSource::from(text).for_manifest(Some(Architecture::Resnet18)).to_string();
        assert_eq!(recorded("imagenet"), "imagenet:IMAGENET1K_V1");
        assert_eq!(recorded("/home/me/weights.pth"), "none");
    }
}
