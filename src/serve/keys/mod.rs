//! Who may ask: keys with scopes, each with a rate of its own.
//!
//! Keys come from a file, which is read again when it changes, from the environment, and from the database, which is
//! asked every second ([`stored`]). Only their SHA-256 is kept, and nothing here writes a key anywhere. Where there never
//! was a key everybody may do everything.

mod key;
mod list;
mod rate;
mod stored;
mod wrong;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use key::{ApiKey, Scope};
pub(super) use list::parse_file;
pub use list::parse_list;
use rate::Limiter;
pub use rate::Rate;
use stored::Stored;
pub(super) use stored::{Followed, StoredKeys};
use wrong::WrongKeys;

use crate::store::now_ms;

/// The keys that are valid now.
#[derive(Debug)]
pub(super) struct Keyring {
    /// Keys of the environment: valid as long as the process.
    fixed: Vec<ApiKey>,
    /// The rate of keys that have none of their own.
    rate: Option<Rate>,
    /// Keys that change while the server runs. Held by whoever watches the file or the database, while it writes.
    changing: Mutex<Changing>,
    /// All keys. Requests read; whoever holds `changing` writes.
    holders: RwLock<Arc<Holders>>,
    /// Addresses that sent wrong keys; none where they may send as many as they like.
    wrong: Option<WrongKeys>,
}

/// Keys by where they come from, besides the environment.
#[derive(Debug, Default)]
struct Changing {
    file: Vec<ApiKey>,
    stored: Vec<(ApiKey, Stored)>,
    /// Whether the database has, or ever had, a key.
    ever_stored: bool,
    /// Until when the database's keys hold without it being asked again.
    stored_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Holders {
    keys: Vec<Holder>,
    /// Whether a request needs a key.
    needed: bool,
    stored_until: Option<Instant>,
}

/// A key and what it has used up.
#[derive(Clone, Debug)]
struct Holder {
    key: ApiKey,
    /// Kept when the file is read again and the key's rate is as before.
    limiter: Option<Arc<Limiter>>,
    /// What the database adds to a key.
    stored: Option<Stored>,
}

/// What a request gives for a key: its SHA-256, by which it is known. Not to be shown, as it would let a weak key be guessed.
#[derive(Clone, Copy)]
pub(super) struct GivenKey([u8; 32]);

/// A key that lets a request in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Its name.
    pub(super) name: String,
    /// Whether it has the scope `admin`.
    pub(super) is_admin: bool,
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// It has no key.
    NoKey,
    /// Its key is not one of ours.
    UnknownKey,
    /// Its key's time is over.
    Expired,
    /// Its key was valid when the database was last asked, which is too long ago.
    Unsure,
    /// Neither is its key, and too many others from its address were not: the time until there may be another.
    WrongKeys(Duration),
    /// Its key, of this name, is not for this.
    Scope(String),
    /// Its key, of this name, was used too often: the time until it may be used again.
    Rate(String, Duration),
}

impl Keyring {
    /// A ring with the environment's keys; `rate` for keys that have none of their own, `wrong` for the wrong keys of an
    /// address.
    pub(super) fn new(fixed: Vec<ApiKey>, rate: Option<Rate>, wrong: Option<Rate>) -> Self {
        let wrong = wrong.map(WrongKeys::new);
        let ring = Self { fixed, rate, changing: Mutex::default(), holders: RwLock::default(), wrong };
        ring.change(|_| {});
        ring
    }

    /// Puts the keys of a file in place of those that it had before.
    ///
    /// # Errors
    /// What is wrong with the text; the keys stay as they were.
    pub(super) fn replace_by_file(&self, path: &Path, text: &str) -> Result<usize, String> {
        let keys = parse_file(text).map_err(|reason| format!("{}: {reason}", path.display()))?;
        let names: Vec<&str> = self.fixed.iter().map(|key| key.name.as_str()).collect();
        if let Some(twice) = keys.iter().find(|key| names.contains(&key.name.as_str())) {
            return Err(format!("{}: key {:?} is in the environment too", path.display(), twice.name));
        }
        if keys.is_empty() && self.fixed.is_empty() {
            // Who names a file of keys does not mean that everybody may come in.
            return Err(format!("{}: there is no key in it", path.display()));
        }
        let count = keys.len();
        self.change(|changing| changing.file = keys);
        Ok(count)
    }

