//! What stands between the server and its models, and what to do about it.

use std::{fmt::Display, path::Path};

use object_store::Error as StoreError;

/// Why models cannot be listed or fetched.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address is not one, or the environment does not fit it.
    #[error(
        "{place:?} is no place for models: {reason}; give a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or \
         az://CONTAINER/PREFIX"
    )]
    Address {
        /// What was given.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer, or not with what was asked for.
    #[error("{place}: {reason}")]
    Store {
        /// The bucket, or the object in it.
        place: String,
        /// What the store said, and what to do.
        reason: String,
    },
    /// The version is larger than it may be.
    #[error("{place}: its files have {bytes} bytes together, {limit} at most")]
    TooLarge {
        /// The version's place.
        place: String,
        /// The bytes of its files.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A file of this machine cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StorageError {
    /// Whether the same may succeed another time, with nothing about the version changed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Store { .. } | Self::File { .. } => true,
            Self::Address { .. } | Self::TooLarge { .. } => false,
        }
    }

    pub(super) fn address(place: &str, reason: impl Display) -> Self {
        Self::Address { place: place.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }

    pub(super) fn other(place: &str, reason: impl Into<String>) -> Self {
        Self::Store { place: place.to_owned(), reason: reason.into() }
    }

    /// A store's error with what to do about it.
    pub(super) fn store(place: &str, error: &StoreError) -> Self {
        let said = with_causes(error);
        // A listing's errors are of no kind of their own; the status stands in their text.
        let status = |text: &str| said.contains(&format!("status code: {text}"));
        let advice = match error {
            StoreError::NotFound { .. } => ABSENT,
            StoreError::PermissionDenied { .. } => DENIED,
            StoreError::Unauthenticated { .. } => UNKNOWN,
            StoreError::Precondition { .. } => "it was changed while it was fetched; it is taken at the next look",
            _ if status("404") => ABSENT,
            _ if status("403") => DENIED,
            _ if status("401") => UNKNOWN,
            // Where nothing else gives any, credentials are asked of the cloud's own machines.
            _ if CREDENTIAL_SERVERS.iter().any(|server| said.contains(server)) => NO_CREDENTIALS,
            _ => "the store does not answer",
        };
        Self::Store { place: place.to_owned(), reason: format!("{advice}: {said}") }
    }
}

const ABSENT: &str = "there is no such bucket or object (404)";
const DENIED: &str = "the credentials are not accepted or may not do this (403): they need the rights to list the bucket \
                      and to read its objects";
const UNKNOWN: &str = "the store does not accept the credentials (401)";
const NO_CREDENTIALS: &str = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                              GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY";
const CREDENTIAL_SERVERS: [&str; 3] = ["169.254.169.254", "/latest/api/token", "metadata.google.internal"];

/// An error's text with that of its causes, where it does not hold it already, shortened.
fn with_causes(error: &dyn std::error::Error) -> String {
    const SHOWN: usize = 400;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > SHOWN { text.chars().take(SHOWN).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_too_large_stays_so_and_a_full_disk_or_a_silent_store_may_pass() {
        let place = || "s3://bucket/scenes/1".to_owned();
        assert!(!StorageError::TooLarge { place: place(), bytes: 2, limit: 1 }.may_pass());
        let full = std::io::ErrorKind::StorageFull.into();
        assert!(StorageError::file(Path::new("cache"), full).may_pass());
        assert!(StorageError::Store { place: place(), reason: "the store does not answer".to_owned() }.may_pass());
    }
}
