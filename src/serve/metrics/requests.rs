//! Counts every request by route, as the router knows it.

use std::time::Instant;

use http::{Method, StatusCode};

use super::{Metrics, RequestLabels, RouteLabels};

/// A request that is on its way.
#[derive(Debug)]
pub(in crate::serve) struct RequestCounter {
    started: Instant,
    route: String,
    method: &'static str,
}

impl RequestCounter {
    /// `route` is none for an address that leads nowhere.
    pub(in crate::serve) fn start(route: Option<&str>, method: &Method) -> Self {
        // A method may be any word; only those that routes take are told apart.
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].into_iter().find(|known| method == known);
        Self { started: Instant::now(), route: route.unwrap_or("none").to_owned(), method: known.unwrap_or("other") }
    }

    /// Once it is answered.
    pub(in crate::serve) fn finish(self, metrics: &Metrics, status: StatusCode) {
        let Self { started, route, method } = self;
        let seconds = started.elapsed().as_secs_f64();
        metrics.request_seconds.get_or_create(&RouteLabels { route: route.clone() }).observe(seconds);
        metrics.requests.get_or_create(&RequestLabels { method, route, status: status.as_u16() }).inc();
    }
}
