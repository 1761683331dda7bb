//! A graph together with the rules that it is written in.

use super::{GraphProto, IR_VERSION, ModelProto, OPSET_VERSION, OnnxError, proto::OperatorSetIdProto};

/// A graph with its operator set and file format, which a trained model keeps, because an operator may mean something
/// else in another set.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceGraph {
    /// The graph.
    pub graph: GraphProto,
    /// The version of the standard operator set.
    pub opset: i64,
    /// The IR version of the file.
    pub ir_version: i64,
    /// What it was made from, for the record: an architecture's name, or a file's name and digest.
    pub origin: String,
}

impl SourceGraph {
    /// A graph of our own.
    pub fn ours(graph: GraphProto, origin: &str) -> Self {
        Self { graph, opset: OPSET_VERSION, ir_version: IR_VERSION, origin: origin.to_owned() }
    }

    /// The graph of a file.
    ///
    /// # Errors
    /// A file without a graph, or one that names no version of the standard operator set.
    pub fn of_model(model: ModelProto, origin: &str) -> Result<Self, OnnxError> {
        let standard = model.opset_import.iter().find(|import| matches!(import.domain(), "" | "ai.onnx"));
        let opset = standard
            .map(OperatorSetIdProto::version)
            .ok_or_else(|| OnnxError::Graph("the file names no version of the standard operator set".into()))?;
        let ir_version = model.ir_version();
        let graph = model.graph.ok_or_else(|| OnnxError::Graph("the file has no graph".into()))?;
        Ok(Self { graph, opset, ir_version, origin: origin.to_owned() })
    }

    /// The file, by producer's name and version.
    pub fn into_model(self, producer: (&str, &str)) -> ModelProto {
        ModelProto {
            ir_version: Some(self.ir_version),
            producer_name: Some(producer.0.to_owned()),
            producer_version: Some(producer.1.to_owned()),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(self.opset) }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }
}
