//! Why weights cannot be had or used.

use std::path::{Path, PathBuf};

use crate::{model::Digest, onnx::OnnxError};

/// Why weights cannot be had or used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The architecture has no published file of that name.
    #[error("{0}")]
    NotPublished(String),
    /// The published file cannot be fetched.
    #[error(
        "cannot download {url}: {reason}\n  Without a network: fetch that file on another machine and put it into {}, \
         or pass it with --weights PATH; `--weights none` starts from random weights",
        .folder.display()
    )]
    Download {
        /// Where from.
        url: String,
        /// What went wrong.
        reason: String,
        /// The folder that keeps published files.
        folder: PathBuf,
    },
    /// What was fetched is not the published file.
    #[error(
        "{url} answered with a file whose SHA-256 is {found}, not {expected}…, which the file's name promises: \
         it is not kept (did a proxy or a mirror answer with something else?)"
    )]
    WrongDownload {
        /// Where from.
        url: String,
        /// The digest of what came.
        found: Digest,
        /// The first digits of the published one.
        expected: &'static str,
    },
    /// A kept file is no longer what it was.
    #[error(
        "{path}: the file's SHA-256 is {found}, it should be {expected}: delete it and run again to download it anew"
    )]
    Changed {
        /// The kept file.
        path: String,
        /// Its digest.
        found: Digest,
        /// The digest, or its first digits, that it should have.
        expected: String,
    },
    /// There is no folder to keep published files in.
    #[error("there is no home folder to keep weights in: set {}", super::store::FOLDER_VARIABLE)]
    NoFolder,
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not one that weights are read from, or does not fit the architecture.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph cannot take the weights.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}

impl WeightsError {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }

    pub(super) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.into() }
    }
}
