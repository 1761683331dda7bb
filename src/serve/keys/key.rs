//! One key.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::Rate;
use crate::{model::Digest, store::keys::KeyRow};

/// Letters of a key, at least: `openssl rand -hex 16` gives 32.
const SHORTEST: usize = 16;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Asking models, and about models.
    Predict,
    /// Changing what is served.
    Admin,
}

/// A key, without the key itself: its SHA-256 is enough to know it again.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What the log and error messages call it.
    pub name: String,
    pub(super) digest: [u8; 32],
    /// What it is for.
    pub scopes: BTreeSet<Scope>,
    /// Its own rate, in place of the one for all keys.
    pub rate: Option<Rate>,
}

impl ApiKey {
    /// A key from its parts, as text. `secret` is the key itself, or `sha256:` and the 64 hexadecimal digits of its
    /// SHA-256.
    ///
    /// # Errors
    /// What is wrong with which part; never the key itself.
    pub fn new(name: &str, scopes: &[&str], secret: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=64).contains(&name.len()) || !name.chars().all(fits) {
            return Err(format!("key {name:?}: a name has 1 to 64 of A-Z a-z 0-9 - _ ."));
        }
        let wrong = |reason: String| format!("key {name:?}: {reason}");
        if scopes.is_empty() {
            return Err(wrong("it has no scope: predict, admin, or both".to_owned()));
        }
        let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>().map_err(wrong)?;
        let digest = match secret.strip_prefix("sha256:") {
            Some(hex) => {
                let digest = Digest::try_from(hex.to_owned());
                digest.map_err(|_| wrong("its SHA-256 has 64 hexadecimal digits".to_owned()))?.bytes()
            }
            None if secret.len() < SHORTEST => return Err(wrong(format!("it has fewer than {SHORTEST} letters"))),
            None if !secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(wrong("a header cannot carry it: letters, digits and signs of ASCII only".to_owned()));
            }
            None => Digest::of(secret.as_bytes()).bytes(),
        };
        Ok(Self { name: name.to_owned(), digest, scopes, rate: None })
    }
}

impl ApiKey {
    /// SHA-256 of the key.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// A key of the database.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn from_row(row: &KeyRow) -> Result<Self, String> {
        let scopes = row.scopes.split('+').map(str::parse).collect::<Result<_, _>>()?;
        let rate = row.rate.as_deref().map(str::parse).transpose()?;
        Ok(Self { name: row.name.clone(), digest: row.digest, scopes, rate })
    }
}

impl fmt::Debug for ApiKey {
    /// Without the digest, which would let a weak key be guessed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, scopes, rate, .. } = self;
        f.debug_struct("ApiKey").field("name", name).field("scopes", scopes).field("rate", rate).finish_non_exhaustive()
    }
}

impl Scope {
    /// As keys name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    /// `predict` or `admin`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "predict" => Ok(Self::Predict),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("{text:?} is not a scope: predict or admin")),
        }
    }
}
