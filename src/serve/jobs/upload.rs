//! A ZIP of pictures → pictures that are kept for their job.
//!
//! The archive is on disk when it comes here, and its pictures are taken out one by one: memory is that of a few of them, however
//! many the archive lists. What is wrong with one of them is its result, and the others are answered.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufReader, Read as _},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use zip::{ZipReadOptions, read::Config, result::ZipError, unstable::read::ZipIterable};

use super::{JobPicture, Jobs, Place};
use crate::store::StoreError;

/// Pictures that are out of the archive and not yet kept.
const AHEAD: usize = 4;
/// Bytes out of an archive for each that it may have: pictures are packed already, so more is an archive that is made to
/// fill disks.
const EXPANSION: u64 = 4;

/// Why an archive gives no job.
#[derive(Debug, thiserror::Error)]
pub(in crate::serve) enum UploadError {
    /// The server has no place for uploads.
    #[error("this server keeps no uploads: job_files does not say where")]
    NoPlace,
    /// It is no archive, or a broken one.
    #[error("the ZIP archive cannot be read: {0}")]
    Archive(String),
    /// There is nothing in it.
    #[error("the ZIP archive has no files")]
    Empty,
    #[error("the ZIP archive has more than {limit} files (max_job_pictures)")]
    TooMany { limit: usize },
    #[error("the ZIP archive's files are together larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file of an archive.
type Entry = (String, Result<Bytes, String>);

impl Jobs {
    /// Takes an archive's pictures out and keeps them below the job's id. Where that fails, none stays.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub(in crate::serve) async fn unpack(&self, job: &str, archive: File) -> Result<Vec<JobPicture>, UploadError> {
        let kept = self.0.kept.as_ref().ok_or(UploadError::NoPlace)?;
        let limits = Limits {
            pictures: self.0.settings.jobs.max_pictures,
            bytes_of_one: self.0.settings.picture.max_bytes as u64,
            bytes: self.0.settings.jobs.max_bytes.saturating_mul(EXPANSION),
        };
        let (sender, mut entries) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || read(archive, &limits, &sender));
        let mut pictures = Vec::new();
        let mut keep = async || -> Result<(), UploadError> {
            while let Some((name, bytes)) = entries.recv().await {
                match bytes {
                    Ok(bytes) => {
                        let file = format!("{job}/{:07}", pictures.len());
                        // Before it is there: a store that does not say so may have it all the same.
                        pictures.push(JobPicture { name, place: Place::Kept(file.clone()) });
                        kept.put(&file, bytes).await?;
                    }
                    Err(reason) => pictures.push(JobPicture { name, place: Place::Unreadable(reason) }),
                }
            }
            Ok(())
        };
        let outcome = keep().await;
        drop(entries);
        let read = reading.await.map_err(|error| UploadError::Archive(error.to_string())).and_then(|read| read);
        let found = if pictures.is_empty() { Err(UploadError::Empty) } else { Ok(()) };
        match outcome.and(read).and(found) {
            Ok(()) => Ok(pictures),
            Err(error) => {
                self.forget_uploads(&pictures).await;
                Err(error)
            }
        }
    }

    /// Deletes uploads of a job that there will not be.
    pub(in crate::serve) async fn forget_uploads(&self, pictures: &[JobPicture]) {
        for picture in pictures {
            if let (Place::Kept(name), Some(kept)) = (&picture.place, &self.0.kept)
                && let Err(error) = kept.delete(name).await
            {
                tracing::warn!(name, %error, "an upload is left that no job needs");
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    pictures: usize,
    bytes_of_one: u64,
    bytes: u64,
}

/// Takes an archive's files out, in its order. Blocking.
fn read(archive: File, limits: &Limits, entries: &mpsc::Sender<Entry>) -> Result<(), UploadError> {
    let broken = |error: ZipError| UploadError::Archive(error.to_string());
    let mut archive = ZipIterable::try_new(BufReader::new(archive), Config::default()).map_err(broken)?;
    let listed = archive.files().map_err(broken)?;
    let (mut files, mut bytes) = (0, 0);
    while let Some(entry) = listed.next() {
        let entry = entry.map_err(broken)?;
        // One that is encrypted, or packed in a way that is not known, still has a name.
        let name = entry.name().map(Cow::into_owned).unwrap_or_default();
        if is_no_picture(&name) {
            continue;
        }
        files += 1;
        if files > limits.pictures {
            return Err(UploadError::TooMany { limit: limits.pictures });
        }
        let file = match entry.with_reader(listed.reader_mut(), ZipReadOptions::new()) {
            Ok(file) => file,
            Err(ZipError::Io(error)) => return Err(UploadError::Archive(error.to_string())),
            Err(error) => {
                if entries.blocking_send((name, Err(error.to_string()))).is_err() {
                    return Ok(());
                }
                continue;
            }
        };
        let mut content = Vec::new();
        let taken = file.take(limits.bytes_of_one + 1).read_to_end(&mut content);
        bytes += content.len() as u64;
        if bytes > limits.bytes {
            return Err(UploadError::TooLarge { limit: limits.bytes });
        }
        let content = match taken {
            Err(error) => Err(format!("it cannot be taken out of the ZIP archive: {error}")),
            Ok(_) if content.len() as u64 > limits.bytes_of_one => {
                Err(format!("the picture is larger than {} bytes", limits.bytes_of_one))
            }
            Ok(_) => Ok(Bytes::from(content)),
        };
        // Whoever keeps them has failed, and says so.
        if entries.blocking_send((name, content)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Folders, hidden files, and what macOS puts beside each file.
fn is_no_picture(name: &str) -> bool {
    name.is_empty()
        || name.ends_with('/')
        || name.starts_with("__MACOSX/")
        || name.rsplit('/').next().is_some_and(|file| file.starts_with('.'))
}
