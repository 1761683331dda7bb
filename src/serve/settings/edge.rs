//! Settings of the server's edge: who may connect and ask, from where, and how connections are treated.

use std::{
    fmt::{self, Display},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use http::HeaderValue;

use super::{Settings, reader::Reader};
use crate::serve::{
    fetch::FetchRules,
    keys::{ApiKey, Rate, parse_list},
    tls::TlsFiles,
};

/// Who may ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// A file of keys, read again when it changes.
    pub keys_file: Option<PathBuf>,
    /// Keys of the environment.
    pub keys: Vec<ApiKey>,
    /// How often a key may be used that has no rate of its own; none does not limit it.
    pub rate: Option<Rate>,
    /// How long keys of the database go on working when it cannot be asked.
    pub grace: Duration,
    /// How often one address may send wrong keys; none does not limit it.
    pub wrong_rate: Option<Rate>,
    /// Whether `/metrics` needs a key.
    pub protect_metrics: bool,
    /// Which pages elsewhere a browser lets ask.
    pub origins: Origins,
}

/// Origins of pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but our own.
    #[default]
    None,
    /// Every one.
    Any,
    /// These, as browsers send them: `https://example.com`.
    These(Vec<HeaderValue>),
}

/// How connections are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// TLS with this certificate; without TLS where there is none.
    pub tls: Option<TlsFiles>,
    /// The most time for a TLS handshake, and for each request's head.
    pub header_timeout: Duration,
    /// The most connections at a time.
    pub max: usize,
}

impl Default for Access {
    /// No keys; those of a database hold an hour without it; of each address one wrong key a second, ten at once.
    fn default() -> Self {
        Self {
            keys_file: None,
            keys: Vec::new(),
            rate: None,
            grace: Duration::from_secs(3600),
            wrong_rate: Rate::new(1.0, Some(10)).ok(),
            protect_metrics: false,
            origins: Origins::None,
        }
    }
}

impl Default for Connections {
    /// Without TLS, 10 s, 4,096.
    fn default() -> Self {
        Self { tls: None, header_timeout: Duration::from_secs(10), max: 4096 }
    }
}

impl Access {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            keys_file: reader.text("keys_file").map(PathBuf::from),
            keys: reader.value("keys", Vec::new(), parse_list),
            rate: reader.value("key_rate", None, |text| text.parse().map(Some)),
            grace: reader.seconds("key_grace_s", 0.0..=604_800.0, Self::default().grace),
            wrong_rate: reader.value("wrong_key_rate", Self::default().wrong_rate, |text| match text {
                "off" => Ok(None),
                _ => text.parse().map(Some),
            }),
            protect_metrics: reader.parsed("protect_metrics", "true or false", false),
            origins: reader.value("cors_origins", Origins::None, str::parse),
        }
    }
}

impl Connections {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let defaults = Self::default();
        let (certificate, key) = (reader.text("tls_cert"), reader.text("tls_key"));
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => reader.lacks("tls_cert", "tls_key"),
            (None, Some(_)) => reader.lacks("tls_key", "tls_cert"),
        };
        Self {
            tls,
            header_timeout: reader.seconds("header_timeout_s", 0.1..=3600.0, defaults.header_timeout),
            max: reader.number("max_connections", 1..=1_000_000, defaults.max),
        }
    }
}

/// Which pictures are fetched by URL, if any are; each at most so many bytes.
pub(super) fn read_fetch(reader: &mut Reader, max_bytes: usize) -> Option<FetchRules> {
    let defaults = FetchRules::default();
    let fetch = reader.parsed("fetch", "true or false", false);
    let rules = FetchRules {
        schemes: reader.list("fetch_schemes", defaults.schemes),
        hosts: reader.list("fetch_hosts", defaults.hosts),
        ports: reader.value("fetch_ports", defaults.ports, |text| {
            let port = |word: &str| word.trim().parse().map_err(|_| format!("{:?} is not a port", word.trim()));
            text.split(',').map(port).collect()
        }),
        networks: reader.list("fetch_networks", defaults.networks),
        max_bytes,
        timeout: reader.seconds("fetch_timeout_s", 0.1..=600.0, defaults.timeout),
    };
    fetch.then_some(rules)
}

/// What one setting alone does not tell.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    if settings.body_budget < settings.max_body {
        let (budget, body) = (settings.body_budget, settings.max_body);
        reader.mistakes.push(format!("body_budget_bytes: {budget} is less than max_body_bytes, {body}"));
    }
}

