//! Memory for request bodies: taken before a body is read, given back when the request is answered.
//!
//! Without it, as many bodies as there are connections may lie in memory, each up to its own limit.

use std::{sync::Arc, time::Duration};

use axum::{
    body::HttpBody as _,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::header;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{App, jobs};
use crate::error::Error;

/// How long a request waits for others to be answered.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a permit: a body takes at least one.
const UNIT: usize = 1024;

/// Bytes that the bodies of all requests may take together. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Budget {
    /// One permit for each KiB, held from before the body is read until its request is answered.
    free: Arc<Semaphore>,
    bytes: usize,
}

impl Budget {
    pub(in crate::serve) fn new(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS))), bytes }
    }

    /// Takes so many bytes, or the whole budget where that is smaller, and waits a short while for them.
    ///
    /// # Errors
    /// `BodyBudget` where others do not give back enough in time.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let units = bytes.min(self.bytes).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let taken = timeout(PATIENCE, Arc::clone(&self.free).acquire_many_owned(units)).await;
        taken.map_err(|_| Error::BodyBudget { budget: self.bytes })?.map_err(Error::internal)
    }
}

/// Admits a request's body before it is read.
pub(super) async fn admit(State(app): State<App>, request: Request, next: Next) -> Result<Response, Error> {
    if jobs::is_upload(&request) {
        // It goes to a disk as it comes, and is counted there.
        return Ok(next.run(request).await);
    }
    let limit = app.settings.max_body;
    let sent = request.body().size_hint().upper();
    if sent.is_some_and(|bytes| bytes > limit as u64) {
        return Err(Error::BodyTooLarge { limit });
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let of_type = |wanted| content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with(wanted));
    // A gRPC call may go on for hours; its messages are bounded one by one.
    if sent == Some(0) || of_type("application/grpc") {
        return Ok(next.run(request).await);
    }
    // What is packed, of unknown length, or names URLs may come to the limit.
    let packed = request.headers().contains_key(header::CONTENT_ENCODING);
    let by_url = app.fetcher.is_some() && of_type("application/json");
    let bytes = sent.filter(|_| !packed && !by_url).map_or(limit, |bytes| bytes as usize);
    let _taken = app.budget.take(bytes).await?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_is_missing_until_it_is_given_back() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await.unwrap();
        assert!(budget.take(4 * UNIT).await.is_ok());
        assert!(matches!(budget.take(4 * UNIT + 1).await, Err(Error::BodyBudget { budget: 10_240 })));
        drop(first);
        // More than all is all.
        assert!(budget.take(100 * UNIT).await.is_ok());
    }

    #[tokio::test]
    async fn a_request_waits_a_short_while_for_its_turn() {
        let budget = Budget::new(UNIT);
        let first = budget.take(1).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(1).await.is_ok() }
        });
        tokio::time::sleep(PATIENCE / 2).await;
        drop(first);
        assert!(waiting.await.unwrap());
    }
}
