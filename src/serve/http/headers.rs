//! Headers of every answer that tell browsers what not to do, and which pages elsewhere may ask (CORS).

use std::time::Duration;

use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::context::REQUEST_ID;
use crate::serve::settings::Origins;

/// How long a browser remembers what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Puts the headers onto an answer; one that a page has set itself stays.
pub(super) fn secure(mut response: Response) -> Response {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Allows pages of these origins to ask; none leaves browsers to their own rule, which is to refuse.
pub(super) fn allow_origins(origins: &Origins) -> Option<CorsLayer> {
    let allowed = match origins {
        Origins::None => return None,
        Origins::Any => AllowOrigin::any(),
        Origins::These(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let readable = [REQUEST_ID, header::RETRY_AFTER, HeaderName::from_static("server-timing")];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(readable)
            .max_age(REMEMBERED),
    )
}
