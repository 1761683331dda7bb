//! What every request passes through: its id, its span in the log, its place in the metrics, and the rendering of errors.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};
use tracing::{Span, field};

use super::{
    headers,
    problem::{Problem, Unrendered},
};
use crate::{
    error::Error,
    serve::{
        metrics::{Metrics, RequestCounter},
        oip,
        settings::Origins,
    },
};

/// The header that carries a request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id: the client's own, or one of ours.
#[derive(Clone, Debug)]
pub(in crate::serve) struct RequestId(Arc<str>);

/// When a request's head was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started(pub(super) Instant);

/// Marks an answer that the log passes over, unless it is to tell everything.
#[derive(Clone, Copy, Debug)]
struct Uncommented;

impl RequestId {
    /// The client's id, where it is one that a log line and an address can hold; else a new one.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:@/+=,".contains(c);
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.filter(|id| (1..=128).contains(&id.len()) && id.chars().all(allowed)) {
            Some(id) => Self(id.into()),
            None => Self(uuid::Uuid::now_v7().to_string().into()),
        }
    }

    pub(in crate::serve) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts the layers around the routes, the outermost first.
pub(super) fn wrap(router: Router, origins: &Origins, metrics: Metrics) -> Router {
    let trace = TraceLayer::new_for_http().make_span_with(request_span).on_request(()).on_failure(()).on_response(
        |response: &Response, latency: Duration, span: &Span| {
            let (status, total_ms) = (response.status(), milliseconds(latency));
            span.record("status", status.as_u16());
            if status.is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
            // Whoever is overloaded has better to do than to write that down for each request: /metrics counts them.
            if response.extensions().get::<Uncommented>().is_some() {
                tracing::debug!(status = status.as_u16(), total_ms, "refused");
            } else {
                tracing::info!(status = status.as_u16(), total_ms, "answered");
            }
        },
    );
    let layers = ServiceBuilder::new()
        .layer(from_fn(identify))
        .layer(trace)
        .map_response(headers::secure)
        .option_layer(headers::allow_origins(origins))
        .layer(from_fn_with_state(Arc::new(metrics), answer))
        .layer(CatchPanicLayer::custom(panicked));
    router.layer(layers)
}

/// Milliseconds with three decimals.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The span of one request. The stages fill in what they took; no picture content stands in it.
fn request_span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().map_or("", RequestId::as_str);
    tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        request_id = id,
        key = field::Empty,
        client = field::Empty,
        decode_ms = field::Empty,
        queue_ms = field::Empty,
        inference_ms = field::Empty,
        batch_size = field::Empty,
        status = field::Empty,
        otel.kind = "server",
        otel.status_code = field::Empty,
    )
}

/// Gives the request its id and its start, and the response the id.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::from_headers(request.headers());
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(Started(Instant::now()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Counts a request by what its client is answered, whoever refused it or panicked.
async fn answer(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let counted = RequestCounter::start(&request);
    let response = render_errors(&metrics, request, next).await;
    counted.finish(&metrics, response)
}

/// Renders an [`Error`] that a handler, or a layer further in, answered with, as the interface that was asked words it.
/// Headers such as `Allow` stay.
async fn render_errors(metrics: &Metrics, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let id = id.unwrap_or_else(|| RequestId::from_headers(request.headers()));
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let is_grpc = oip::grpc::is_call(request.headers());
    let mut response = next.run(request).await;
    let unrendered = response.extensions_mut().remove::<Unrendered>();
    let error = unrendered.map(|Unrendered(error)| error).or_else(|| foreign_error(&response, &uri, &method));
    let Some(error) = error else { return response };
    let problem = Problem::report(&error, &id, metrics);
    let rendered = if is_grpc {
        oip::grpc::status(&error).into_http()
    } else if oip::http::is_ours(uri.path()) {
        (problem.advice(), oip::http::failed(&error)).into_response()
    } else {
        problem.into_response()
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let (problem, body) = rendered.into_parts();
    parts.status = problem.status;
    parts.headers.extend(problem.headers);
    if matches!(*error, Error::QueueFull { .. }) {
        parts.extensions.insert(Uncommented);
    }
    Response::from_parts(parts, body)
}

/// The framework's own plain-text errors: a page of the documentation that is not there, an address that is not UTF-8.
fn foreign_error(response: &Response<Body>, uri: &http::Uri, method: &http::Method) -> Option<Arc<Error>> {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !(status.is_client_error() || status.is_server_error()) || content_type.is_some_and(|t| t.contains("json")) {
        return None;
    }
    Some(Arc::new(match status.as_u16() {
        405 => Error::MethodNotAllowed(method.to_string()),
        // An address whose escapes are no UTF-8 leads nowhere.
        400..500 => Error::NoSuchPath(uri.path().to_owned()),
        _ => Error::internal(format!("answered {status}")),
    }))
}

/// A handler that panicked is a fault of ours.
fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = match cause.downcast::<String>() {
        Ok(text) => *text,
        Err(cause) => cause.downcast::<&str>().map_or_else(|_| "no text".to_owned(), |text| (*text).to_owned()),
    };
    Error::internal(format!("panic: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn id_of(given: &str) -> String {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
        RequestId::from_headers(&headers).as_str().to_owned()
    }

    #[test]
    fn a_clients_id_is_taken_unless_a_log_line_cannot_hold_it() {
        assert_eq!(id_of("order-17/retry:2"), "order-17/retry:2");
        for unfit in ["", "two words", "a\"quote", &"x".repeat(129)] {
            assert_eq!(id_of(unfit).len(), 36, "{unfit:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_does_not_tell_its_cause() {
        let (router, metrics) =
            (Router::new().route("/", get(async || -> &'static str { panic!("the secret") })), Metrics::default());
        let router = wrap(router, &Origins::None, metrics.clone());
        let request = Request::builder().uri("/").header(REQUEST_ID, "abc").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[REQUEST_ID], "abc");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], "urn:tagpoint:problem:internal");
        assert_eq!(problem["instance"], "abc");
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
        assert_eq!(metrics.requests_so_far("GET", "/", 500), 1);
    }
}
