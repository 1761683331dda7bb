//! Where model files come from: a folder, or a bucket of an object store with a folder as its cache.
//!
//! [`Repository::open`] takes what `--models` says, [`Repository::list`] what is there now, and [`Repository::local`]
//! gives a version's model file on this machine. Both kinds have the same layout, `<name>/<version>/model.onnx`.

mod address;
mod cache;
mod error;
mod remote;

use std::path::{Path, PathBuf};

pub(crate) use address::open_bucket;
pub use error::StorageError;
use remote::{RemoteFile, RemoteRepository};

use super::{ModelName, ModelVersion, list_versions};
use crate::files::cache_folder;

/// What a repository may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// The folder for files that were downloaded.
    pub cache: PathBuf,
    /// Bytes of one version, all its files together; more are not downloaded.
    pub max_bytes: u64,
}

/// Where models come from.
#[derive(Debug)]
pub enum Repository {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A part of a bucket.
    Remote(Box<RemoteRepository>),
}

/// One version of a model, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// The model.
    pub name: ModelName,
    /// Its version.
    pub version: ModelVersion,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Objects(Vec<RemoteFile>),
}

impl StoredVersion {
    /// Its file, where it lies in a folder of this machine.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(file) => Some(file),
            Place::Objects(_) => None,
        }
    }
}

impl Default for StorageOptions {
    /// `$XDG_CACHE_HOME/tagpoint/models`, else `~/.cache/tagpoint/models`, else below the folder for temporary files;
    /// 2 GiB.
    fn default() -> Self {
        let cache = cache_folder().unwrap_or_else(std::env::temp_dir).join("tagpoint").join("models");
        Self { cache, max_bytes: 2 << 30 }
    }
}

impl Repository {
    /// A folder, or an address: `file:///…`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    /// Credentials come from the environment, under the names that the stores' own tools use. Asks nothing yet.
    ///
    /// # Errors
    /// An address that is none, or settings in the environment that do not fit.
    pub fn open(place: &str, options: StorageOptions) -> Result<Self, StorageError> {
        if !place.contains("://") {
            return Ok(Self::Folder(place.into()));
        }
        let url = reqwest::Url::parse(place).map_err(|error| StorageError::address(place, error))?;
        if url.scheme() == "file" {
            let folder = url.to_file_path().map_err(|()| StorageError::address(place, "it names no folder"))?;
            return Ok(Self::Folder(folder));
        }
        Ok(Self::Remote(Box::new(RemoteRepository::open(place, &url, options)?)))
    }

    /// Every version that has a model file, by name and version. What is no model is passed over.
    ///
    /// # Errors
    /// A folder that cannot be read, or a store that does not answer.
    pub async fn list(&self) -> Result<Vec<StoredVersion>, StorageError> {
        match self {
            Self::Folder(folder) => {
                let root = folder.clone();
                let listed = tokio::task::spawn_blocking(move || list_versions(&root)).await;
                let found = listed
                    .map_err(std::io::Error::other)
                    .flatten()
                    .map_err(|error| StorageError::file(folder, error))?;
                let stored = found.into_iter().map(|found| StoredVersion {
                    name: found.name,
                    version: found.version,
                    place: Place::File(found.file),
                });
                Ok(stored.collect())
            }
            Self::Remote(remote) => remote.list().await,
        }
    }

    /// The model file of a version on this machine, downloaded or from the cache if it lies elsewhere.
    ///
    /// # Errors
    /// A version over the size limit, a store that does not answer, or a cache that cannot be written.
    pub async fn local(&self, version: &StoredVersion) -> Result<PathBuf, StorageError> {
        match (&version.place, self) {
            (Place::File(file), _) => Ok(file.clone()),
            (Place::Objects(files), Self::Remote(remote)) => remote.local(version, files).await,
            (Place::Objects(_), Self::Folder(folder)) => {
                Err(StorageError::file(folder, std::io::Error::other("the version is of another repository")))
            }
        }
    }

    /// Removes from the cache what belongs to none of these versions, which is what [`Repository::list`] gave, and what
    /// downloads that were broken off have left.
    ///
    /// # Errors
    /// A cache that cannot be read or written.
    pub async fn prune_cache(&self, listed: &[StoredVersion]) -> Result<(), StorageError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Remote(remote) => remote.prune_cache(listed).await,
        }
    }

    /// The folder to look at for changes, if it is one of this machine.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Remote(_) => None,
        }
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Remote(remote) => f.write_str(remote.place()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_unless_it_is_an_address() {
        let open = |place: &str| Repository::open(place, StorageOptions::default());
        assert_eq!(open("models").unwrap().folder(), Some(Path::new("models")));
        assert_eq!(open("file:///srv/my%20models").unwrap().folder(), Some(Path::new("/srv/my models")));
        assert!(open("s3://bucket/a/b").unwrap().folder().is_none());
        for wrong in ["http://example.org/models", "memory:///", "s3://", "ftp://host/x", "s3:// /"] {
            let error = open(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("s3://BUCKET/PREFIX"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_listed_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/2/model.onnx", "b/10/model.onnx", "a/1/model.onnx", "a/2/README.md", "a/x/model.onnx"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let repository =
            Repository::open(&format!("file://{}", folder.path().display()), StorageOptions::default()).unwrap();
        let versions = repository.list().await.unwrap();
        let names: Vec<String> = versions.iter().map(|found| format!("{}/{}", found.name, found.version)).collect();
        assert_eq!(names, ["a/1", "b/2", "b/10"]);
        assert_eq!(repository.local(&versions[1]).await.unwrap(), folder.path().join("b/2/model.onnx"));
        let absent = Repository::open("no/such/folder", StorageOptions::default()).unwrap();
        assert!(absent.list().await.unwrap_err().to_string().contains("no/such/folder"));
    }
}
