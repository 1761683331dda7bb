//! Pictures by URL, for callers who are not trusted to choose where this machine connects to.
//!
//! A URL passes [`FetchRules`] as a whole: scheme, user info, host, port, and the address where the host is a literal
//! one. A name is resolved here, once, every address that it has is checked, and the connection goes to one of those
//! ([`resolve`]): a name that changes its address between check and use (DNS rebinding) gains nothing. Redirects are
//! not followed by the client but come back here and pass everything again. Bytes and time are limited.
//!
//! No proxy, cookie, referrer or credential of this machine or of the request is sent along.

mod address;
mod allowance;
mod error;
mod resolve;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, Url, header, redirect::Policy};

pub use address::Network;
pub(super) use allowance::Allowance;
pub use error::FetchError;
pub use rules::{FetchRules, HostRule, Scheme};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;

/// Fetches pictures by the rules that it was made with. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    client: Client,
    rules: Arc<FetchRules>,
}

impl Fetcher {
    /// A fetcher with these rules.
    ///
    /// # Errors
    /// The machine's trusted certificates cannot be read.
    pub(super) fn new(rules: FetchRules) -> Result<Self, reqwest::Error> {
        crate::tls::use_ring();
        let rules = Arc::new(rules);
        let client = Client::builder()
            .dns_resolver(resolve::Checked::new(Arc::clone(&rules)))
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("tagpoint/", env!("CARGO_PKG_VERSION")))
            // A kept connection would be one that nobody checks any more.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, rules })
    }

    /// The bytes at a URL, whatever they are; they count against the request's allowance.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub(super) async fn fetch(&self, url: &str, allowance: &Allowance) -> Result<Bytes, FetchError> {
        let limit = self.rules.timeout;
        tokio::time::timeout(limit, self.follow(url, allowance)).await.unwrap_or(Err(FetchError::TimedOut { limit }))
    }

    async fn follow(&self, url: &str, allowance: &Allowance) -> Result<Bytes, FetchError> {
        let mut url = self.rules.check(url.parse().map_err(FetchError::not_a_url)?)?;
        for _ in 0..=MAX_REDIRECTS {
            let request = self.client.get(url.clone()).header(header::ACCEPT, "image/*");
            let response =
                request.header(header::ACCEPT_ENCODING, "identity").send().await.map_err(FetchError::from)?;
            match redirect(&url, &response)? {
                Some(target) => url = self.rules.check(target)?,
                None => return self.read(response, allowance).await,
            }
        }
        Err(FetchError::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    /// The body, refused as soon as it is known to be too long.
    async fn read(&self, mut response: Response, allowance: &Allowance) -> Result<Bytes, FetchError> {
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let limit = self.rules.max_bytes;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(FetchError::TooLarge { limit });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(FetchError::from)? {
            if body.len() + chunk.len() > limit {
                return Err(FetchError::TooLarge { limit });
            }
            allowance.take(chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

/// Where a response sends us, if it does.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, FetchError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.ok_or(FetchError::Status(response.status().as_u16()))?;
    from.join(target).map(Some).map_err(FetchError::not_a_url)
}