    /// Puts the database's keys in place of those that it had before. They hold until `until`, unless it is asked again.
    fn replace_stored(&self, keys: Vec<(ApiKey, Stored)>, ever_stored: bool, until: Instant) {
        self.change(|changing| {
            changing.stored = keys;
            changing.ever_stored |= ever_stored;
            changing.stored_until = Some(until);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Changing)) {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut changing);
        let before = self.holders();
        let kept: BTreeMap<[u8; 32], &Holder> = before.keys.iter().map(|holder| (holder.key.digest, holder)).collect();
        let hold = |key: ApiKey, stored: Option<Stored>| {
            let rate = key.rate.or(self.rate);
            let same = kept.get(&key.digest).and_then(|holder| holder.limiter.clone());
            let same = same.filter(|limiter| Some(limiter.rate()) == rate);
            Holder { limiter: same.or_else(|| rate.map(|rate| Arc::new(Limiter::new(rate)))), key, stored }
        };
        let plain = self.fixed.iter().chain(&changing.file).cloned().map(|key| hold(key, None));
        let stored = changing.stored.iter().cloned().map(|(key, stored)| hold(key, Some(stored)));
        let keys: Vec<Holder> = plain.chain(stored).collect();
        let needed = changing.ever_stored || !keys.is_empty();
        let holders = Arc::new(Holders { keys, needed, stored_until: changing.stored_until });
        *self.holders.write().unwrap_or_else(PoisonError::into_inner) = holders;
    }

    fn holders(&self) -> Arc<Holders> {
        Arc::clone(&self.holders.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there never was a key, so that everybody may do everything.
    pub(super) fn is_open(&self) -> bool {
        !self.holders().needed
    }

    /// Lets a request in, and counts it against its key's rate: none where there are no keys. A wrong
    /// key is counted against the address that it came from.
    ///
    /// # Errors
    /// See [`Denied`].
    pub(super) fn admit(
        &self,
        given: Option<GivenKey>,
        scope: Scope,
        from: IpAddr,
    ) -> Result<Option<Admitted>, Denied> {
        let holders = self.holders();
        let Some(holder) = self.find(&holders, given, scope, from)? else { return Ok(None) };
        let name = || holder.key.name.clone();
        if let Some(limiter) = &holder.limiter {
            limiter.take().map_err(|wait| Denied::Rate(name(), wait))?;
        }
        Ok(Some(Admitted { name: name(), is_admin: holder.key.scopes.contains(&Scope::Admin) }))
    }

    /// Whether what was let in would be let in now, which is not counted.
    ///
    /// # Errors
    /// See [`Denied`]; never `Rate`.
    pub(super) fn check(&self, given: Option<GivenKey>, scope: Scope, from: IpAddr) -> Result<(), Denied> {
        self.find(&self.holders(), given, scope, from).map(|_| ())
    }

    /// The holder of a key that opens a scope; none where no key is needed.
    fn find<'a>(
        &self,
        holders: &'a Holders,
        given: Option<GivenKey>,
        scope: Scope,
        from: IpAddr,
    ) -> Result<Option<&'a Holder>, Denied> {
        if !holders.needed {
            return Ok(None);
        }
        let GivenKey(given) = given.ok_or(Denied::NoKey)?;
        // Every key is compared, whole: the time says nothing about which one it was, or how far it fitted.
        let mut found = None;
        for holder in &holders.keys {
            if bool::from(holder.key.digest.ct_eq(&given)) {
                found = Some(holder);
            }
        }
        let Some(holder) = found else {
            let counted = self.wrong.as_ref().map_or(Ok(()), |wrong| wrong.count(from));
            return Err(counted.map_or_else(Denied::WrongKeys, |()| Denied::UnknownKey));
        };
        if let Some(stored) = &holder.stored {
            let now = now_ms();
            if stored.expires_ms.is_some_and(|expires| now >= expires) {
                return Err(Denied::Expired);
            }
            if holders.stored_until.is_some_and(|until| Instant::now() > until) {
                return Err(Denied::Unsure);
            }
            stored.used(now);
        }
        if !holder.key.scopes.contains(&scope) {
            return Err(Denied::Scope(holder.key.name.clone()));
        }
        Ok(Some(holder))
    }
}

impl GivenKey {
    pub(super) fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(name: &str, is_admin: bool) -> Option<Admitted> {
        Some(Admitted { name: name.to_owned(), is_admin })
    }

    const KEY: &str = "a-key-of-some-length";
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn given(key: &str) -> Option<GivenKey> {
        Some(GivenKey::of(key.as_bytes()))
    }

    fn ring(list: &str, rate: Option<Rate>) -> Keyring {
        Keyring::new(parse_list(list).unwrap(), rate, Some("0.01/2".parse().unwrap()))
    }

    #[test]
    fn without_keys_everybody_may_do_everything() {
        let ring = ring("", None);
        assert!(ring.is_open());
        assert_eq!(ring.admit(None, Scope::Admin, HERE), Ok(None));
    }

