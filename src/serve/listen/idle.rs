//! How long nothing has been asked on a connection.
//!
//! An HTTP/2 client that answers pings could keep a place among the connections for ever.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The requests of a connection.
#[derive(Clone, Debug)]
pub(super) struct Requests(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    under_way: usize,
    /// When the last one came to its end, or the connection began.
    last: Instant,
}

/// A request that is under way until this is dropped. It is over when its answer begins: one that goes on, as a stream does, is
/// not cut off by the connection's end in good order.
pub(super) struct UnderWay(Requests);

impl Requests {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { under_way: 0, last: Instant::now() })))
    }

    pub(super) fn begin(&self) -> UnderWay {
        self.state().under_way += 1;
        UnderWay(self.clone())
    }

    /// Ends when nothing has been asked for so long.
    pub(super) async fn cease(&self, limit: Duration) {
        loop {
            let quiet_since = {
                let state = self.state();
                if state.under_way > 0 { Instant::now() } else { state.last }
            };
            if quiet_since.elapsed() >= limit {
                return;
            }
            sleep_until(quiet_since + limit).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.last = Instant::now();
    }
}
