//! What lies beyond a picture's edges.

use serde::{Deserialize, Serialize};

/// What lies beyond a picture's edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The picture mirrored at its edges.
    #[default]
    Reflection,
    /// The pixels of its edges, drawn out.
    Border,
    /// Black.
    Zeros,
}
