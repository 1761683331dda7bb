//! One file over HTTP or HTTPS, whole or not at all.
//!
//! Proxies are those of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), certificates those that the system
//! trusts (`SSL_CERT_FILE`).

use std::{io::Read as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ureq::{
    Agent, Proxy,
    http::Uri,
    tls::{RootCerts, TlsConfig},
};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// No published file is longer.
const LARGEST: u64 = 2 << 30;

/// The body of a GET request, kept in memory so that an interrupted download leaves nothing behind.
///
/// # Errors
/// What went wrong, in a few words: no connection, another status than 200, or a body that breaks off.
pub(super) fn download(url: &str) -> Result<Vec<u8>, String> {
    let mut response = agent(url).get(url).call().map_err(|error| describe(&error))?;
    let length = response.body().content_length();
    let bar = progress(url, length);
    let mut bytes = Vec::new();
    let body = response.body_mut().with_config().limit(LARGEST).reader();
    bar.wrap_read(body).read_to_end(&mut bytes).map_err(|error| {
        let whole = length.map(|length| format!(" of {length}")).unwrap_or_default();
        format!("the transfer broke off after {}{whole} bytes: {error}", bytes.len())
    })?;
    bar.finish_and_clear();
    Ok(bytes)
}

fn agent(url: &str) -> Agent {
    // A server on this machine is not reached by way of a proxy.
    let local = url.parse::<Uri>().is_ok_and(|uri| matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")));
    let proxy = if local { None } else { Proxy::try_from_env() };
    let config = Agent::config_builder()
        .user_agent(concat!("tagpoint-train/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build();
    config.new_agent()
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(404) => "the server does not have it (404 Not Found)".to_owned(),
        ureq::Error::StatusCode(status) => format!("the server answers with status {status}"),
        ureq::Error::HostNotFound => "the server's name is not known here: is there a network?".to_owned(),
        other => other.to_string(),
    }
}

/// A bar on standard error; nothing where that is no terminal.
fn progress(url: &str, length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let template = "{prefix} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(format!("downloading {}", url.rsplit('/').next().unwrap_or(url)));
    bar
}
