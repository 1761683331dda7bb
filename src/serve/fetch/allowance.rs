//! What all fetches of one request may bring together.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::FetchError;

/// Bytes that the fetches of one request share.
#[derive(Debug)]
pub(in crate::serve) struct Allowance {
    limit: usize,
    /// Fetches that run at the same time take from it.
    left: AtomicUsize,
}

impl Allowance {
    pub(in crate::serve) fn new(limit: usize) -> Self {
        Self { limit, left: AtomicUsize::new(limit) }
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// `TooMuch` where there are not so many left.
    pub(super) fn take(&self, bytes: usize) -> Result<(), FetchError> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(|_| ()).map_err(|_| FetchError::TooMuch { limit: self.limit })
    }
}
