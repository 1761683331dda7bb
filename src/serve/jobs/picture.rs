//! One picture of a job: where it lies, and how its bytes come here.

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use serde::{Deserialize, Serialize};

use super::{Address, Stores};
use crate::{
    error::Error,
    picture::PictureError,
    serve::fetch::{Allowance, FetchError, Fetcher},
    store::Pictures,
};

/// A picture of a job, as its task has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::serve) struct JobPicture {
    /// As its result names it.
    pub(in crate::serve) name: String,
    #[serde(flatten)]
    pub(in crate::serve) place: Place,
}

/// Where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::serve) enum Place {
    /// Among the server's job files.
    Kept(String),
    /// On the web.
    Url(String),
    /// In an object store, or a folder that replicas share.
    Object(String),
    /// Nowhere: why it could not be taken.
    Unreadable(String),
}

/// Why a picture has no answer.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It never will.
    Picture(Error),
    /// Another try may help.
    Passing(Error),
}

/// What pictures are read through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    pub(super) stores: &'a Stores,
    pub(super) kept: Option<&'a Pictures>,
    pub(super) fetcher: Option<&'a Fetcher>,
    /// The most bytes of a picture.
    pub(super) max_bytes: usize,
}

impl Sources<'_> {
    pub(super) async fn read(&self, place: &Place) -> Result<Bytes, Stopped> {
        match place {
            Place::Kept(name) => {
                let kept = self.kept.ok_or_else(|| {
                    Stopped::Passing(Error::NotReady("job_files does not say where uploads are kept".to_owned()))
                })?;
                kept.get(name).await.map_err(|error| Stopped::Passing(Error::internal(error)))
            }
            Place::Url(url) => self.fetch(url).await,
            Place::Object(address) => self.get(address).await,
            Place::Unreadable(reason) => Err(Stopped::Picture(PictureError::Broken(reason.clone()).into())),
        }
    }

    async fn fetch(&self, url: &str) -> Result<Bytes, Stopped> {
        let fetcher = self.fetcher.ok_or(Stopped::Passing(FetchError::Off.into()))?;
        fetcher.fetch(url, &Allowance::new(self.max_bytes)).await.map_err(|error| match error {
            FetchError::Unreachable(_) | FetchError::TimedOut { .. } | FetchError::Status(429 | 500..) => {
                Stopped::Passing(error.into())
            }
            _ => Stopped::Picture(error.into()),
        })
    }

    async fn get(&self, address: &str) -> Result<Bytes, Stopped> {
        let passing = |reason: String| Stopped::Passing(Error::internal(reason));
        let parsed: Address = address.parse().map_err(|reason: String| Stopped::Picture(Error::Body(reason)))?;
        let (store, path) = self.stores.open(&parsed).map_err(passing)?;
        let found = store.get(&path).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => {
                Stopped::Picture(PictureError::Broken(format!("there is nothing at {address}")).into())
            }
            error => passing(error.to_string()),
        })?;
        if found.meta.size > self.max_bytes as u64 {
            let text = format!("the picture is larger than {} bytes", self.max_bytes);
            return Err(Stopped::Picture(PictureError::TooLarge(text).into()));
        }
        found.bytes().await.map_err(|error| passing(error.to_string()))
    }
}

/// Pictures in parts, each one task, as JSON.
///
/// # Errors
/// None in practice: what was read can be written.
pub(in crate::serve) fn parts(pictures: &[JobPicture]) -> Result<Vec<String>, serde_json::Error> {
    // Small enough that progress is seen and little is done again, large enough that tasks cost little beside pictures.
    let size = (pictures.len() / 64).clamp(8, 64);
    pictures.chunks(size).map(serde_json::to_string).collect()
}
