//! Memory for request bodies: taken before a body is read, given back when the request is answered.
//!
//! Without it, as many bodies as there are connections may lie in memory, each up to its own limit.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http::header;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{
    AppState,
    arriving::{Arriving, Fate, GivenUp, Pace, Whole},
    jobs,
    streamed::Unanswered,
};
use crate::{error::Error, serve::oip::grpc};

/// How long a request waits for others to be answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks for memory, for whoever waits for it.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a permit: a body takes at least one.
const UNIT: usize = 1024;

/// Bytes that the bodies of all requests may take together. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Budget {
    /// One permit for each KiB, held from before the body is read until its request is answered. They are taken all at once or
    /// not at all: who waited in the semaphore for many would have all that are free meanwhile, and keep them from who needs few.
    free: Arc<Semaphore>,
    /// Held by the first of the requests that wait for permits; the others wait for it, in order.
    turn: Arc<Mutex<()>>,
    bytes: usize,
}

impl Budget {
    pub(in crate::serve) fn new(bytes: usize) -> Self {
        let free = Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS));
        Self { free: Arc::new(free), turn: Arc::default(), bytes }
    }

    /// Takes so many bytes, or the whole budget where that is smaller, and waits a short while for them.
    ///
    /// # Errors
    /// `BodyBudget` where others do not give back enough in time.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let taken = async {
            let _turn = self.turn.lock().await;
            loop {
                match self.try_take(self.units(bytes)) {
                    Some(taken) => break taken,
                    None => sleep(PAUSE).await,
                }
            }
        };
        timeout(PATIENCE, taken).await.map_err(|_| Error::BodyBudget { budget: self.bytes })
    }

    /// Lets what is held grow to so many bytes in all; false where they are not free.
    pub(super) fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: u64) -> bool {
        let units = self.units(usize::try_from(bytes).unwrap_or(usize::MAX));
        let missing = units.saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let Some(more) = self.try_take(missing) else { return false };
        match held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// The permits for so many bytes.
    fn units(&self, bytes: usize) -> usize {
        bytes.min(self.bytes).div_ceil(UNIT)
    }

    fn try_take(&self, units: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Arc::clone(&self.free).try_acquire_many_owned(units).ok()
    }

    /// What is said of a body that was given up.
    pub(super) fn error(&self, why: GivenUp) -> Error {
        match why {
            GivenUp::NoMemory => Error::BodyBudget { budget: self.bytes },
            GivenUp::Late { received, after } => Error::BodyLate { received, after_s: after.as_secs_f64() },
        }
    }
}

/// Admits a request's body before it is read, and gives it up where it does not arrive.
pub(super) async fn admit(app: &AppState, request: Request, next: Next) -> Result<Response, Error> {
    if jobs::is_upload(&request) {
        // It goes to a disk as it comes, and is counted there.
        return Ok(next.run(request).await);
    }
    let limit = app.settings.max_body;
    let sent = request.body().size_hint().upper();
    if sent.is_some_and(|bytes| bytes > limit as u64) {
        return Err(Error::BodyTooLarge { limit });
    }
    if sent == Some(0) {
        return Ok(next.run(request).await);
    }
    let time = app.settings.request_timeout;
    if grpc::is_stream(request.uri().path()) {
        let packed = is_packed(&request).then_some(limit as u64);
        let unanswered = Arc::new(Unanswered::new(app.budget.clone(), time, packed));
        let mut request = request.map(|body| Body::new(Arriving::new(body, Arc::clone(&unanswered))));
        request.extensions_mut().insert(unanswered);
        return Ok(next.run(request).await);
    }
    // Given back when the request is answered.
    let held = match held_from_the_start(app, &request, sent) {
        Some(bytes) => Some((bytes as u64, app.budget.take(bytes).await?)),
        None => None,
    };
    let (pace, budget) = match &held {
        Some((bytes, _)) => (Pace::new(time, Some(sent.unwrap_or(*bytes))), None),
        None => (Pace::new(time, None), Some(app.budget.clone())),
    };
    let fate = Arc::new(Fate::default());
    let request = request.map(|body| Body::new(Arriving::new(body, Whole::new(pace, budget, Arc::clone(&fate)))));
    let response = next.run(request).await;
    fate.given_up().map_or(Ok(response), |why| Err(app.budget.error(why)))
}

/// The bytes of memory that are held for a body from the start: what is packed, or names URLs, may come to the limit.
/// None for one of unknown length, which takes memory as it comes.
fn held_from_the_start(app: &AppState, request: &Request, sent: Option<u64>) -> Option<usize> {
    if is_packed(request) || (app.fetcher.is_some() && may_name_urls(request)) {
        return Some(app.settings.max_body);
    }
    sent.map(|bytes| bytes as usize)
}

/// Whether the body, or the messages in it, are compressed.
fn is_packed(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::CONTENT_ENCODING)
        || headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

/// Whether the body may be a list of pictures by URL, which only predictions of `/v1` read.
fn may_name_urls(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    request.uri().path().ends_with("/predict")
        && content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("application/json"))
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

    #[tokio::test]
    async fn who_waits_for_much_takes_nothing_from_who_needs_little() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await.unwrap();
        let mut large = std::pin::pin!(budget.take(8 * UNIT));
        assert!(timeout(Duration::ZERO, &mut large).await.is_err(), "there are not so many free");
        let mut small = None;
        assert!(budget.grow(&mut small, 4 * UNIT as u64));
        drop((first, small));
        assert_eq!(large.await.unwrap().num_permits(), 8);
    }

    #[tokio::test]
    async fn those_who_wait_are_served_in_order() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await.unwrap();
        let mut large = std::pin::pin!(budget.take(8 * UNIT));
        assert!(timeout(Duration::ZERO, &mut large).await.is_err());
        let mut small = std::pin::pin!(budget.take(UNIT));
        assert!(
            timeout(Duration::ZERO, &mut small).await.is_err(),
            "small ones would keep a large one waiting for ever"
        );
        drop(first);
        assert!(large.await.is_ok() && small.await.is_ok());
    }
}
