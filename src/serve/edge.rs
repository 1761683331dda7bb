//! What stands between the network and the routes, made from the settings at the start: keys, certificate, fetcher.
//!
//! A file of keys or certificates that is not usable keeps the server from starting. Later, when it changes into such a
//! one, what was read before stays, and the log says so.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::task::AbortHandle;

use super::{
    fetch::Fetcher,
    keys::{Followed, Keyring, StoredKeys},
    listen,
    settings::Settings,
    tls::{self, Certificate, TlsError},
    watched::{self, Contents},
};
use crate::store::{Store, StoreError};

/// How long nothing may be asked on an HTTP/2 connection: clients open another one by themselves.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a client may take nothing of what it is told.
const UNHEARD: Duration = Duration::from_secs(60);

/// Keys, certificate and fetcher; its files are followed until it is dropped.
pub(super) struct Edge {
    pub(super) keys: Arc<Keyring>,
    /// None where pictures are not fetched by URL.
    pub(super) fetcher: Option<Fetcher>,
    tls: Option<Arc<ServerConfig>>,
    /// The database's keys; none without one.
    stored_keys: Option<Followed>,
    /// The tasks that follow files.
    followers: Vec<AbortHandle>,
}

/// Why the edge cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum EdgeError {
    #[error("keys_file: {0}")]
    Keys(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("pictures cannot be fetched by URL: {0}")]
    Fetch(#[from] reqwest::Error),
}

impl Edge {
    /// Reads the files, and follows them from then on.
    ///
    /// # Errors
    /// See [`EdgeError`].
    pub(super) async fn prepare(settings: &Settings, store: Option<&Store>) -> Result<Self, EdgeError> {
        let access = &settings.access;
        let mut edge = Self {
            keys: Arc::new(Keyring::new(access.keys.clone(), access.rate, access.wrong_rate)),
            fetcher: settings.fetch.clone().map(Fetcher::new).transpose()?,
            tls: None,
            stored_keys: None,
            followers: Vec::new(),
        };
        if let Some(store) = store {
            let stored = StoredKeys::read(store.clone(), Arc::clone(&edge.keys), access.grace).await?;
            edge.stored_keys = Some(stored.follow());
        }
        if let Some(path) = &access.keys_file {
            edge.follow_keys(path.clone()).await?;
        }
        if let Some(files) = &settings.connections.tls {
            let (certificate, follow) = Certificate::follow(files).await?;
            edge.tls = Some(Arc::new(tls::server_config(certificate)));
            edge.followers.push(tokio::spawn(follow).abort_handle());
        }
        Ok(edge)
    }

    async fn follow_keys(&mut self, path: PathBuf) -> Result<(), EdgeError> {
        let contents = watched::read(std::slice::from_ref(&path)).await;
        let count = take_keys(&self.keys, &path, &contents).map_err(EdgeError::Keys)?;
        tracing::info!(file = %path.display(), count, "keys read");
        let keys = Arc::clone(&self.keys);
        let follow = watched::follow(vec![path.clone()], watched::EVERY, contents, move |contents| {
            match take_keys(&keys, &path, contents) {
                Ok(count) => tracing::info!(file = %path.display(), count, "keys read again"),
                Err(reason) => tracing::error!(%reason, "the file of keys is not usable; those read before stay"),
            }
        });
        self.followers.push(tokio::spawn(follow).abort_handle());
        Ok(())
    }

    /// How connections are treated.
    pub(super) fn rules(&self, settings: &Settings) -> listen::Rules {
        listen::Rules {
            header_timeout: settings.connections.header_timeout,
            idle_timeout: IDLE_TIMEOUT,
            unheard: UNHEARD,
            max_connections: settings.connections.max,
            tls: self.tls.clone(),
        }
    }

    /// Says what is open to whoever reaches this address.
    pub(super) fn warn(&self, address: SocketAddr, settings: &Settings) {
        if address.ip().is_loopback() {
            return;
        }
        if self.keys.is_open() {
            let how = "make one with `tagpoint keys add`, name a file of keys with keys_file, or set TAGPOINT_KEYS";
            tracing::warn!(%address, "anyone who reaches this address can use the service: there are no keys; {how}");
        } else if settings.connections.tls.is_none() {
            let how = "set tls_cert and tls_key, or put a proxy with TLS in front";
            tracing::warn!(%address, "keys and pictures cross the network in the clear; {how}");
        }
    }
}

impl Edge {
    /// Ends what follows the database, once it has what it does not know yet.
    pub(super) async fn finish(&mut self) {
        if let Some(followed) = self.stored_keys.take() {
            followed.finish().await;
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.followers.iter().for_each(AbortHandle::abort);
    }
}

/// Puts the keys of the file into the ring, and gives their number.
fn take_keys(keys: &Keyring, path: &std::path::Path, contents: &Contents) -> Result<usize, String> {
    let contents = contents.as_ref().map_err(Clone::clone)?;
    let text = contents.first().map(Vec::as_slice).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    keys.replace_by_file(path, text)
}
