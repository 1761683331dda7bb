//! The folder that published weight files are kept in.
//!
//! A file is downloaded once. The whole of it is checked before it is written, to a temporary file that is then
//! renamed, so that neither an interrupted download nor two processes at once leave half a file. torchvision and timm
//! publish eight digits of a file's SHA-256; the whole digest is written beside the file when it is first seen
//! (`FILE.sha256`, which `sha256sum -c` reads), and a file that changes after that is refused.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{WeightsError, download::download, published::Published};
use crate::{
    files::{cache_folder, write_whole},
    model::Digest,
};

/// The variable that names another folder than `$XDG_CACHE_HOME/tagpoint/weights`.
pub const FOLDER_VARIABLE: &str = "TAGPOINT_WEIGHTS_CACHE";
/// The variable that names a mirror: files are fetched from `<its value>/<file name>`.
pub const MIRROR_VARIABLE: &str = "TAGPOINT_WEIGHTS_URL";

/// Where published files are kept, and where they are fetched from.
#[derive(Clone, Debug)]
pub struct Store {
    /// The folder.
    pub folder: PathBuf,
    /// A server to fetch from in place of the publisher's, without the file name.
    pub mirror: Option<String>,
}

impl Store {
    /// The folder and the mirror as the environment has them.
    ///
    /// # Errors
    /// An environment that names neither a folder nor a home.
    pub fn from_environment() -> Result<Self, WeightsError> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set(FOLDER_VARIABLE).or_else(|| Some(cache_folder()?.join("tagpoint").join("weights")));
        Ok(Self {
            folder: folder.ok_or(WeightsError::NoFolder)?,
            mirror: env::var(MIRROR_VARIABLE).ok().filter(|url| !url.is_empty()),
        })
    }

    /// The bytes and the digest of a published file, from the folder, or else from the network.
    ///
    /// # Errors
    /// A download that fails or gives another file than the published one, a kept file that was changed, or a folder
    /// that cannot be read or written.
    pub fn get(&self, published: &Published) -> Result<(Vec<u8>, Digest), WeightsError> {
        let path = self.path(published);
        match std::fs::read(&path) {
            Ok(bytes) => self.checked(published, bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.fetch(published),
            Err(source) => Err(WeightsError::io(&path, source)),
        }
    }

    /// Where a published file is kept.
    pub fn path(&self, published: &Published) -> PathBuf {
        self.folder.join(published.file_name())
    }

    fn fetch(&self, published: &Published) -> Result<(Vec<u8>, Digest), WeightsError> {
        let url = match &self.mirror {
            Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), published.file_name()),
            None => published.url.to_owned(),
        };
        let bytes = download(&url).map_err(|reason| {
            let folder = self.folder.clone();
            WeightsError::Download { url: url.clone(), reason, folder }
        })?;
        let (found, expected) = (Digest::of(&bytes), published.digest_start());
        if !found.to_string().starts_with(expected) {
            return Err(WeightsError::WrongDownload { url, found, expected });
        }
        let path = self.path(published);
        write_whole(&path, &bytes).map_err(|source| WeightsError::io(&path, source))?;
        record(&path, published, found)?;
        Ok((bytes, found))
    }

    /// A kept file has to have the digest that was recorded; one that was put there by hand has to have the published
    /// digits, and is recorded then.
    fn checked(&self, published: &Published, bytes: Vec<u8>) -> Result<(Vec<u8>, Digest), WeightsError> {
        let path = self.path(published);
        let found = Digest::of(&bytes);
        let recorded = recorded(&path)?;
        let expected = recorded.as_deref().unwrap_or(published.digest_start());
        if !found.to_string().starts_with(expected) {
            let (path, expected) = (path.display().to_string(), expected.to_owned());
            return Err(WeightsError::Changed { path, found, expected });
        }
        if recorded.is_none() {
            record(&path, published, found)?;
        }
        Ok((bytes, found))
    }
}

fn record_path(path: &Path) -> PathBuf {
    path.with_added_extension("sha256")
}

fn record(path: &Path, published: &Published, digest: Digest) -> Result<(), WeightsError> {
    let path = record_path(path);
    let line = format!("{digest}  {}\n", published.file_name());
    write_whole(&path, line.as_bytes()).map_err(|source| WeightsError::io(&path, source))
}

/// The digest that was recorded when the file was first seen.
fn recorded(path: &Path) -> Result<Option<String>, WeightsError> {
    let path = record_path(path);
    match std::fs::read_to_string(&path) {
        Ok(line) => {
            let digits = line.split_whitespace().next().unwrap_or_default().to_owned();
            let digest = Digest::try_from(digits).map_err(|reason| WeightsError::file(&path, reason))?;
            Ok(Some(digest.to_string()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WeightsError::io(&path, source)),
    }
}
