//! Pictures that are kept beside predictions: in a folder, or in object storage.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path};

use super::StoreError;
use crate::model::open_bucket;

/// The longest that one picture may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where pictures are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// As the settings name it, for messages.
    place: String,
    store: Arc<dyn ObjectStore>,
    /// The folder in the bucket.
    prefix: Path,
}

impl Pictures {
    /// A folder, which is made where there is none, or an address: `s3://bucket/prefix`, `gs://…`, `az://…`.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or an address that is none.
    pub fn open(place: &str) -> Result<Self, StoreError> {
        let failed = |reason: String| StoreError::Pictures { place: place.to_owned(), reason };
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = if place.contains("://") {
            open_bucket(place).map_err(|error| failed(error.to_string()))?
        } else {
            std::fs::create_dir_all(place).map_err(|error| failed(error.to_string()))?;
            tempfile::tempfile_in(place).map_err(|error| failed(error.to_string()))?;
            let folder = LocalFileSystem::new_with_prefix(place).map_err(|error| failed(error.to_string()))?;
            (Arc::new(folder), Path::default())
        };
        Ok(Self { place: place.to_owned(), store, prefix })
    }

    /// Keeps a picture under a name.
    ///
    /// # Errors
    /// A store that fails, or takes too long.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.within(self.store.put(&self.at(name), bytes.into())).await.map(|_| ())
    }

    /// A picture that was kept.
    ///
    /// # Errors
    /// A store that fails, takes too long, or does not have it.
    pub async fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        let path = self.at(name);
        self.within(async { self.store.get(&path).await?.bytes().await }).await
    }

    /// The same where the picture may be gone: none then.
    ///
    /// # Errors
    /// A store that fails, or takes too long.
    pub async fn find(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.at(name);
        self.within(async {
            match self.store.get(&path).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Deletes a picture; one that is not there is as good.
    ///
    /// # Errors
    /// A store that fails, or takes too long.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.at(name);
        self.within(async {
            match self.store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                outcome => outcome,
            }
        })
        .await
    }

    /// The folders in a folder, by their last names.
    ///
    /// # Errors
    /// A store that fails, or takes too long.
    pub async fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.at(folder);
        let found = self.within(self.store.list_with_delimiter(Some(&path))).await?;
        Ok(found.common_prefixes.iter().filter_map(Path::filename).map(str::to_owned).collect())
    }

    /// The names of all that lies below a folder, in no order.
    ///
    /// # Errors
    /// A store that fails.
    pub fn names(&self, folder: &str) -> BoxStream<'static, Result<String, StoreError>> {
        let (place, prefix) = (self.place.clone(), self.prefix.clone());
        let listed = self.store.list(Some(&self.at(folder)));
        let named = listed.map(move |object| match object {
            Ok(object) => {
                let parts: Vec<_> = object.location.prefix_match(&prefix).into_iter().flatten().collect();
                Ok(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
            }
            Err(error) => Err(StoreError::Pictures { place: place.clone(), reason: error.to_string() }),
        });
        named.boxed()
    }

    fn at(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    async fn within<T>(&self, work: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
        let failed = |reason: String| StoreError::Pictures { place: self.place.clone(), reason };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(outcome) => outcome.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer for {} s", PATIENCE.as_secs()))),
        }
    }
}
