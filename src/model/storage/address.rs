//! From an address to the store behind it.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path,
};
use reqwest::Url;

use super::StorageError;

/// Time limits of a request. The last is for a whole file, which may have gigabytes.
const LIMITS: [(ClientConfigKey, &str); 3] =
    [(ClientConfigKey::ConnectTimeout, "5s"), (ClientConfigKey::ReadTimeout, "30s"), (ClientConfigKey::Timeout, "1h")];

/// The store and the folder in it that an address names: `s3://bucket/prefix`, `gs://…`, `az://…`.
///
/// # Errors
/// An address that is none, or settings in the environment that do not fit.
pub(crate) fn open_bucket(place: &str) -> Result<(Arc<dyn ObjectStore>, Path), StorageError> {
    open(place, &Url::parse(place).map_err(|error| StorageError::address(place, error))?)
}

/// The store and the folder in it that an address names.
pub(super) fn open(place: &str, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), StorageError> {
    let wrong = |error: object_store::Error| StorageError::address(place, error);
    if url.host_str().is_none_or(str::is_empty) {
        return Err(StorageError::address(place, "it names no bucket"));
    }
    let prefix = Path::from_url_path(url.path()).map_err(|error| StorageError::address(place, error))?;
    crate::tls::use_ring();
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_url(place).with_retry(retry());
            let limited = limits(builder, AmazonS3ConfigKey::Client, AmazonS3Builder::with_config);
            Arc::new(limited.build().map_err(wrong)?)
        }
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(place).with_retry(retry());
            let limited = limits(builder, GoogleConfigKey::Client, GoogleCloudStorageBuilder::with_config);
            Arc::new(limited.build().map_err(wrong)?)
        }
        "az" | "azure" | "abfs" | "abfss" => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(place).with_retry(retry());
            let limited = limits(builder, AzureConfigKey::Client, MicrosoftAzureBuilder::with_config);
            Arc::new(limited.build().map_err(wrong)?)
        }
        other => return Err(StorageError::address(place, format!("{other}:// is not known"))),
    };
    Ok((store, prefix))
}

/// Server errors, timeouts and refused connections are tried again, for half a minute.
fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 4, retry_timeout: Duration::from_secs(30) }
}

fn limits<B, K>(builder: B, key: fn(ClientConfigKey) -> K, set: fn(B, K, &'static str) -> B) -> B {
    LIMITS.into_iter().fold(builder, |builder, (name, value)| set(builder, key(name), value))
}
