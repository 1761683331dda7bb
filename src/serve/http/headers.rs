//! Headers of every answer that tell browsers what not to do, and which pages elsewhere may ask (CORS).

use std::time::Duration;

use axum::Router;
use http::{HeaderName, HeaderValue, Method, header};
use tower_http::{
    cors::{AllowHeaders, AllowOrigin, CorsLayer},
    set_header::SetResponseHeaderLayer,
};

use super::context::REQUEST_ID;
use crate::serve::settings::Origins;

/// How long a browser remembers what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Puts the headers onto every answer; one that a page has set itself stays.
pub(super) fn secure(router: Router) -> Router {
    [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ]
    .into_iter()
    .fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}

/// Allows pages of these origins to ask; none leaves browsers to their own rule, which is to refuse.
pub(super) fn allow_origins(router: Router, origins: &Origins) -> Router {
    let allowed = match origins {
        Origins::None => return router,
        Origins::Any => AllowOrigin::any(),
        Origins::These(origins) => AllowOrigin::list(origins.iter().cloned()),
    };
    let readable = [REQUEST_ID, header::RETRY_AFTER, HeaderName::from_static("server-timing")];
    router.layer(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(readable)
            .max_age(REMEMBERED),
    )
}
