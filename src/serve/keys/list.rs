//! Keys as they are written down: a TOML file, or one line in the environment.
//!
//! ```toml
//! [[key]]
//! name = "website"
//! scopes = ["predict"]             # predict, admin
//! sha256 = "9f86d0…"               # of the key; or key = "the key itself"
//! requests_per_second = 20         # optional, in place of the setting for all keys
//! burst = 40                       # optional
//! ```
//!
//! In the environment: `website:predict:KEY ops:predict+admin:sha256:9f86d0…`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{ApiKey, Rate};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    scopes: Vec<String>,
    sha256: Option<String>,
    key: Option<String>,
    requests_per_second: Option<f64>,
    burst: Option<u32>,
}

/// The keys of a file.
///
/// # Errors
/// What is wrong, without any key in it.
pub(in crate::serve) fn parse_file(text: &str) -> Result<Vec<ApiKey>, String> {
    // The whole error shows the line in question, and with it perhaps a key.
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().trim().to_owned();
        line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
    })?;
    distinct(file.key.into_iter().map(Entry::read).collect::<Result<_, _>>()?)
}

/// The keys of the environment: `NAME:SCOPE[+SCOPE]:KEY`, apart by white space or commas.
///
/// # Errors
/// What is wrong, without any key in it.
pub fn parse_list(text: &str) -> Result<Vec<ApiKey>, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let keys = words.enumerate().map(|(i, word)| {
        let mut parts = word.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(scopes), Some(secret)) => {
                ApiKey::new(name, &scopes.split('+').collect::<Vec<_>>(), secret)
            }
            _ => Err(format!("entry {} is not NAME:SCOPES:KEY, such as website:predict:KEY", i + 1)),
        }
    });
    distinct(keys.collect::<Result<_, _>>()?)
}

impl Entry {
    fn read(self) -> Result<ApiKey, String> {
        let Self { name, scopes, sha256, key, requests_per_second, burst } = self;
        let secret = match (key, sha256) {
            (Some(key), None) => key,
            (None, Some(hex)) => format!("sha256:{hex}"),
            _ => return Err(format!("key {name:?}: it needs key or sha256, one of the two")),
        };
        let mut read = ApiKey::new(&name, &scopes.iter().map(String::as_str).collect::<Vec<_>>(), &secret)?;
        read.rate = match (requests_per_second, burst) {
            (Some(rate), burst) => Some(Rate::new(rate, burst).map_err(|reason| format!("key {name:?}: {reason}"))?),
            (None, Some(_)) => return Err(format!("key {name:?}: burst needs requests_per_second beside it")),
            (None, None) => None,
        };
        Ok(read)
    }
}

/// Names and keys occur once.
fn distinct(keys: Vec<ApiKey>) -> Result<Vec<ApiKey>, String> {
    let (mut names, mut digests) = (BTreeSet::new(), BTreeSet::new());
    for key in &keys {
        if !names.insert(key.name.clone()) {
            return Err(format!("key {:?}: there are two of this name", key.name));
        }
        if !digests.insert(key.digest) {
            return Err(format!("key {:?}: another name has the same key", key.name));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    const KEY: &str = "a-key-of-some-length";
    /// Of that key, by sha256sum.
    const SHA256: &str = "7602afe257e4bd460fcbc16b78c16d0822834244638fbee1d489cdaed5b179d3";

    #[test]
    fn a_key_and_its_digest_are_the_same_key() {
        let by_key = parse_list(&format!("web:predict:{KEY}")).unwrap();
        assert_eq!(by_key, parse_list(&format!("web:predict:sha256:{SHA256}")).unwrap());
        let file = format!("[[key]]\nname = \"web\"\nscopes = [\"predict\"]\nsha256 = \"{SHA256}\"");
        assert_eq!(by_key, parse_file(&file).unwrap());
        assert!(parse_file("").unwrap().is_empty() && parse_list(" \n").unwrap().is_empty());
    }

    #[test]
    fn scopes_and_rates_are_read() {
        let file = format!(
            "[[key]]\nname = \"ops\"\nscopes = [\"predict\", \"admin\"]\nkey = \"{KEY}\"\nrequests_per_second = 0.5\nburst = 4"
        );
        let key = parse_file(&file).unwrap().remove(0);
        assert_eq!(key.scopes, BTreeSet::from([Scope::Predict, Scope::Admin]));
        assert_eq!(key.rate, Some("0.5/4".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let entry = |rest: &str| parse_file(&format!("[[key]]\nname = \"web\"\nscopes = [\"predict\"]\n{rest}\n"));
        for (result, expected) in [
            (entry(""), "needs key or sha256"),
            (entry(&format!("key = \"{KEY}\"\nsha256 = \"{SHA256}\"")), "needs key or sha256"),
            (entry("key = \"short\""), "fewer than 16"),
            (entry("key = \"with a space in the middle\""), "a header cannot carry it"),
            (entry(&format!("sha256 = \"{KEY}\"")), "64 hexadecimal digits"),
            (entry(&format!("key = \"{KEY}\"\nburst = 3")), "burst needs"),
            (entry(&format!("key = \"{KEY}\"\nrequests_per_second = 0")), "requests per second"),
            (entry(&format!("key = \"{KEY}\"\nscope = \"admin\"")), "line 5: unknown field `scope`"),
            (entry(&format!("key = {KEY}")), "line 4"),
            (parse_list(&format!("web:predict:{KEY} web:predict:{KEY}2")), "two of this name"),
            (parse_list(&format!("a:predict:{KEY},b:admin:{KEY}")), "another name has the same key"),
            (parse_list(&format!("a:{KEY}")), "entry 1 is not"),
            (parse_list(&format!("a:everything:{KEY}")), "not a scope"),
            (parse_list(&format!("a::{KEY}")), "not a scope"),
            (parse_list(&format!(":predict:{KEY}")), "a name has"),
        ] {
            let error = result.unwrap_err();
            assert!(error.contains(expected) && !error.contains(KEY) && !error.contains("short\""), "{error}");
        }
    }
}
