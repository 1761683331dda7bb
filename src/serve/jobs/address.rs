//! Addresses that jobs read from and write to: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use object_store::{ObjectStore, local::LocalFileSystem, path::Path};
use reqwest::Url;

use crate::model::open_bucket;

/// Schemes of object stores, and of this machine's files.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"];

/// An address of a file, an object, or of all below it. Without `.` or `..` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Url);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "s3://BUCKET/PREFIX, gs://…, az://… or file:///FOLDER";
        let url = Url::parse(text.trim()).map_err(|error| format!("{text:?} is no address ({error}): {wanted}"))?;
        let (is_file, has_host) = (url.scheme() == "file", url.host_str().is_some_and(|host| !host.is_empty()));
        if !(is_file || SCHEMES.contains(&url.scheme())) || is_file == has_host {
            return Err(format!("{text:?} is not one of {wanted}"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text:?} has more to it than {wanted}; credentials come from the environment"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Address {
    /// Whether it is another one or lies below it: `s3://b/a/x` is below `s3://b/a`, and `s3://b/ab` is not.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let host = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned));
        let (path, above) = (self.0.path(), other.0.path().trim_end_matches('/'));
        let below = path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // What a store would take apart differently is below nothing.
        host(&self.0) == host(&other.0) && below && !path.to_ascii_lowercase().contains("%2f")
    }

    /// Whether it can only be a folder.
    pub(in crate::serve) fn is_folder(&self) -> bool {
        self.0.path().ends_with('/') || self.0.path().is_empty()
    }

    /// The address of an object in the same bucket.
    fn of(&self, path: &Path) -> String {
        let mut url = self.0.clone();
        // Part by part, so that a percent sign of a name stays one.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path.parts());
        }
        url.to_string()
    }
}

/// The stores that were asked before, by bucket: each keeps connections.
#[derive(Debug, Default)]
pub(super) struct Stores(Mutex<HashMap<String, Arc<dyn ObjectStore>>>);

impl Stores {
    /// The store of an address and its path in there.
    ///
    /// # Errors
    /// A path that no store has, or settings in the environment that do not fit.
    pub(super) fn open(&self, address: &Address) -> Result<(Arc<dyn ObjectStore>, Path), String> {
        let url = &address.0;
        let path = Path::from_url_path(url.path()).map_err(|error| format!("{address}: {error}"))?;
        let key = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match stores.get(&key) {
            Some(store) => Arc::clone(store),
            None if url.scheme() == "file" => Arc::new(LocalFileSystem::new()),
            None => open_bucket(&key).map_err(|error| error.to_string())?.0,
        };
        stores.entry(key).or_insert_with(|| Arc::clone(&store));
        Ok((store, path))
    }

    /// Every object below an address, by name in order: name below it, and its own address. Where there are more than `most`,
    /// one more than that and no further ones.
    ///
    /// # Errors
    /// A store that does not answer.
    pub(super) async fn list(&self, address: &Address, most: usize) -> Result<Vec<(String, String)>, String> {
        use futures_util::TryStreamExt as _;
        let (store, prefix) = self.open(address)?;
        let mut objects = store.list(Some(&prefix));
        let mut found = Vec::new();
        while let Some(object) = objects.try_next().await.map_err(|error| format!("{address}: {error}"))? {
            let parts = object.location.prefix_match(&prefix).map(|parts| parts.collect::<Vec<_>>());
            let name = parts.unwrap_or_default().iter().map(AsRef::as_ref).collect::<Vec<_>>().join("/");
            // Folders that stores show as empty objects, and what file managers leave.
            let hidden = name.rsplit('/').next().is_none_or(|last| last.is_empty() || last.starts_with('.'));
            if object.size > 0 && !hidden {
                found.push((name, address.of(&object.location)));
            }
            if found.len() > most {
                break;
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_below_another_by_whole_names() {
        let above = address("s3://bucket/photos");
        for below in ["s3://bucket/photos", "s3://bucket/photos/", "s3://bucket/photos/2026/a.jpg"] {
            assert!(address(below).is_within(&above), "{below}");
        }
        for elsewhere in [
            "s3://bucket/photos2/a.jpg",
            "s3://bucket/",
            "s3://other/photos/a.jpg",
            "gs://bucket/photos/a.jpg",
            "s3://bucket/photos/../secrets/a.jpg",
            "s3://bucket/photos/%2e%2e/secrets/a.jpg",
            "s3://bucket/photos/..%2fsecrets/a.jpg",
        ] {
            assert!(!address(elsewhere).is_within(&above), "{elsewhere}");
        }
        assert!(address("s3://bucket/any").is_within(&address("s3://bucket")));
        assert!(address("file:///srv/photos/a.jpg").is_within(&address("file:///srv/photos/")));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "photos",
            "/srv/photos",
            "https://example.org/a.jpg",
            "s3://",
            "file://host/a",
            "s3://key:secret@bucket/a",
            "s3://bucket/a?x=1",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_listed_in_order_without_what_is_hidden_or_empty() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            [("b.jpg", "b"), ("a b/ü.jpg", "ü"), ("a b/%2e%2e/c%20d.jpg", "%"), (".DS_Store", "x"), ("empty.jpg", "")];
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (stores, place) = (Stores::default(), address(&format!("file://{}", folder.path().display())));
        let found = stores.list(&place, 3).await.unwrap();
        let mut contents = Vec::new();
        for (name, object) in &found {
            assert!(address(object).is_within(&place), "{object}");
            let (store, path) = stores.open(&address(object)).unwrap();
            use object_store::ObjectStoreExt as _;
            contents.push((name.as_str(), store.get(&path).await.unwrap().bytes().await.unwrap()));
        }
        let wanted = [("a b/%2e%2e/c%20d.jpg", "%"), ("a b/ü.jpg", "ü"), ("b.jpg", "b")];
        assert_eq!(contents, wanted.map(|(name, text)| (name, text.into())));
        assert_eq!(stores.list(&place, 1).await.unwrap().len(), 2);
    }
}
