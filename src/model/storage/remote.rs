//! A part of a bucket: what versions it has, and fetching them into the cache.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use futures_util::TryStreamExt as _;
use object_store::{GetOptions, ObjectMeta, ObjectStore, path::Path};
use tokio::{io::AsyncWriteExt as _, sync::watch};

use super::{
    Place, StorageError, StorageOptions, StoredVersion, address,
    cache::{Cache, Entry, safe_name},
};
use crate::model::{MODEL_FILE, ModelName, ModelVersion};

/// Times that one file is begun anew when its transfer breaks off.
const ATTEMPTS: u32 = 3;

/// Versions that are downloaded at a time, by whoever asks for them.
const DOWNLOADS: usize = 4;

/// Models in a bucket.
#[derive(Debug)]
pub struct RemoteRepository {
    /// The address, for messages.
    place: String,
    store: Arc<dyn ObjectStore>,
    /// The models' folder in the bucket.
    prefix: Path,
    cache: Cache,
    max_bytes: u64,
    /// The cache's entries that are being downloaded. Who downloads one holds a [`Download`], and others wait for its end.
    downloading: watch::Sender<BTreeSet<String>>,
}

/// An entry that is being downloaded. Dropping it lets the next ones begin.
struct Download<'a> {
    downloading: &'a watch::Sender<BTreeSet<String>>,
    key: &'a str,
}

impl Drop for Download<'_> {
    fn drop(&mut self) {
        self.downloading.send_modify(|keys| {
            keys.remove(self.key);
        });
    }
}

/// One file of a version, as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteFile {
    /// Below the version's folder.
    pub(super) name: String,
    /// In the bucket.
    pub(super) location: Path,
    /// In bytes.
    pub(super) size: u64,
    /// What changes with the content; the time of the last change where the store has no such tag.
    pub(super) tag: String,
    /// The store's own tag, that only this content is fetched by.
    e_tag: Option<String>,
}

impl RemoteRepository {
    pub(super) fn open(place: &str, url: &reqwest::Url, options: StorageOptions) -> Result<Self, StorageError> {
        let (store, prefix) = address::open(place, url)?;
        let place = place.trim_end_matches('/').to_owned();
        let cache = Cache::new(options.cache, &place);
        let downloading = watch::Sender::default();
        Ok(Self { place, store, prefix, cache, max_bytes: options.max_bytes, downloading })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) async fn list(&self) -> Result<Vec<StoredVersion>, StorageError> {
        let mut objects = self.store.list(Some(&self.prefix));
        let mut versions: BTreeMap<(ModelName, ModelVersion), Vec<RemoteFile>> = BTreeMap::new();
        while let Some(object) = objects.try_next().await.map_err(|error| StorageError::store(&self.place, &error))? {
            if let Some((name, version, file)) = self.file(object) {
                versions.entry((name, version)).or_default().push(file);
            }
        }
        let whole = versions.into_iter().filter(|(_, files)| files.iter().any(|file| file.name == MODEL_FILE));
        Ok(whole
            .map(|((name, version), files)| StoredVersion { name, version, place: Place::Objects(files) })
            .collect())
    }

    /// The version that an object belongs to; none for what lies elsewhere or has a name that is no file's.
    fn file(&self, object: ObjectMeta) -> Option<(ModelName, ModelVersion, RemoteFile)> {
        let parts: Vec<String> =
            object.location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
        let [name, version, file @ ..] = parts.as_slice() else { return None };
        let (name, version) = (ModelName::try_from(name.clone()).ok()?, version.parse().ok()?);
        if file.is_empty() || !file.iter().all(|part| safe_name(part)) {
            return None;
        }
        let tag = object.e_tag.clone().unwrap_or_else(|| object.last_modified.to_rfc3339());
        let file = file.join("/");
        Some((
            name,
            version,
            RemoteFile { name: file, location: object.location, size: object.size, tag, e_tag: object.e_tag },
        ))
    }

    pub(super) async fn local(&self, version: &StoredVersion, files: &[RemoteFile]) -> Result<PathBuf, StorageError> {
        let place = self.place_of(version);
        let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if bytes > self.max_bytes {
            return Err(StorageError::TooLarge { place, bytes, limit: self.max_bytes });
        }
        let key = self.cache.key(&place, files);
        if let Some(folder) = self.cache.find(&key).await? {
            tracing::debug!(%place, "taken from the cache");
            return Ok(folder.join(MODEL_FILE));
        }
        let _download = self.begin_download(&key).await;
        // Another change may have downloaded it meanwhile.
        if let Some(folder) = self.cache.find(&key).await? {
            return Ok(folder.join(MODEL_FILE));
        }
        tracing::info!(%place, bytes, "downloading");
        let entry = self.cache.begin()?;
        for file in files {
            self.fetch(&entry, file).await?;
        }
        Ok(self.cache.finish(entry, &key).await?.join(MODEL_FILE))
    }

