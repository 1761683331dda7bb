//! Which pictures, and their pixels.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rayon::prelude::*;

use crate::picture::{ENDINGS, Limits, Picture, PictureSize, ResizeRule};

/// A picture on its way to the model.
pub(super) struct Decoded {
    pub(super) path: PathBuf,
    /// A sentence where it has no pixels.
    pub(super) frame: Result<Frame, String>,
}

/// A picture's pixels in the model's frame.
pub(super) struct Frame {
    pub(super) pixels: Vec<u8>,
    pub(super) size: PictureSize,
    /// The whole picture's size, as EXIF orients it.
    pub(super) original: PictureSize,
}

/// The pictures' paths: those given, those in folders in order of their names, then those listed.
pub(super) fn paths(given: &[PathBuf], list: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for path in given {
        if path.is_dir() {
            search(path, &mut paths).with_context(|| format!("cannot search {}", path.display()))?;
        } else {
            paths.push(path.clone());
        }
    }
    if let Some(list) = list {
        let reading = || format!("cannot read {}", list.display());
        let lines: Vec<String> = if list.as_os_str() == "-" {
            std::io::stdin().lock().lines().collect::<Result<_, _>>().with_context(reading)?
        } else {
            let file = std::fs::File::open(list).with_context(reading)?;
            BufReader::new(file).lines().collect::<Result<_, _>>().with_context(reading)?
        };
        let lines = lines.iter().enumerate().map(|(place, line)| match place {
            0 => line.trim_start_matches('\u{feff}'),
            _ => line.as_str(),
        });
        paths.extend(lines.filter(|line| !line.trim().is_empty()).map(PathBuf::from));
    }
    let asked: Vec<String> =
        given.iter().map(PathBuf::as_path).chain(list).map(|it| it.display().to_string()).collect();
    anyhow::ensure!(
        !paths.is_empty(),
        "there is no picture in {}: in folders, pictures are the files whose names end in .{}",
        asked.join(", "),
        ENDINGS.join(", .")
    );
    Ok(paths)
}

/// Every picture of a folder and the folders in it, those that cannot be decoded here too, which get a line that says so;
/// what is hidden is passed over.
fn search(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry.path());
        }
    }
    entries.sort();
    for path in entries {
        // A link to a folder could lead around in a circle.
        if path.is_dir() && !path.is_symlink() {
            search(&path, paths)?;
        } else if path
            .extension()
            .is_some_and(|extension| ENDINGS.iter().any(|known| extension.eq_ignore_ascii_case(known)))
        {
            paths.push(path);
        }
    }
    Ok(())
}

/// Decodes on the threads of the pool that this runs in.
pub(super) fn decode(paths: &[PathBuf], rule: &ResizeRule) -> Vec<Decoded> {
    paths.par_iter().map(|path| Decoded { path: path.clone(), frame: frame(path, rule) }).collect()
}

fn frame(path: &Path, rule: &ResizeRule) -> Result<Frame, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("the file cannot be read: {error}"))?;
    let (pixels, original) = Picture::frame(&bytes, &Limits::default(), rule).map_err(|error| error.to_string())?;
    Ok(Frame { pixels, size: rule.size, original })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_pictures_are_those_that_a_data_set_takes_for_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);
        for name in ["notes.txt", "a.heif", "b.jp2", "c.JXL", "d.ppm", "e.jpg", ".f.jpg"] {
            std::fs::write(named(name), b"").unwrap();
        }
        let expected = ["a.heif", "b.jp2", "c.JXL", "d.ppm", "e.jpg"].map(named);
        assert_eq!(paths(&[folder.path().to_owned()], None).unwrap(), expected);
    }

    #[test]
    fn a_list_may_begin_with_a_byte_order_mark() {
        let list = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(list.path(), "\u{feff}a.jpg\r\n\r\nb c.jpg\n").unwrap();
        assert_eq!(paths(&[], Some(list.path())).unwrap(), ["a.jpg", "b c.jpg"].map(PathBuf::from));
    }
}
