//! The backbone that a head is put on: an architecture that we build, or a graph that somebody else exported.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use prost::Message as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tch::{Kind, Tensor, no_grad};

use super::{
    TrainError,
    network::{Mode, Network, OPSETS, check_opset},
};
use crate::{
    model::Digest,
    onnx::{
        ModelProto, OnnxError, SourceGraph,
        arch::{Architecture, Normalisation, set_normalisation},
        foreign::{adopt, is_folded},
        head::LOGITS,
        trust::LAST_OPSET,
    },
    picture::PictureSize,
};

/// Classes of the ImageNet classifiers that weight files come with; the head replaces them.
const IMAGENET_CLASSES: i64 = 1000;

/// The operator sets that backbones may be exported for: those that the interpreter follows and the server has.
const TRAINED_OPSETS: std::ops::RangeInclusive<i64> = *OPSETS.start()..=LAST_OPSET;

/// What `--arch` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backbone {
    /// An architecture that we build, without weights.
    Named(Architecture),
    /// An exported ONNX file, weights included.
    File(PathBuf),
}

/// A backbone's graph, its old classifier still on it.
#[derive(Debug)]
pub(super) struct Body {
    /// The graph; a named architecture's parameters have no values yet.
    pub(super) source: SourceGraph,
    /// SHA-256 of the file that the values are from.
    pub(super) digest: Option<Digest>,
    /// What a user should know.
    pub(super) notes: Vec<String>,
}

impl Backbone {
    /// Builds or reads the graph.
    ///
    /// # Errors
    /// A file that cannot be read, is not ONNX, or cannot be trained; each says what to do.
    pub(super) fn body(&self, size: PictureSize, normalisation: &Normalisation) -> Result<Body, TrainError> {
        match self {
            Self::Named(architecture) => {
                let mut graph = architecture.build(size, IMAGENET_CLASSES);
                set_normalisation(&mut graph, normalisation);
                Ok(Body { source: SourceGraph::ours(graph, architecture.name()), digest: None, notes: Vec::new() })
            }
            Self::File(path) => read(path, size, normalisation),
        }
    }

    /// The architecture, where it is one that we build.
    pub fn named(&self) -> Option<Architecture> {
        match self {
            Self::Named(architecture) => Some(*architecture),
            Self::File(_) => None,
        }
    }

    /// The same without the folders of a file, which are nobody's business but the user's.
    #[must_use]
    pub(super) fn without_folder(&self) -> Self {
        match self {
            Self::File(path) => Self::File(path.file_name().map(PathBuf::from).unwrap_or_default()),
            Self::Named(architecture) => Self::Named(*architecture),
        }
    }
}

fn read(path: &Path, size: PictureSize, normalisation: &Normalisation) -> Result<Body, TrainError> {
    let shown = path.display().to_string();
    let bytes = fs::read(path).map_err(|source| TrainError::Io { path: shown.clone(), source })?;
    let at = |error: OnnxError| TrainError::Backbone { path: shown.clone(), reason: error.to_string() };
    let model = ModelProto::decode(bytes.as_slice()).map_err(|error| at(error.into()))?;
    let digest = Digest::of(&bytes);
    let graph = model.graph.as_ref().map_or("", |graph| graph.name());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let origin = format!("{file} (graph {graph:?}, sha256:{digest})");
    let opset = SourceGraph::of_model(model.clone(), &origin).map_err(at)?.opset;
    check_opset(opset, &TRAINED_OPSETS)
        .map_err(|error| TrainError::Backbone { path: shown.clone(), reason: error.to_string() })?;
    let source = adopt(model, &origin, size, normalisation).map_err(at)?;
    let mut notes = Vec::new();
    if is_folded(&source.graph) {
        notes.push(
            "batch norms were folded into the convolutions by the exporter: trained as convolutions with bias; expect \
             to need a lower learning rate, or keep them: training=torch.onnx.TrainingMode.PRESERVE, or optimize=False \
             with dynamo=True"
                .to_owned(),
        );
    }
    Ok(Body { source, digest: Some(digest), notes })
}

/// Sees that pictures of a batch are judged one by one: an exporter that was given one picture may have written its
/// batch of 1 into shapes inside the graph, whatever the input says.
///
/// # Errors
/// A graph that fails on a batch of three, or gives a picture another output in company than alone.
pub(super) fn check_batch(network: &mut Network, path: &Path, size: PictureSize) -> Result<(), TrainError> {
    let shape = [3, i64::from(size.height), i64::from(size.width), 3];
    let count = shape.iter().product::<i64>();
    // Any three different pictures.
    let pixels = Tensor::f_arange(count, (Kind::Float, network.device()))?.f_mul_scalar(0.37)?.f_remainder(255.0)?;
    let pixels = pixels.f_view(shape)?;
    let refused = |reason: String| TrainError::Backbone {
        path: path.display().to_string(),
        reason: format!(
            "{reason}: export it with an open batch, dynamic_axes={{\"input\": {{0: \"N\"}}}} or, with dynamo=True, \
             dynamic_shapes=({{0: torch.export.Dim(\"N\")}},)"
        ),
    };
    let mut run = |pixels: &Tensor| -> Result<Tensor, _> {
        let logits = no_grad(|| network.forward(pixels, &[LOGITS], &Mode::Evaluate));
        logits.map(|mut logits| logits.remove(0))
    };
    // One alone first: what fails then is no matter of the batch, and the error says which node it is.
    let alone = run(&pixels.f_narrow(0, 2, 1)?)?;
    let together = run(&pixels).map_err(|error| refused(format!("a batch of three pictures fails ({error})")))?;
    if together.size() != [3, alone.size().get(1).copied().unwrap_or_default()] {
        return Err(refused(format!("three pictures give outputs of shape {:?}", together.size())));
    }
    let difference = together.f_narrow(0, 2, 1)?.f_sub(&alone)?.f_abs()?.f_max()?.f_double_value(&[])?;
    if difference > 1e-3 * alone.f_abs()?.f_max()?.f_double_value(&[])? {
        return Err(refused("a picture has other outputs in a batch of three than alone".to_owned()));
    }
    Ok(())
}

impl From<Architecture> for Backbone {
    fn from(architecture: Architecture) -> Self {
        Self::Named(architecture)
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(architecture) => formatter.write_str(architecture.name()),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl FromStr for Backbone {
    type Err = String;

    /// A path that ends in `.onnx`, or an architecture's name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Path::new(text).extension().is_some_and(|extension| extension == "onnx") {
            return Ok(Self::File(text.into()));
        }
        text.parse()
            .map(Self::Named)
            .map_err(|error: String| format!("{error}, or an exported file that ends in .onnx"))
    }
}

impl Serialize for Backbone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Backbone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backbone_is_a_name_or_a_file_and_is_recorded_without_its_folder() {
        assert_eq!("resnet18".parse(), Ok(Backbone::Named(Architecture::Resnet18)));
        let file: Backbone = "/home/someone/vit.onnx".parse().unwrap();
        assert_eq!(serde_json::to_string(&file.without_folder()).unwrap(), "\"vit.onnx\"");
        assert!("vit".parse::<Backbone>().unwrap_err().contains("or an exported file that ends in .onnx"));
    }
}
