//! TLS for the server's own connections.
//!
//! TLS 1.2 and 1.3 by rustls with ring; HTTP/2 and HTTP/1.1 are offered. The certificate is read again when its files
//! change; connections that are open keep the one that they began with.

mod certificate;

use std::sync::Arc;

use rustls::ServerConfig;

pub use certificate::TlsFiles;
pub(super) use certificate::{Certificate, TlsError};

/// What a listener needs to speak TLS with this certificate.
pub(super) fn server_config(certificate: Arc<Certificate>) -> ServerConfig {
    crate::tls::use_ring();
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
