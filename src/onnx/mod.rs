//! ONNX graphs: the file format, tensors, builders of architectures, and rewrites.
//!
//! The ONNX graph *is* the model from the first training step to the last request: [`arch`] builds it
//! with torchvision's parameter names and [`weights`] fills it, or [`foreign`] adopts one that somebody else
//! exported; [`cut`] finds its classifier, [`head`] replaces it, the trainer executes and changes the graph, and
//! ONNX Runtime serves it. Nothing here knows libtorch or ONNX Runtime.

pub mod arch;
pub mod builder;
pub mod calibrate;
pub mod cut;
mod ends;
pub mod external;
pub mod foreign;
pub mod head;
pub mod proto;
pub mod quantize;
mod source;
pub mod tensor;
pub mod trust;
mod untie;
pub mod weights;
pub mod wrap;

pub use proto::{GraphProto, ModelProto, NodeProto, TensorProto};
pub use source::SourceGraph;

/// The operator set that our own graphs declare.
pub const OPSET_VERSION: i64 = 17;
/// The IR version that our own files declare.
pub const IR_VERSION: i64 = 8;

/// What is wrong with an ONNX file or graph.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are not an ONNX file.
    #[error("not an ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A tensor's data do not fit its shape or type.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// The tensor's name; empty for an unnamed attribute.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// The file may not reach ONNX Runtime.
    #[error("the model file is refused: {0}")]
    Untrusted(String),
    /// The graph lacks what an operation on it needs.
    #[error("{0}")]
    Graph(String),
}