/// Values with commas between them.
pub(super) fn shown<T: Display>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Any => f.write_str("*"),
            Self::These(origins) => {
                let texts: Vec<_> = origins.iter().map(|origin| String::from_utf8_lossy(origin.as_bytes())).collect();
                f.write_str(&texts.join(","))
            }
        }
    }
}

impl FromStr for Origins {
    type Err = String;

    /// Nothing, `*`, or origins apart by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let origin = |text: &str| {
            let wrong = || format!("{text:?} is not an origin such as https://example.com");
            let uri: http::Uri = text.parse().map_err(|_| wrong())?;
            let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
            let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/") && !text.ends_with('/');
            match (scheme, bare) {
                (Some(_), true) => HeaderValue::from_str(text).map_err(|_| wrong()),
                _ => Err(wrong()),
            }
        };
        match text.trim() {
            "" => Ok(Self::None),
            "*" => Ok(Self::Any),
            list => Ok(Self::These(list.split(',').map(|text| origin(text.trim())).collect::<Result<_, _>>()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::settings::ServeArgs;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        assert_eq!("".parse(), Ok(Origins::None));
        assert_eq!("*".parse(), Ok(Origins::Any));
        let two = ["https://example.com", "http://localhost:3000"].map(HeaderValue::from_static);
        assert_eq!("https://example.com, http://localhost:3000".parse(), Ok(Origins::These(two.to_vec())));
        for wrong in
            ["example.com", "https://example.com/", "https://example.com/path", "https://*,", "ftp://a.b", "null"]
        {
            assert!(wrong.parse::<Origins>().is_err(), "{wrong}");
        }
    }

    fn resolved<const N: usize>(given: [(&'static str, &str); N]) -> Settings {
        Settings::resolve(ServeArgs::typed(given)).unwrap().settings
    }

    #[test]
    fn the_edge_is_set_as_text() {
        let settings = resolved([
            ("fetch", "true"),
            ("fetch_schemes", "https, http"),
            ("fetch_hosts", "example.com,*.example.org"),
            ("fetch_ports", "443, 8443"),
            ("fetch_networks", "10.0.0.0/8"),
            ("max_picture_bytes", "1000"),
            ("tls_cert", "cert.pem"),
            ("tls_key", "key.pem"),
            ("key_rate", "5/10"),
            ("wrong_key_rate", "off"),
            ("keys", "web:predict:a-key-of-some-length"),
            ("max_connections", "7"),
        ]);
        let fetch = settings.fetch.unwrap();
        assert_eq!((fetch.schemes.len(), fetch.hosts.len(), fetch.ports), (2, 2, vec![443, 8443]));
        assert_eq!((shown(&fetch.networks), fetch.max_bytes), ("10.0.0.0/8".to_owned(), 1000));
        assert_eq!((settings.access.rate, settings.connections.max), ("5/10".parse().ok(), 7));
        assert_eq!(settings.access.wrong_rate, None);
        assert_eq!((settings.access.keys[0].name.as_str(), settings.connections.tls.is_some()), ("web", true));
    }

    #[test]
    fn every_mistake_of_the_edge_is_named_and_no_key_is() {
        let given = [
            ("fetch_hosts", "https://example.com"),
            ("fetch_ports", "0,x"),
            ("fetch_networks", "ten"),
            ("tls_cert", "cert.pem"),
            ("keys", "web:everything:a-key-of-some-length"),
            ("key_rate", "often"),
            ("wrong_key_rate", "never"),
            ("cors_origins", "example.com"),
            ("body_budget_bytes", "2000000"),
        ];
        let error = Settings::resolve(ServeArgs::typed(given)).unwrap_err();
        for (name, _) in given {
            assert!(error.0.iter().any(|mistake| mistake.starts_with(&format!("{name}: "))), "{name} in {error}");
        }
        assert!(!error.to_string().contains("a-key-of-some-length"), "{error}");
    }

    #[test]
    fn what_is_printed_does_not_show_keys() {
        let args = ServeArgs::typed([("keys", "web:predict:a-key-of-some-length")]);
        let text = Settings::resolve(args).unwrap().to_string();
        assert!(text.contains("# keys: web, not shown # flag --keys") && !text.contains("a-key"), "{text}");
    }
}