    /// Waits until nobody downloads this entry, and few download others.
    async fn begin_download<'a>(&'a self, key: &'a str) -> Download<'a> {
        let mut changes = self.downloading.subscribe();
        let begin = |keys: &mut BTreeSet<String>| keys.len() < DOWNLOADS && keys.insert(key.to_owned());
        while !self.downloading.send_if_modified(begin) {
            // The sender lives as long as self, so the wait cannot fail.
            let _ = changes.changed().await;
        }
        Download { downloading: &self.downloading, key }
    }

    fn place_of(&self, version: &StoredVersion) -> String {
        format!("{}/{}/{}", self.place, version.name, version.version)
    }

    pub(super) async fn prune_cache(&self, listed: &[StoredVersion]) -> Result<(), StorageError> {
        let keys = listed.iter().filter_map(|version| match &version.place {
            Place::Objects(files) => Some(self.cache.key(&self.place_of(version), files)),
            Place::File(_) => None,
        });
        self.cache.prune(keys.collect()).await
    }

    /// Fetches a file; what breaks off in the middle is begun anew.
    async fn fetch(&self, entry: &Entry, file: &RemoteFile) -> Result<(), StorageError> {
        let mut attempt = 1;
        loop {
            match self.try_fetch(entry, file).await {
                Err(StorageError::Store { place, reason }) if attempt < ATTEMPTS && reason.starts_with(BROKEN_OFF) => {
                    tracing::warn!(%place, attempt, "{reason}; it is begun anew");
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_fetch(&self, entry: &Entry, file: &RemoteFile) -> Result<(), StorageError> {
        let place = format!("{} of {}", file.location, self.place);
        // Only what was listed: a file that is replaced meanwhile would not fit the others.
        let options = GetOptions { if_match: file.e_tag.clone(), ..GetOptions::default() };
        let found = self.store.get_opts(&file.location, options).await;
        let mut bytes = found.map_err(|error| StorageError::store(&place, &error))?.into_stream();
        let (path, mut output) = entry.create(&file.name).await?;
        let failed = |error| StorageError::file(&path, error);
        let mut received = 0_u64;
        while let Some(part) =
            bytes.try_next().await.map_err(|error| StorageError::other(&place, format!("{BROKEN_OFF}: {error}")))?
        {
            received += part.len() as u64;
            // A store that sends more than it listed does not fill the disk.
            if received > file.size {
                return Err(StorageError::other(
                    &place,
                    format!("the store sends more than the {} bytes listed", file.size),
                ));
            }
            output.write_all(&part).await.map_err(failed)?;
        }
        if received != file.size {
            return Err(StorageError::other(&place, format!("{BROKEN_OFF} after {received} of {} bytes", file.size)));
        }
        output.flush().await.map_err(failed)?;
        output.sync_all().await.map_err(failed)
    }
}

/// How the reason begins of what is worth another attempt.
const BROKEN_OFF: &str = "the transfer broke off";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn an_entry_is_downloaded_once_at_a_time_and_few_are_together() {
        let folder = tempfile::tempdir().unwrap();
        let repository = RemoteRepository {
            place: "memory".to_owned(),
            store: Arc::new(InMemory::new()),
            prefix: Path::default(),
            cache: Cache::new(folder.path().to_owned(), "memory"),
            max_bytes: 1,
            downloading: watch::Sender::default(),
        };
        let first = repository.begin_download("first").await;
        let mut again = std::pin::pin!(repository.begin_download("first"));
        assert!(again.as_mut().now_or_never().is_none());
        let others = ["second", "third", "fourth"].map(|key| repository.begin_download(key).now_or_never().unwrap());
        let mut fifth = std::pin::pin!(repository.begin_download("fifth"));
        assert!(fifth.as_mut().now_or_never().is_none());
        drop(first);
        let again = again.await;
        assert!(fifth.as_mut().now_or_never().is_none());
        drop(others);
        fifth.await;
        drop(again);
        assert!(repository.downloading.borrow().is_empty());
    }
}
