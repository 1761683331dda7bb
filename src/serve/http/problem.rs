//! Errors as problem documents (RFC 9457). The one place that maps an error to a status.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::{context::RequestId, prediction::FailedPicture};
use crate::{
    error::Error,
    picture::PictureError,
    serve::{fetch::FetchError, metrics::Metrics},
};

/// The content type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The kind of problem; stable, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:tagpoint:problem:unknown-model")]
    pub(super) kind: String,
    /// The kind of problem, for people.
    #[schema(example = "Unknown model")]
    pub(super) title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub(super) status: u16,
    /// What happened in this case.
    #[schema(example = "there is no model \"scene\"; GET /v1/models lists the models")]
    pub(super) detail: String,
    /// The request's id, as in `x-request-id` and in the server's log.
    #[schema(example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    pub(super) instance: String,
    /// The query parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "top_k")]
    pub(super) parameter: Option<String>,
    /// Pictures that wait, where that is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 256)]
    pub(super) queue_length: Option<usize>,
    /// The problem of each picture, where a form was sent and no picture of it could be answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub(super) results: Vec<FailedPicture>,
    /// Seconds after which the same request may succeed.
    #[serde(skip)]
    pub(super) retry_after: Option<u32>,
}

impl Problem {
    /// The problem document of an error that occurred, which is counted, and whose cause goes to the log.
    pub(super) fn report(error: &Error, request_id: &RequestId, metrics: &Metrics) -> Self {
        note(error, request_id.as_str(), metrics);
        Self::new(error, request_id)
    }

