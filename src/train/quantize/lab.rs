//! Making quantised graphs of one model, and running them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::QuantizeError;
use crate::{
    infer::{Runtime, Session, SessionOptions},
    model::{Digest, ModelFile},
    onnx::{
        GraphProto, ModelProto, SourceGraph,
        quantize::{
            Histogram, MIN_OPSET, Method, Range, Recipe, Unit, WeightRange, is_quantised, rewrite, simplify, units,
        },
    },
};

/// A float32 model, its graph made simple, and what is known of its activations.
pub(super) struct Lab<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) float: &'a ModelFile,
    /// The file without its graph.
    shell: ModelProto,
    pub(super) simple: GraphProto,
    pub(super) units: Vec<Unit>,
    pub(super) histograms: BTreeMap<String, Histogram>,
    pub(super) weights: WeightRange,
}

impl<'a> Lab<'a> {
    pub(super) fn open(
        runtime: &'a Runtime,
        float: &'a ModelFile,
        weights: WeightRange,
    ) -> Result<Self, QuantizeError> {
        let mut shell = ModelProto::decode(float.bytes.as_slice()).map_err(crate::onnx::OnnxError::from)?;
        let opset = SourceGraph::of_model(shell.clone(), "")?.opset;
        if opset < MIN_OPSET {
            let wrong = format!("the model is of operator set {opset}: export it for {MIN_OPSET} or a later one");
            return Err(QuantizeError::Unfit(wrong));
        }
        let mut simple = shell.graph.take().unwrap_or_default();
        if is_quantised(&simple) {
            return Err(QuantizeError::Unfit("the model is quantised already".into()));
        }
        simplify(&mut simple)?;
        let units = units(&simple);
        Ok(Self { runtime, float, shell, simple, units, histograms: BTreeMap::new(), weights })
    }

    /// Sees that there are layers of these names.
    pub(super) fn check_names(&self, layers: &BTreeSet<String>) -> Result<(), QuantizeError> {
        let known: Vec<&str> = self.units.iter().map(|unit| unit.name.as_str()).collect();
        let Some(unknown) = layers.iter().find(|layer| !known.contains(&layer.as_str())) else { return Ok(()) };
        Err(QuantizeError::Unfit(format!("there is no layer {unknown:?}: choose of {}", known.join(", "))))
    }

    /// The model with another graph; it has no manifest of its own.
    pub(super) fn model(&self, graph: GraphProto) -> ModelProto {
        ModelProto { graph: Some(graph), metadata_props: Vec::new(), ..self.shell.clone() }
    }

    pub(super) fn quantised(&self, method: Method, in_float: &BTreeSet<String>) -> Result<GraphProto, QuantizeError> {
        let ranges: BTreeMap<String, Range> =
            self.histograms.iter().map(|(name, histogram)| (name.clone(), method.range(histogram))).collect();
        Ok(rewrite(&self.simple, &Recipe { ranges: &ranges, in_float, weights: self.weights })?)
    }

    /// A session of another graph with the model's own ends.
    pub(super) fn session(&self, graph: GraphProto) -> Result<Session, QuantizeError> {
        let bytes = self.model(graph).encode_to_vec();
        // What nobody reads is not computed: there may be hundreds of these.
        let file = ModelFile { bytes, digest: Digest::of(&[]), manifest: self.float.manifest.clone() };
        self.open_file(&file)
    }

    pub(super) fn open_file(&self, file: &ModelFile) -> Result<Session, QuantizeError> {
        Ok(Session::open(self.runtime, file, &SessionOptions::default())?)
    }
}
