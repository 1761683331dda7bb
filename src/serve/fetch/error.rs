//! Why a URL gave no picture.

use std::{error::Error as StdError, time::Duration};

/// Why a URL gave no picture. The texts name no address that a host's name led to: that would map the network behind
/// this machine for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server fetches nothing.
    #[error("pictures are not fetched by URL here (the setting fetch is off): send the picture itself")]
    Off,
    /// The text is no URL.
    #[error("the URL cannot be read: {0}")]
    NotAUrl(String),
    /// The URL, or one that it redirects to, is against the rules.
    #[error("the URL is refused: {0}")]
    Refused(String),
    /// The origin sent us on too often.
    #[error("the URL redirects more than {limit} times")]
    TooManyRedirects {
        /// Redirects that are followed.
        limit: usize,
    },
    /// The origin answered with another status than 200.
    #[error("the URL's host answered with status {0} instead of 200")]
    Status(u16),
    /// The origin could not be reached, or broke off.
    #[error("the URL's host {0}")]
    Unreachable(&'static str),
    /// The origin took too long.
    #[error("the URL's host took longer than {} s", limit.as_secs_f64())]
    TimedOut {
        /// The limit for the whole fetch, with redirects.
        limit: Duration,
    },
    /// The pictures of one request have more bytes than its body may have.
    #[error("the pictures at this request's URLs are together larger than {limit} bytes")]
    TooMuch {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more bytes than a picture may have.
    #[error("the picture at the URL is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl FetchError {
    pub(super) fn not_a_url(error: impl std::fmt::Display) -> Self {
        Self::NotAUrl(error.to_string())
    }
}

impl From<reqwest::Error> for FetchError {
    /// Our own resolver's refusal, where that lies at the bottom of it.
    fn from(error: reqwest::Error) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        if let Some(refused) = causes.filter_map(|cause| cause.downcast_ref::<Self>()).next() {
            return refused.clone();
        }
        Self::Unreachable(if error.is_connect() {
            "cannot be connected to, or has no certificate that is trusted here"
        } else {
            "broke off, or does not speak HTTP"
        })
    }
}
