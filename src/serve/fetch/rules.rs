//! Which URLs are fetched.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use reqwest::Url;

use super::{FetchError, Network, address};

/// Which URLs are fetched, and what a fetch may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRules {
    /// Schemes.
    pub schemes: Vec<Scheme>,
    /// Hosts; none allows every host whose addresses are public.
    pub hosts: Vec<HostRule>,
    /// Ports.
    pub ports: Vec<u16>,
    /// Networks that are allowed though their addresses are not public.
    pub networks: Vec<Network>,
    /// The most bytes of a picture.
    pub max_bytes: usize,
    /// The most time for one picture: resolving, connecting, redirects and reading together.
    pub timeout: Duration,
}

/// A URL's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

/// Hosts that are allowed: `example.com` is that host, `*.example.com` every host below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// In lower case, without a dot at its end.
    name: String,
    /// Whether the rule is for the hosts below the name, not for the name itself.
    below: bool,
}

impl Default for FetchRules {
    /// HTTPS from any public host at ports 80 and 443, 20 MiB, 10 s.
    fn default() -> Self {
        Self {
            schemes: vec![Scheme::Https],
            hosts: Vec::new(),
            ports: vec![80, 443],
            networks: Vec::new(),
            max_bytes: 20 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

impl FetchRules {
    /// Gives the URL back where it keeps the rules. A name's addresses are checked when it is resolved.
    ///
    /// # Errors
    /// `Refused`, with the rule.
    pub(super) fn check(&self, url: Url) -> Result<Url, FetchError> {
        let refused = |reason: String| Err(FetchError::Refused(reason));
        let scheme = match url.scheme() {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            _ => None,
        };
        if !scheme.is_some_and(|scheme| self.schemes.contains(&scheme)) {
            let allowed: Vec<&str> = self.schemes.iter().map(|scheme| scheme.name()).collect();
            return refused(format!("its scheme is {}, and allowed is {}", url.scheme(), allowed.join(" or ")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it has a user name or a password".to_owned());
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.contains(&port) {
            return refused(format!("port {port} is not one of those allowed"));
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        if !self.hosts.is_empty() && !self.hosts.iter().any(|rule| rule.matches(host)) {
            return refused(format!("host {host:?} is not one of those allowed"));
        }
        // The parser has turned every spelling of an IPv4 address (0x7f.1, 2130706433) into the usual one.
        if let Ok(literal) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            self.check_address(literal)?;
        }
        Ok(url)
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// `Refused`, with the kind of the address.
    pub(super) fn check_address(&self, address: IpAddr) -> Result<(), FetchError> {
        if self.networks.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        match address::not_public(address) {
            Some(kind) => Err(FetchError::Refused(format!("its host's address is not a public one ({kind})"))),
            None => Ok(()),
        }
    }
}

impl HostRule {
    /// Whether a host, in lower case and without a dot at its end, is allowed by this rule.
    fn matches(&self, host: &str) -> bool {
        if !self.below {
            return host == self.name;
        }
        host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl FromStr for Scheme {
    type Err = String;

    /// `https` or `http`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "https" => Ok(Self::Https),
            "http" => Ok(Self::Http),
            _ => Err(format!("{text:?} is not https or http")),
        }
    }
}

impl FromStr for HostRule {
    type Err = String;

    /// `example.com` or `*.example.com`; international names in their `xn--` spelling.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(format!("{text:?} is not a host such as example.com or *.example.com"));
        }
        Ok(Self { name, below })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rules: &FetchRules, url: &str) -> String {
        rules.check(url.parse().unwrap()).map_or_else(|error| error.to_string(), |_| "allowed".to_owned())
    }

    #[test]
    fn without_a_list_every_public_host_is_allowed_over_https() {
        let rules = FetchRules::default();
        assert_eq!(refusal(&rules, "https://example.com/a.jpg?size=3#top"), "allowed");
        assert_eq!(refusal(&rules, "https://93.184.215.14/a.jpg"), "allowed");
        assert!(refusal(&rules, "http://example.com/").contains("scheme is http, and allowed is https"));
        assert!(refusal(&rules, "file:///etc/passwd").contains("scheme is file"));
        assert!(refusal(&rules, "https://example.com:8443/").contains("port 8443"));
        assert!(refusal(&rules, "https://me@example.com/").contains("user name"));
        assert!(refusal(&rules, "https://:pass@example.com/").contains("password"));
    }

    #[test]
    fn a_literal_address_is_refused_in_every_spelling() {
        let rules = FetchRules::default();
        for host in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "\u{ff11}27.0.0.1",
            "[fe80::1]",
            "169.254.169.254",
            "0",
        ] {
            let said = refusal(&rules, &format!("https://{host}/"));
            assert!(said.contains("not a public one"), "{host}: {said}");
        }
    }

    #[test]
    fn listed_hosts_are_matched_as_a_whole() {
        let hosts = ["example.com", "*.cdn.example"].map(|host| host.parse().unwrap()).to_vec();
        let rules = FetchRules { hosts, ..FetchRules::default() };
        for host in ["example.com", "EXAMPLE.com", "example.com.", "a.cdn.example", "a.b.cdn.example"] {
            assert_eq!(refusal(&rules, &format!("https://{host}/")), "allowed", "{host}");
        }
        for host in ["www.example.com", "notexample.com", "cdn.example", "evilcdn.example", "example.com.evil.org"] {
            assert!(refusal(&rules, &format!("https://{host}/")).contains("not one of those allowed"), "{host}");
        }
        for wrong in ["", "*.", "https://example.com", "exa mple", "*.*.com"] {
            assert!(wrong.parse::<HostRule>().is_err(), "{wrong}");
        }
    }
}
