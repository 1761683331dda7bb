//! Counts every request by route, as the router knows it, and every gRPC call by method.

use std::time::Instant;

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    response::Response,
};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tonic::{Code, Status};

use super::{CallLabels, Metrics, RequestLabels, RouteLabels};
use crate::serve::oip::grpc;

/// A request that is on its way.
#[derive(Debug)]
pub(in crate::serve) struct RequestCounter {
    started: Instant,
    /// `none` for an address that leads nowhere.
    route: String,
    method: &'static str,
    /// The method that a gRPC call asks for.
    call: Option<&'static str>,
}

impl RequestCounter {
    pub(in crate::serve) fn start(request: &Request) -> Self {
        // A method may be any word; only those that routes take are told apart, of gRPC as well.
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
        let method = known.into_iter().find(|known| request.method() == known).unwrap_or("other");
        let path = request.uri().path();
        let grpc_method = grpc::method(path);
        let route = match request.extensions().get::<MatchedPath>() {
            Some(_) if grpc_method.is_some() => path,
            Some(route) => route.as_str(),
            None => "none",
        };
        let call = grpc::is_call(request.headers()).then(|| grpc_method.unwrap_or("other"));
        Self { started: Instant::now(), route: route.to_owned(), method, call }
    }

    /// Once it is answered. A gRPC call has its status in the answer's head where it failed at once, else behind its messages.
    pub(in crate::serve) fn finish(self, metrics: &Metrics, response: Response) -> Response {
        let Self { started, route, method, call } = self;
        let seconds = started.elapsed().as_secs_f64();
        metrics.request_seconds.get_or_create(&RouteLabels { route: route.clone() }).observe(seconds);
        let status = response.status().as_u16();
        metrics.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        let Some(method) = call else { return response };
        let calls = metrics.calls.clone();
        let count = move |headers: &HeaderMap| {
            let code = code(headers);
            if let Some(code) = code {
                calls.get_or_create(&CallLabels::of(method, code)).inc();
            }
            code.is_some()
        };
        if count(response.headers()) {
            return response;
        }
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    count(trailers);
                }
                frame
            }))
        })
    }
}

/// The status of a call, where these headers have it.
fn code(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

#[cfg(test)]
impl Metrics {
    /// Requests that were counted so far.
    pub(in crate::serve) fn requests_so_far(&self, method: &'static str, route: &str, status: u16) -> u64 {
        self.requests.get_or_create(&RequestLabels { method, route: route.to_owned(), status }).get()
    }
}
