//! Downloaded versions on this machine's disk: `<cache>/<key>/`, whole or not there.
//!
//! The key begins with a digest of the repository's place; the rest is one of the version's place and of each file's name,
//! size and tag, so other content is another entry. `digests.json` in it has the SHA-256 of every file. They are computed
//! again whenever an entry is taken, and an entry that does not have them any more is fetched anew.
//!
//! Several servers may share the folder, and each knows only the versions of its own repository, as it listed them. So a
//! server removes only entries of that repository, and none that is so new that another server may have listed it later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{DirEntry, File},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{StorageError, remote::RemoteFile};
use crate::{files::write_whole, model::Digest};

/// The file of an entry's digests; stores may not have one of that name beside a model.
const DIGESTS: &str = "digests.json";

/// How old an entry is at least when it is removed because its version is gone.
const ENTRY_AGE: Duration = Duration::from_secs(3600);
/// How old a download is at least that nobody goes on with. One file may take an hour; a version has several.
const PART_AGE: Duration = Duration::from_secs(24 * 3600);
/// How the names begin and end of entries in the making.
const PART: (&str, &str) = (".", ".part");

/// The folder of all entries.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// How the keys of this repository begin.
    prefix: String,
}

/// An entry in the making; removed with everything in it unless it is finished.
#[derive(Debug)]
pub(super) struct Entry {
    folder: tempfile::TempDir,
}

/// Whether a part of an object's name may be that of a file here.
pub(super) fn safe_name(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part != DIGESTS
        && part.len() <= 255
        && !part.contains(['/', '\\', ':', '\0'])
}

impl Cache {
    /// The entries of the repository of this place.
    pub(super) fn new(folder: PathBuf, place: &str) -> Self {
        let prefix = format!("{:.16}-", Digest::of(place.as_bytes()).to_string());
        Self { folder, prefix }
    }

    /// The name of the entry of a version.
    pub(super) fn key(&self, place: &str, files: &[RemoteFile]) -> String {
        let listed: Vec<(&str, u64, &str)> =
            files.iter().map(|file| (file.name.as_str(), file.size, file.tag.as_str())).collect();
        format!("{}{}", self.prefix, Digest::of(serde_json::json!([place, listed]).to_string().as_bytes()))
    }

    /// The folder of an entry, if it is there and as it was written.
    pub(super) async fn find(&self, key: &str) -> Result<Option<PathBuf>, StorageError> {
        let folder = self.folder.join(key);
        if !folder.is_dir() {
            return Ok(None);
        }
        let checked = folder.clone();
        match blocking(move || check(&checked)).await {
            Ok(()) => Ok(Some(folder)),
            Err(reason) => {
                tracing::warn!(folder = %folder.display(), %reason, "the cached model was changed and is fetched anew");
                std::fs::remove_dir_all(&folder).map_err(|error| StorageError::file(&folder, error))?;
                Ok(None)
            }
        }
    }

    /// A new entry, beside the others so that it can be renamed to be one.
    pub(super) fn begin(&self) -> Result<Entry, StorageError> {
        let failed = |error| StorageError::file(&self.folder, error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let folder = tempfile::Builder::new().prefix(PART.0).suffix(PART.1).tempdir_in(&self.folder).map_err(failed)?;
        Ok(Entry { folder })
    }

    /// Records the entry's digests and gives it its name.
    pub(super) async fn finish(&self, entry: Entry, key: &str) -> Result<PathBuf, StorageError> {
        let made = entry.folder.path().to_owned();
        let recorded = made.clone();
        let result = blocking(move || {
            let digests = digests_of(&recorded)?;
            write_whole(&recorded.join(DIGESTS), &serde_json::to_vec(&digests)?)
        });
        result.await.map_err(|error| StorageError::file(&made, error))?;
        let folder = self.folder.join(key);
        match std::fs::rename(&made, &folder) {
            Ok(()) => {}
            // Another process may have been faster.
            Err(_) if self.find(key).await?.is_some() => {}
            Err(error) => return Err(StorageError::file(&folder, error)),
        }
        Ok(folder)
    }

    /// Removes this repository's entries but those with these keys, and downloads that nobody goes on with.
    pub(super) async fn prune(&self, keys: BTreeSet<String>) -> Result<(), StorageError> {
        let cache = self.clone();
        let pruned = blocking(move || {
            let entries = match std::fs::read_dir(&cache.folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                cache.prune_entry(&entry?, &keys)?;
            }
            Ok(())
        });
        pruned.await.map_err(|error| StorageError::file(&self.folder, error))
    }

    fn prune_entry(&self, entry: &DirEntry, keys: &BTreeSet<String>) -> std::io::Result<()> {
        let name = entry.file_name().to_string_lossy().into_owned();
        let least_age = if name.starts_with(&self.prefix) && !keys.contains(&name) {
            ENTRY_AGE
        } else if name.starts_with(PART.0) && name.ends_with(PART.1) {
            PART_AGE
        } else {
            return Ok(());
        };
        let removed = entry.metadata().and_then(|about| match about.modified()?.elapsed() {
            Ok(age) if age > least_age => std::fs::remove_dir_all(entry.path()).map(|()| true),
            // One of the future is new.
            _ => Ok(false),
        });
        match removed {
            Ok(true) => tracing::info!(folder = %entry.path().display(), "removed from the cache of models"),
            Ok(false) => {}
            // Another server was faster.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Entry {
    /// A file of the entry, empty, and its path.
    pub(super) async fn create(&self, name: &str) -> Result<(PathBuf, tokio::fs::File), StorageError> {
        let path = self.folder.path().join(name);
        let failed = |error| StorageError::file(&path, error);
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(failed)?;
        }
        let file = tokio::fs::File::create(&path).await.map_err(failed)?;
        Ok((path, file))
    }
}

/// Asserts that an entry has the files that it was made of, and no others.
fn check(folder: &Path) -> std::io::Result<()> {
    let written: BTreeMap<String, Digest> = serde_json::from_reader(File::open(folder.join(DIGESTS))?)?;
    let found = digests_of(folder)?;
    if let Some(name) = found.keys().chain(written.keys()).find(|name| found.get(*name) != written.get(*name)) {
        return Err(std::io::Error::other(format!("{name} is not what was downloaded")));
    }
    Ok(())
}

/// The digest of every file below a folder, by its path there.
fn digests_of(folder: &Path) -> std::io::Result<BTreeMap<String, Digest>> {
    let mut digests = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next)? {
            let path = entry?.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name != DIGESTS {
                digests.insert(name, Digest::of_reader(File::open(&path)?)?);
            }
        }
    }
    Ok(digests)
}

/// Hashing gigabytes is not for a thread that others wait for.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
