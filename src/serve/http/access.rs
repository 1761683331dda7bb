//! Who may ask what: each address's scope, and the key that a request carries.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::extract::Request;
use http::{HeaderMap, header};
use tracing::{Span, field};

use super::{AppState, page};
use crate::{
    error::Error,
    serve::{
        keys::{Admitted, Denied, GivenKey, Keyring, Scope},
        listen::Peer,
        oip::grpc::{self, PREFIX as GRPC},
    },
};

/// The key that a request came with, for handlers.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// Whether it has the scope `admin`.
    pub(super) is_admin: bool,
}

/// What a stream of calls was let in by, for its messages: each has to be let in as well.
#[derive(Clone, Copy)]
pub(in crate::serve) struct Pass {
    key: Option<GivenKey>,
    scope: Scope,
    from: IpAddr,
}

/// What is said while the database's keys cannot be asked for, and have not been for too long.
pub(super) const UNSURE: &str = "keys cannot be checked now: the database does not answer";

/// Lets a request in where its key opens the address. What a browser asks before a request (OPTIONS) was answered
/// further out.
pub(super) fn check(app: &AppState, request: &mut Request) -> Result<(), Error> {
    let Some(scope) = needed(request.uri().path(), app.settings.access.protect_metrics) else {
        return Ok(());
    };
    let from = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let pass = Pass { key: key(request.headers()).map(GivenKey::of), scope, from };
    let admitted = app.keys.admit(pass.key, scope, from).map_err(|denied| {
        if matches!(denied, Denied::UnknownKey | Denied::WrongKeys(_)) {
            Span::current().record("client", field::display(from));
        }
        refusal(denied, scope)
    })?;
    if let Some(Admitted { name, is_admin }) = admitted {
        Span::current().record("key", &name);
        request.extensions_mut().insert(Key { name, is_admin });
    }
    if grpc::is_stream(request.uri().path()) {
        request.extensions_mut().insert(pass);
    }
    Ok(())
}

impl Pass {
    /// Lets the first message in: the call itself was counted in its place, but the key may have gone since.
    pub(in crate::serve) fn admit_first(&self, keys: &Keyring) -> Result<(), Error> {
        keys.check(self.key, self.scope, self.from).map_err(|denied| refusal(denied, self.scope))
    }

    /// Lets a further message in, and counts it as a request.
    pub(in crate::serve) fn admit(&self, keys: &Keyring) -> Result<(), Error> {
        keys.admit(self.key, self.scope, self.from).map(|_| ()).map_err(|denied| refusal(denied, self.scope))
    }
}

/// The scope that an address needs; none where it is open to all. What is not named here needs a key.
pub(super) fn needed(path: &str, protect_metrics: bool) -> Option<Scope> {
    let below = |prefix: &str| path.strip_prefix(prefix);
    let changes = |call: &str| call.ends_with("/load") || call.ends_with("/unload");
    let changes_a_model = below("/v2/repository/").is_some_and(changes)
        || below(GRPC).is_some_and(|call| call.starts_with("Repository") && call != "RepositoryIndex");
    match path {
        "/healthz" | "/readyz" | "/v2/health/live" | "/v2/health/ready" | "/openapi.json" | "/docs" => None,
        "/metrics" if !protect_metrics => None,
        _ if path.starts_with("/docs/") || page::is_ours(path) => None,
        _ if matches!(below(GRPC), Some("ServerLive" | "ServerReady")) => None,
        // What others have sent.
        "/v1/review" => Some(Scope::Admin),
        _ if below("/v1/predictions/").is_some_and(|rest| rest.ends_with("/picture")) => Some(Scope::Admin),
        _ if path.starts_with("/v1/admin/") || path == "/v1/admin" || changes_a_model => Some(Scope::Admin),
        _ => Some(Scope::Predict),
    }
}

/// The key of `authorization: Bearer KEY`, or of `x-api-key: KEY`.
fn key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()))
}

fn refusal(denied: Denied, scope: Scope) -> Error {
    match denied {
        Denied::NoKey => Error::Unauthorized("this address needs a key"),
        Denied::UnknownKey => Error::Unauthorized("the key is not known"),
        Denied::Expired => Error::Unauthorized("the key has expired"),
        Denied::Unsure => Error::NotReady(UNSURE.to_owned()),
        Denied::Scope(key) => Error::Forbidden { key, scope: scope.name() },
        Denied::WrongKeys(wait) => Error::WrongKeys { wait_s: whole_seconds(wait) },
        Denied::Rate(key, wait) => Error::RateLimited { key, wait_s: whole_seconds(wait) },
    }
}

/// Rounded up, at least 1.
fn whole_seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_watches_the_process_documents_it_or_is_the_page_is_open_and_all_else_is_not() {
        for path in [
            "/healthz",
            "/readyz",
            "/openapi.json",
            "/docs",
            "/docs/swagger-ui.css",
            "/metrics",
            "/v2/health/live",
            "/",
            "/page/page.js",
        ] {
            assert_eq!(needed(path, false), None, "{path}");
        }
        for path in [
            "/v1/models",
            "/v1/models/a/predict",
            "/v2/models/a/infer",
            "/v2/repository/index",
            "/page/other.js",
            "/docsx",
            "/v1/administer",
            "/v1/predictions/a/feedback",
            "/inference.GRPCInferenceService/ModelInfer",
            "/inference.GRPCInferenceService/RepositoryIndex",
        ] {
            assert_eq!(needed(path, false), Some(Scope::Predict), "{path}");
        }
        for path in [
            "/v1/admin/models",
            "/v1/admin",
            "/v1/review",
            "/v1/predictions/a/picture",
            "/v2/repository/models/a/load",
            "/v2/repository/models/a/unload",
            "/inference.GRPCInferenceService/RepositoryModelLoad",
        ] {
            assert_eq!(needed(path, false), Some(Scope::Admin), "{path}");
        }
        assert_eq!(needed("/metrics", true), Some(Scope::Predict));
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        for (name, value) in [("authorization", "Bearer abc"), ("authorization", "bearer  abc "), ("x-api-key", "abc")]
        {
            assert_eq!(key(&headers(name, value)), Some(&b"abc"[..]), "{name}: {value}");
        }
        for (name, value) in [("authorization", "Basic abc"), ("authorization", "Bearer"), ("x-request-id", "abc")] {
            assert_eq!(key(&headers(name, value)), None, "{name}: {value}");
        }
    }
}
