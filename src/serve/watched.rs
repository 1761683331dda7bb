//! Files that may change while the server runs.
//!
//! Their contents are compared every second. That sees what notifications of the file system may not: a mounted
//! secret whose folder is exchanged behind a link, a file on a network disk.

use std::{path::PathBuf, time::Duration};

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What stands in some files, or why one of them cannot be read.
pub(super) type Contents = Result<Vec<Vec<u8>>, String>;

/// The contents of all files.
pub(super) async fn read(paths: &[PathBuf]) -> Contents {
    let mut contents = Vec::with_capacity(paths.len());
    for path in paths {
        let read = tokio::fs::read(path).await;
        contents.push(read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?);
    }
    Ok(contents)
}

/// Tells what stands in the files whenever that has changed from what it was before. Never ends.
pub(super) async fn follow(paths: Vec<PathBuf>, every: Duration, mut known: Contents, mut tell: impl FnMut(&Contents)) {
    loop {
        tokio::time::sleep(every).await;
        let found = read(&paths).await;
        if found != known {
            tell(&found);
            known = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_change_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        // A file is exchanged whole, as a careful operator does it.
        let write = |text: &str| {
            std::fs::write(folder.path().join("new"), text).unwrap();
            std::fs::rename(folder.path().join("new"), &path).unwrap();
        };
        write("one");
        let known = read(std::slice::from_ref(&path)).await;
        let (told, mut changes) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(follow(vec![path.clone()], Duration::from_millis(5), known, move |contents| {
            told.send(contents.clone()).unwrap()
        }));
        write("two");
        assert_eq!(changes.recv().await, Some(Ok(vec![b"two".to_vec()])));
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::fs::remove_file(&path).unwrap();
        let gone = changes.recv().await.unwrap().unwrap_err();
        assert!(gone.contains("keys.toml cannot be read"), "{gone}");
        write("two");
        assert_eq!(changes.recv().await, Some(Ok(vec![b"two".to_vec()])));
        assert!(changes.is_empty());
        task.abort();
    }
}