    /// The problem document of an error.
    pub(super) fn new(error: &Error, request_id: &RequestId) -> Self {
        let (status, kind, title) = kind(error);
        let parameter = match error {
            Error::Parameter { name, .. } => Some(name.clone()),
            _ => None,
        };
        Self {
            kind: format!("urn:tagpoint:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: error.to_string(),
            instance: request_id.as_str().to_owned(),
            parameter,
            results: Vec::new(),
            queue_length: match error {
                Error::QueueFull { waiting, .. } => Some(*waiting),
                _ => None,
            },
            retry_after: match error {
                Error::QueueFull { retry_after, .. } => Some(*retry_after),
                Error::BodyBudget { .. } | Error::NotReady(_) => Some(1),
                Error::Database(_) | Error::PictureStore(_) => Some(2),
                Error::RateLimited { wait_s, .. } | Error::WrongKeys { wait_s } => Some(*wait_s),
                _ => None,
            },
        }
    }
}

/// Counts an error, and writes the cause of a fault of ours to the log. Whoever renders an error does so once.
pub(in crate::serve) fn note(error: &Error, request_id: &str, metrics: &Metrics) {
    let (_, kind, _) = kind(error);
    metrics.problem(kind);
    match error {
        Error::Internal(cause) => {
            let causes: Vec<String> =
                std::iter::successors(Some(cause.as_ref() as &dyn std::error::Error), |error| error.source())
                    .map(ToString::to_string)
                    .collect();
            tracing::error!(request_id, cause = causes.join(": "), "internal error");
        }
        Error::Database(cause) => tracing::error!(request_id, %cause, "the database does not do what it is asked"),
        Error::PictureStore(cause) => {
            tracing::error!(request_id, %cause, "pictures cannot be read from where they are kept")
        }
        _ => {}
    }
}

/// The kind of an error, as a problem's `type`, and its title.
pub(in crate::serve) fn kind_and_title(error: &Error) -> (String, String) {
    let (_, kind, title) = kind(error);
    (format!("urn:tagpoint:problem:{kind}"), title.to_owned())
}

/// The status, the kind and the title of an error.
fn kind(error: &Error) -> (StatusCode, &'static str, &'static str) {
    use StatusCode as S;
    match error {
        Error::Parameter { .. } => (S::BAD_REQUEST, "parameter", "Bad query parameter"),
        Error::OneAnnotated(_) => (S::BAD_REQUEST, "one-picture", "One picture only"),
        Error::Body(_) => (S::BAD_REQUEST, "body", "Unreadable request body"),
        Error::Unauthorized(_) => (S::UNAUTHORIZED, "unauthorized", "A key is needed"),
        Error::Forbidden { .. } => (S::FORBIDDEN, "forbidden", "Not with this key"),
        Error::InferenceRequest(_) => (S::BAD_REQUEST, "inference-request", "Bad inference request"),
        Error::PictureAt { .. } => (S::BAD_REQUEST, "picture", "Unreadable picture"),
        Error::Unsupported(_) => (S::NOT_IMPLEMENTED, "unsupported", "Not supported"),
        Error::NoSuchPath(_) => (S::NOT_FOUND, "no-such-path", "Nothing here"),
        Error::UnknownModel(_) => (S::NOT_FOUND, "unknown-model", "Unknown model"),
        Error::UnknownVersion { .. } => (S::NOT_FOUND, "unknown-version", "Unknown version"),
        Error::NotLoaded { .. } => (S::NOT_FOUND, "not-loaded", "Version not loaded"),
        Error::UnknownPrediction(_) => (S::NOT_FOUND, "unknown-prediction", "Unknown prediction"),
        Error::UnknownJob(_) => (S::NOT_FOUND, "unknown-job", "Unknown job"),
        Error::AddressRefused(_) => (S::FORBIDDEN, "address-refused", "Not an address for jobs"),
        Error::NoUploads => (S::NOT_IMPLEMENTED, "no-uploads", "No place for uploads"),
        Error::NoKeptPicture(_) => (S::NOT_FOUND, "no-kept-picture", "Picture not kept"),
        Error::NoDatabase => (S::NOT_IMPLEMENTED, "no-database", "No database"),
        Error::Database(_) => (S::SERVICE_UNAVAILABLE, "database", "Database away"),
        Error::PictureStore(_) => (S::SERVICE_UNAVAILABLE, "picture-store", "Pictures away"),
        Error::Conflict(_) => (S::CONFLICT, "conflict", "Not possible now"),
        Error::Rejected { .. } => (S::UNPROCESSABLE_ENTITY, "version-refused", "Version refused"),
        Error::DeadlineExceeded(_) => (S::GATEWAY_TIMEOUT, "deadline-exceeded", "Out of time"),
        Error::MethodNotAllowed(_) => (S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
        Error::BodyLate { .. } => (S::REQUEST_TIMEOUT, "body-late", "Request body too slow"),
        Error::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "body-too-large", "Request body too large"),
        Error::TooManyPictures { .. } => (S::PAYLOAD_TOO_LARGE, "too-many-pictures", "Too many pictures"),
        Error::Fetch(error) => fetch_kind(error),
        Error::Picture(PictureError::TooLarge(_)) => {
            (S::PAYLOAD_TOO_LARGE, "picture-too-large", "Picture over a limit")
        }
        Error::MediaType(_) | Error::JobMediaType(_) => {
            (S::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported content type")
        }
        Error::Picture(PictureError::Unsupported(_)) => {
            (S::UNSUPPORTED_MEDIA_TYPE, "picture-format", "Unsupported picture format")
        }
        Error::NoPicture => (S::UNPROCESSABLE_ENTITY, "no-picture", "No picture"),
        Error::Picture(PictureError::Empty) => (S::UNPROCESSABLE_ENTITY, "picture-empty", "Empty picture"),
        Error::Picture(PictureError::Broken(_)) => (S::UNPROCESSABLE_ENTITY, "picture-broken", "Unreadable picture"),
        Error::WrongKeys { .. } => (S::TOO_MANY_REQUESTS, "wrong-keys", "Too many wrong keys"),
        Error::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "rate-limit", "Too many requests"),
        Error::BodyBudget { .. } => (S::SERVICE_UNAVAILABLE, "body-budget", "Too many bytes wait"),
        Error::QueueFull { .. } => (S::SERVICE_UNAVAILABLE, "queue-full", "Too many pictures wait"),
        Error::NotReady(_) => (S::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
        Error::Refused { .. } => (S::SERVICE_UNAVAILABLE, "model-refused", "Model refused"),
        Error::Unhealthy(_) => (S::SERVICE_UNAVAILABLE, "unhealthy", "Unhealthy"),
        Error::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    }
}

/// A URL that was refused is the client's mistake. What its host does wrong is not, and not ours either.
fn fetch_kind(error: &FetchError) -> (StatusCode, &'static str, &'static str) {
    use StatusCode as S;
    match error {
        FetchError::Off => (S::BAD_REQUEST, "url-off", "No pictures by URL"),
        FetchError::NotAUrl(_) | FetchError::Refused(_) => (S::BAD_REQUEST, "url-refused", "URL refused"),
        FetchError::TooMuch { .. } => (S::PAYLOAD_TOO_LARGE, "body-too-large", "Request body too large"),
        FetchError::TooLarge { .. } => (S::PAYLOAD_TOO_LARGE, "picture-too-large", "Picture over a limit"),
        FetchError::TooManyRedirects { .. } | FetchError::Status(_) | FetchError::Unreachable(_) => {
            (S::BAD_GATEWAY, "url-host", "No picture from the URL's host")
        }
        FetchError::TimedOut { .. } => (S::GATEWAY_TIMEOUT, "url-timeout", "The URL's host is too slow"),
    }
}

/// The status of an error.
pub(in crate::serve) fn status(error: &Error) -> StatusCode {
    kind(error).0
}

/// An error inside a response, for [`super::context`] to render with the request's id.
#[derive(Clone, Debug)]
pub(super) struct Unrendered(pub(super) std::sync::Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status(&self).into_response();
        response.extensions_mut().insert(Unrendered(std::sync::Arc::new(self)));
        response
    }
}

impl Problem {
    /// The headers that say what to do, whatever the form of the body.
    pub(super) fn advice(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tagpoint\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let advice = self.advice();
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().extend(advice);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}
