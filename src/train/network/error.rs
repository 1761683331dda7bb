//! What can be wrong with a graph or with a call.

use tch::TchError;

use crate::onnx::OnnxError;

/// Why a graph cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An initializer cannot be read.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Operators that the interpreter does not know, each with the nodes that use it.
    #[error("operators that training does not support: {0}")]
    UnknownOperators(String),
    /// A node with wrong attributes, inputs or shapes.
    #[error("node {node:?} ({operator}): {reason}")]
    Node {
        /// The node's name, or that of its first output where it has none.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor that the graph does not have or that nobody fed.
    #[error("{0}")]
    Graph(String),
    /// libtorch refused an operation outside any node.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] TchError),
}

/// Why one operator cannot be built or run; the interpreter adds which node it was.
#[derive(Debug)]
pub(super) enum OperatorError {
    /// libtorch refused.
    Torch(TchError),
    /// The node asks for something impossible or unsupported.
    Invalid(String),
}

impl OperatorError {
    pub(super) fn at(self, node: &str, operator: &str) -> NetworkError {
        let reason = match self {
            Self::Torch(error) => first_line(&error),
            Self::Invalid(reason) => reason,
        };
        NetworkError::Node { node: node.to_owned(), operator: operator.to_owned(), reason }
    }
}

impl From<TchError> for OperatorError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}

impl From<String> for OperatorError {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl From<&str> for OperatorError {
    fn from(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}

/// libtorch's messages end with a C++ backtrace, which says nothing to a user.
fn first_line(error: &TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
