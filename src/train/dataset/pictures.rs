//! The look at every picture: that it decodes, how large it is, how EXIF orients it, its digest and its likeness.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::cache::{Cache, Stamp};
use super::table::Row;
use crate::model::Digest;
use crate::picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule, orientation_of};

/// Rows that are enough to tell in which folder the pictures lie.
const SAMPLE: usize = 200;

/// What is kept of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// As EXIF orients it.
    pub(super) size: PictureSize,
    /// EXIF's orientation, 1 to 8.
    pub(super) orientation: u32,
    /// Of the file's bytes.
    pub(super) digest: Digest,
    /// The same for pictures that look alike; none where there is too little to see.
    pub(super) likeness: Option<u64>,
}

/// Reads and decodes each of the files once, on all cores; an error says what is wrong with the file. A picture that
/// the cache knows and whose file has not changed is not read again.
pub(super) fn look_at_all(root: &Path, files: &[&str], cache: Option<&mut Cache>) -> Vec<Result<Seen, String>> {
    let look = |file: &&str| {
        let path = root.join(file);
        let stamp = Stamp::of(&path);
        let known = cache.as_ref().and_then(|cache| cache.get(file, stamp?));
        (known.map_or_else(|| look_at(&path), Ok), stamp)
    };
    let looks: Vec<_> = files.par_iter().map(look).collect();
    if let Some(cache) = cache {
        let entries = files.iter().zip(&looks);
        cache.keep(
            entries.filter_map(|(file, (seen, stamp))| Some(((*file).to_owned(), (*stamp)?, *seen.as_ref().ok()?))),
        );
    }
    looks.into_iter().map(|(seen, _)| seen).collect()
}

fn look_at(path: &Path) -> Result<Seen, String> {
    // A decode at a fraction of the size still walks through the whole file, and costs half.
    const SMALL: ResizeRule = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 64, height: 64 } };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no such file: {}", path.display()),
        _ => format!("{}: {error}", path.display()),
    })?;
    let picture = Picture::decode(&bytes, &Limits::default(), Detail::For(&SMALL)).map_err(|e| e.to_string())?;
    Ok(Seen {
        size: picture.original,
        orientation: orientation_of(&bytes),
        digest: Digest::of(&bytes),
        likeness: likeness(&picture),
    })
}

/// The difference hash of a picture: for 8 × 8 places of the picture shrunk to 9 × 8 grey pixels, whether the pixel to
/// the right is brighter. Another encoding or size of a picture has the same or nearly the same bits.
///
/// `None` where neighbours differ too little for the bits to mean anything.
fn likeness(picture: &Picture) -> Option<u64> {
    const RULE: ResizeRule = ResizeRule { method: ResizeMethod::Squish, size: PictureSize { width: 9, height: 8 } };
    let mut rgb = [0; 3 * 9 * 8];
    picture.resize_into(&RULE, &mut rgb).ok()?;
    let grey = |place: usize| rgb[3 * place..3 * place + 3].iter().map(|&value| i32::from(value)).sum::<i32>() / 3;
    let (mut bits, mut distinct) = (0_u64, 0);
    for row in 0..8 {
        for column in 0..8 {
            let step = grey(9 * row + column + 1) - grey(9 * row + column);
            bits = bits << 1 | u64::from(step > 0);
            distinct += u32::from(step.abs() >= 4);
        }
    }
    (distinct >= 32).then_some(bits)
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The first of the folders that has most of the rows' files, by a sample of the rows; `None` where none has any.
pub(super) fn most_files(folders: &[PathBuf], rows: &[Row]) -> Option<PathBuf> {
    let step = rows.len().div_ceil(SAMPLE).max(1);
    let found = |folder: &Path| rows.iter().step_by(step).filter(|row| folder.join(&row.file).is_file()).count();
    let mut seen = HashSet::new();
    let counted = folders.iter().filter(|folder| seen.insert(*folder) && folder.is_dir());
    // max_by_key takes the last of equals.
    let best = counted.map(|folder| (found(folder), folder)).rev().max_by_key(|(count, _)| *count);
    best.filter(|(count, _)| *count > 0).map(|(_, folder)| folder.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright blob on a dark ground, `side` pixels a side.
    fn blob(side: u32, at: (f32, f32)) -> Picture {
        let shade = |x: u32, y: u32| {
            let (x, y) = (x as f32 / side as f32 - at.0, y as f32 / side as f32 - at.1);
            (255.0 * (-(x * x + y * y) * 6.0).exp()) as u8
        };
        let size = PictureSize { width: side, height: side };
        let rgb = (0..side).flat_map(|y| (0..side).flat_map(move |x| [shade(x, y); 3])).collect();
        Picture { rgb, size, original: size }
    }

    #[test]
    fn another_size_is_alike_and_another_picture_is_not() {
        let first = likeness(&blob(200, (0.4, 0.5))).unwrap();
        assert_eq!(likeness(&blob(100, (0.4, 0.5))), Some(first));
        assert_ne!(likeness(&blob(200, (0.8, 0.5))), Some(first));
    }

    #[test]
    fn flat_pictures_are_like_nothing() {
        let size = PictureSize { width: 20, height: 20 };
        assert_eq!(likeness(&Picture { rgb: vec![130; 1200], size, original: size }), None);
    }
}
