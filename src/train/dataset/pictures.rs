//! The look at every picture: that it decodes, how large it is, how EXIF orients it, and its digest.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::orientation;
use super::rows::Row;
use crate::model::Digest;
use crate::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule};

/// What is kept of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// As EXIF orients it.
    pub(super) size: PictureSize,
    /// EXIF's orientation, 1 to 8.
    pub(super) orientation: u32,
    /// Of the file's bytes.
    pub(super) digest: Digest,
}

/// Reads and decodes the pictures of all rows, on all cores; an error says what is wrong with the file.
pub(super) fn look_at_all(root: &Path, rows: &[Row]) -> Vec<Result<Seen, String>> {
    rows.par_iter().map(|row| look_at(&root.join(&row.file))).collect()
}

fn look_at(path: &Path) -> Result<Seen, String> {
    // A decode at a fraction of the size still walks through the whole file, and costs half.
    const SMALL: ResizeRule = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 64, height: 64 } };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no such file: {}", path.display()),
        _ => format!("{}: {error}", path.display()),
    })?;
    let picture = Picture::decode(&bytes, &Limits::default(), Detail::For(&SMALL)).map_err(|e| e.to_string())?;
    let orientation = orientation::read(&bytes);
    Ok(Seen { size: picture.original, orientation, digest: Digest::of(&bytes) })
}

/// The table's folder, or its `images` subfolder if more of the files are there.
pub(super) fn find_folder(table: &Path, rows: &[Row]) -> PathBuf {
    let beside = match table.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let below = beside.join("images");
    let found = |folder: &Path| rows.iter().filter(|row| folder.join(&row.file).is_file()).count();
    if below.is_dir() && found(&below) > found(&beside) { below } else { beside }
}
