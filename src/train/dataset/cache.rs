//! What was seen of a data set's pictures, kept in a file, so that the next run starts at once.
//!
//! A picture is known again by its path, its length and the time of its last change; a file that changed a moment
//! before it was looked at is not kept, since it may change again within the same tick of the file system's clock.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::pictures::Seen;
use crate::model::Digest;
use crate::picture::PictureSize;

/// Part of the file's name: a file of another layout, or of another definition of what is seen, is not read.
const VERSION: u32 = 2;
/// The coarsest clock of a common file system, and some.
const SETTLED: Duration = Duration::from_secs(3);

/// The folder that programs of this user keep such things in: `$XDG_CACHE_HOME/tagpoint`, or `~/.cache/tagpoint`.
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("tagpoint"))
}

/// What tells that a file is the one that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: i64,
}

impl Stamp {
    /// `None` where there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { bytes: metadata.len(), changed: changed(&metadata)? })
    }
}

/// The time of the last change of contents or name: programs can set a file's modification time back, this one not.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<i64> {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ctime().checked_mul(1_000_000_000)?.checked_add(metadata.ctime_nsec())
}

/// The time of the last change.
#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<i64> {
    nanoseconds(metadata.modified().ok()?)
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// One picture, a line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    file: String,
    bytes: u64,
    changed: i64,
    width: u32,
    height: u32,
    orientation: u32,
    digest: Digest,
    likeness: Option<u64>,
}

/// The pictures of one data set that were seen before.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    known: HashMap<String, (Stamp, Seen)>,
    /// When this run began to look.
    now: SystemTime,
    /// What the file should hold, where that is not what it holds.
    changed: Option<Vec<Entry>>,
}

impl Cache {
    /// The file in `folder` for this data set, empty where there is none or it is broken.
    pub(super) fn open(folder: &Path, data: &Path, root: &Path) -> Self {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = Digest::of(format!("{}\n{}", real(data).display(), real(root).display()).as_bytes()).to_string();
        let path = folder.join("pictures").join(format!("{}-v{VERSION}.csv", &name[..32]));
        let known = read(&path).unwrap_or_default();
        Self { path, known, now: SystemTime::now(), changed: None }
    }

    pub(super) fn get(&self, file: &str, stamp: Stamp) -> Option<Seen> {
        self.known.get(file).filter(|(known, _)| *known == stamp).map(|(_, seen)| *seen)
    }

    /// Takes over all that was seen in this run.
    pub(super) fn keep(&mut self, seen: impl Iterator<Item = (String, Stamp, Seen)>) {
        let settled = self.now.checked_sub(SETTLED).and_then(nanoseconds).unwrap_or(0);
        let kept: Vec<_> = seen.filter(|(_, stamp, _)| stamp.changed < settled).collect();
        let is_known = |(file, stamp, _): &(String, Stamp, Seen)| self.get(file, *stamp).is_some();
        if kept.len() != self.known.len() || !kept.iter().all(is_known) {
            self.changed = Some(kept.into_iter().map(|(file, stamp, seen)| Entry::new(file, stamp, seen)).collect());
        }
    }

    /// Writes the file, whole or not at all, where there is something new.
    pub(super) fn write(&self) -> io::Result<()> {
        let Some(entries) = &self.changed else { return Ok(()) };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut writer = csv::Writer::from_writer(tempfile::NamedTempFile::new_in(folder)?);
        for entry in entries {
            writer.serialize(entry).map_err(io::Error::other)?;
        }
        let file = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Where the file lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Entry {
    fn new(file: String, Stamp { bytes, changed }: Stamp, seen: Seen) -> Self {
        let Seen { size: PictureSize { width, height }, orientation, digest, likeness } = seen;
        Self { file, bytes, changed, width, height, orientation, digest, likeness }
    }
}

fn read(path: &Path) -> Option<HashMap<String, (Stamp, Seen)>> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    let mut known = HashMap::new();
    for entry in reader.deserialize() {
        let Entry { file, bytes, changed, width, height, orientation, digest, likeness } = entry.ok()?;
        let seen = Seen { size: PictureSize { width, height }, orientation, digest, likeness };
        known.insert(file, (Stamp { bytes, changed }, seen));
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(side: u32) -> Seen {
        let size = PictureSize { width: side, height: side };
        Seen { size, orientation: 6, digest: Digest::of(b"a"), likeness: Some(u64::MAX) }
    }

    fn open(folder: &Path) -> Cache {
        Cache::open(folder, Path::new("train.csv"), Path::new("images"))
    }

    #[test]
    fn what_was_seen_is_known_again_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp { bytes: 10, changed: 5_000 };
        let mut cache = open(folder.path());
        cache.keep([("a, \"b\".jpg".to_owned(), stamp, seen(4))].into_iter());
        cache.write().unwrap();
        let again = open(folder.path());
        assert_eq!(again.get("a, \"b\".jpg", stamp), Some(seen(4)));
        assert_eq!(again.get("a, \"b\".jpg", Stamp { bytes: 11, ..stamp }), None);
        assert_eq!(again.get("a, \"b\".jpg", Stamp { changed: 5_001, ..stamp }), None);
        assert_eq!(
            Cache::open(folder.path(), Path::new("other.csv"), Path::new("images")).get("a, \"b\".jpg", stamp),
            None
        );
    }

    #[test]
    fn a_file_that_changed_a_moment_ago_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = open(folder.path());
        let stamp = Stamp { bytes: 10, changed: nanoseconds(cache.now).unwrap() };
        cache.keep([("a.jpg".to_owned(), stamp, seen(4))].into_iter());
        cache.write().unwrap();
        assert_eq!(open(folder.path()).get("a.jpg", stamp), None);
    }

    #[test]
    fn a_broken_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp { bytes: 10, changed: 5_000 };
        let mut cache = open(folder.path());
        cache.keep([("a.jpg".to_owned(), stamp, seen(4))].into_iter());
        cache.write().unwrap();
        let text = std::fs::read_to_string(cache.path()).unwrap();
        std::fs::write(cache.path(), &text[..text.len() - 30]).unwrap();
        assert_eq!(open(folder.path()).get("a.jpg", stamp), None);
    }
}
