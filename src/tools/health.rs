//! `tagpoint health`: asks the server that these settings start, for images without a shell and for service managers.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;

use crate::serve::{ServeArgs, Settings};

/// The flags of `tagpoint health`: those of `serve`, so that address and TLS are found in the same places.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Ask only whether the process is alive (/healthz), not whether every model is served (/readyz)
    #[arg(long)]
    pub alive: bool,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub patience_s: u64,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Runs `tagpoint health`.
///
/// # Errors
/// Settings that are not valid, no answer, or one that says what is wrong.
pub async fn run(args: HealthArgs) -> anyhow::Result<()> {
    let settings = Settings::resolve(args.serve)?.settings;
    let url = url(&settings, if args.alive { "/healthz" } else { "/readyz" });
    crate::tls::use_ring();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(args.patience_s))
        // The certificate is for the name that clients use, and nothing secret is sent to this machine itself.
        .danger_accept_invalid_certs(true)
        .build()?;
    let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(status.is_success(), "{url}: {status}: {text}");
    Ok(())
}

/// The address that a server with these settings listens on, as this machine reaches it.
fn url(settings: &Settings, path: &str) -> String {
    let scheme = if settings.connections.tls.is_some() { "https" } else { "http" };
    let ip = match settings.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{scheme}://{}{path}", SocketAddr::new(ip, settings.listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_this_machines_own() {
        let asked = |listen: &str| url(&Settings { listen: listen.parse().unwrap(), ..Settings::default() }, "/readyz");
        assert_eq!(asked("0.0.0.0:8000"), "http://127.0.0.1:8000/readyz");
        assert_eq!(asked("[::]:80"), "http://[::1]:80/readyz");
        assert_eq!(asked("10.1.2.3:8443"), "http://10.1.2.3:8443/readyz");
    }
}
