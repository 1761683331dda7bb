//! The cryptography of every TLS connection of this process.

/// Makes ring the process's cryptography for TLS, unless something else already is. Cheap to call again.
pub fn use_ring() {
    // The error says that there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
