//! The server's certificate, which may change while it runs.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::serve::watched::{self, Contents};

/// Where the certificate lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then those between it and its root.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Why a certificate is not usable.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the TLS certificate is not usable: {0}")]
pub(in crate::serve) struct TlsError(String);

/// The certificate that new connections get.
#[derive(Debug)]
pub(in crate::serve) struct Certificate {
    /// Handshakes read; whoever follows the files writes.
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files, and again whenever they change, on a task that goes on until it is dropped.
    ///
    /// # Errors
    /// A file cannot be read, is no PEM, or key and certificate do not belong together.
    pub(in crate::serve) async fn follow(
        files: &TlsFiles,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + use<>), TlsError> {
        let paths = vec![files.certificate.clone(), files.key.clone()];
        let contents = watched::read(&paths).await;
        let certificate = Arc::new(Self { current: RwLock::new(Arc::new(certified(&contents)?)) });
        let followed = Arc::clone(&certificate);
        let follow = watched::follow(paths, watched::EVERY, contents, move |contents| match certified(contents) {
            Ok(key) => {
                *followed.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => tracing::error!("{error}; the one before stays"),
        });
        Ok((certificate, follow))
    }
}

/// A certificate with its key, from the contents of the two files.
fn certified(contents: &Contents) -> Result<CertifiedKey, TlsError> {
    let contents = contents.as_ref().map_err(|reason| TlsError(reason.clone()))?;
    let [certificates, key] = contents.as_slice() else { return Err(TlsError("there are not two files".to_owned())) };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError(format!("tls_cert: {error}")))?;
    if chain.is_empty() {
        return Err(TlsError("tls_cert: there is no certificate in PEM in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError(format!("tls_key: {error}")))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| TlsError(error.to_string()))
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
