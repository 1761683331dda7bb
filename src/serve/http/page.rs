//! The page at `/`: try a model, look at the models and at the server's health.
//!
//! Its files are in the program, so it needs no folder beside it; `web/` has the sources and how they are built. The
//! browser is told to load from, and to ask, this host only, and to run no script but the page's own file. The files'
//! names do not change, so a browser asks each time whether it still has the newest (ETag).

use std::sync::LazyLock;

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tower_http::compression::CompressionLayer;

/// What the page may do. `blob:` shows pictures that the user has chosen.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// One file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// Weak, since the same file goes out compressed too.
    etag: LazyLock<String>,
}

macro_rules! asset {
    ($path:literal, $content_type:literal, $file:literal) => {
        Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)),
            etag: LazyLock::new(|| weak_etag(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)))),
        }
    };
}

static ASSETS: [Asset; 6] = [
    asset!("/", "text/html; charset=utf-8", "web/dist/index.html"),
    asset!("/page/page.js", "text/javascript; charset=utf-8", "web/dist/page.js"),
    asset!("/page/page.css", "text/css; charset=utf-8", "web/dist/page.css"),
    asset!("/page/icon.svg", "image/svg+xml", "web/dist/icon.svg"),
    asset!("/page/scenes.jpg", "image/jpeg", "samples/scenes.jpg"),
    asset!("/page/faces.jpg", "image/jpeg", "samples/faces.jpg"),
];

/// The page's addresses.
pub(super) fn routes() -> Router {
    let mut router = Router::new();
    for asset in &ASSETS {
        router = router.route(asset.path, get(move |headers: HeaderMap| async move { answer(asset, &headers) }));
    }
    router.layer(CompressionLayer::new().gzip(true))
}

/// Whether an address is the page's; the page is open to all, and asks for a key where what it asks needs one.
pub(super) fn is_ours(path: &str) -> bool {
    ASSETS.iter().any(|asset| asset.path == path)
}

fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let etag = asset.etag.as_str();
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // Compared weakly, as RFC 9110 wants it (13.1.2): `W/` makes no difference.
    let is_same = |tag: &str| tag == "*" || opaque(tag) == opaque(etag);
    let unchanged = known.flat_map(|tags| tags.split(',')).any(|tag| is_same(tag.trim()));
    let common = [
        (header::ETAG, HeaderValue::from_str(etag).unwrap_or(HeaderValue::from_static(""))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn weak_etag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_page_is_under_250_kb() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 250_000, "{bytes}");
    }

    #[test]
    fn a_browser_that_has_the_newest_file_is_told_so() {
        let asset = &ASSETS[0];
        let with = |tags: &str| HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(tags).unwrap())]);
        let etag = asset.etag.as_str();
        assert_eq!(answer(asset, &with(&format!("W/\"old\", {etag}"))).status(), StatusCode::NOT_MODIFIED);
        for tags in [etag.trim_start_matches("W/"), "*"] {
            assert_eq!(answer(asset, &with(tags)).status(), StatusCode::NOT_MODIFIED, "{tags}");
        }
        for tags in ["W/\"old\"", "\"*\"", "W/"] {
            assert_eq!(answer(asset, &with(tags)).status(), StatusCode::OK, "{tags}");
        }
        assert_eq!(answer(asset, &HeaderMap::new()).headers()[header::ETAG], etag);
    }
}
