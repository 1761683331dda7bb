//! Corrections of answers, and what becomes of them: new thresholds for the model that answered ([`refit`]), and a data set
//! for the next one ([`export`]).
//!
//! Knows the store and the model's task; the server and the tools are in front of it.

mod export;
mod refit;
mod truth;

pub use export::{Exported, export};
pub use refit::{CorrectedLabel, Corrections, Refit, Revision, corrections, refit};
pub use truth::{TruePoint, TrueValue, Truth};

use crate::store::StoreError;

/// Why there is no new threshold, or no data set.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    /// The database or the pictures' store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be done with what there is.
    #[error("{0}")]
    Unfit(String),
    /// A file that cannot be written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}