    #[test]
    fn a_key_opens_what_its_scopes_say() {
        let ring = ring(&format!("web:predict:{KEY} ops:predict+admin:another-key-of-length"), None);
        assert_eq!(ring.admit(given(KEY), Scope::Predict, HERE), Ok(admitted("web", false)));
        assert_eq!(ring.admit(given(KEY), Scope::Admin, HERE), Err(Denied::Scope("web".to_owned())));
        assert_eq!(ring.admit(given("another-key-of-length"), Scope::Admin, HERE), Ok(admitted("ops", true)));
        assert_eq!(ring.admit(given("a-key-of-some-lengt"), Scope::Predict, HERE), Err(Denied::UnknownKey));
        assert_eq!(ring.admit(None, Scope::Predict, HERE), Err(Denied::NoKey));
    }

    #[test]
    fn after_too_many_wrong_keys_the_next_is_told_to_wait_and_a_right_one_is_let_in() {
        let ring = ring(&format!("web:predict:{KEY}"), None);
        for _ in 0..2 {
            assert_eq!(ring.admit(given("wrong"), Scope::Predict, HERE), Err(Denied::UnknownKey));
        }
        let denied = ring.admit(given("wrong"), Scope::Predict, HERE);
        assert!(matches!(denied, Err(Denied::WrongKeys(wait)) if wait > Duration::from_secs(90)), "{denied:?}");
        assert_eq!(ring.admit(None, Scope::Predict, HERE), Err(Denied::NoKey));
        assert_eq!(ring.admit(given(KEY), Scope::Predict, HERE), Ok(admitted("web", false)));
    }

    #[test]
    fn a_key_is_held_at_its_rate_even_when_the_file_is_read_again() {
        let path = Path::new("keys.toml");
        let ring = ring("", Some("0.001".parse::<Rate>().unwrap()));
        let file = format!("[[key]]\nname = \"web\"\nscopes = [\"predict\"]\nkey = \"{KEY}\"\n");
        ring.replace_by_file(path, &file).unwrap();
        assert!(ring.admit(given(KEY), Scope::Predict, HERE).is_ok());
        let more = format!("{file}[[key]]\nname = \"b\"\nscopes = [\"predict\"]\nkey = \"b-key-of-some-length\"\n");
        ring.replace_by_file(path, &more).unwrap();
        match ring.admit(given(KEY), Scope::Predict, HERE) {
            Err(Denied::Rate(name, wait)) => assert!(name == "web" && wait > Duration::from_secs(900), "{wait:?}"),
            other => panic!("{other:?}"),
        }
        assert!(ring.admit(given("b-key-of-some-length"), Scope::Predict, HERE).is_ok());
        // Another rate of its own begins anew.
        ring.replace_by_file(path, &format!("{file}requests_per_second = 5\nburst = 2\n")).unwrap();
        assert!(ring.admit(given(KEY), Scope::Predict, HERE).is_ok());
    }

    #[test]
    fn what_was_let_in_is_looked_at_again_without_being_counted() {
        let ring = ring(&format!("web:predict:{KEY}"), Some("0.001".parse().unwrap()));
        assert!(ring.admit(given(KEY), Scope::Predict, HERE).is_ok());
        for _ in 0..3 {
            assert_eq!(ring.check(given(KEY), Scope::Predict, HERE), Ok(()));
        }
        assert!(matches!(ring.admit(given(KEY), Scope::Predict, HERE), Err(Denied::Rate(..))));
        assert_eq!(ring.check(given(KEY), Scope::Admin, HERE), Err(Denied::Scope("web".to_owned())));
        assert_eq!(ring.check(None, Scope::Predict, HERE), Err(Denied::NoKey));
        assert_eq!(ring.check(given("another-key-of-length"), Scope::Predict, HERE), Err(Denied::UnknownKey));
    }

    #[test]
    fn a_broken_file_changes_nothing() {
        assert!(ring("", None).replace_by_file(Path::new("keys.toml"), "").unwrap_err().contains("no key"));
        let ring = ring(&format!("web:predict:{KEY}"), None);
        for broken in
            ["[[key]]", "nonsense", "[[key]]\nname = \"web\"\nscopes = [\"predict\"]\nkey = \"b-key-of-some-length\""]
        {
            let error = ring.replace_by_file(Path::new("keys.toml"), broken).unwrap_err();
            assert!(error.starts_with("keys.toml: "), "{error}");
            assert!(ring.admit(given(KEY), Scope::Predict, HERE).is_ok());
        }
    }
}
