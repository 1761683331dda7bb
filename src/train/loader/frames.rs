//! Decoded and resized pictures, kept in memory as far as there is room.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{LoaderError, LoaderOptions};
use crate::picture::{Detail, Picture};

/// The frames of one split. The first so many items are kept; which ones does not depend on who asks first.
pub(super) struct Frames {
    kept: Vec<OnceLock<Arc<[u8]>>>,
}

impl Frames {
    pub(super) fn new(room: usize) -> Self {
        Self { kept: (0..room).map(|_| OnceLock::new()).collect() }
    }

    /// The model's pixels of a picture: row-major RGB.
    pub(super) fn get(&self, item: usize, path: &Path, options: &LoaderOptions) -> Result<Arc<[u8]>, LoaderError> {
        let Some(place) = self.kept.get(item) else { return decode(path, options) };
        if let Some(frame) = place.get() {
            return Ok(Arc::clone(frame));
        }
        // Two workers may decode the same picture at once in different passes; both get the same pixels.
        let frame = decode(path, options)?;
        Ok(Arc::clone(place.get_or_init(|| frame)))
    }
}

fn decode(path: &Path, options: &LoaderOptions) -> Result<Arc<[u8]>, LoaderError> {
    let bytes = std::fs::read(path).map_err(|source| LoaderError::File { path: path.to_owned(), source })?;
    let failed = |source| LoaderError::Picture { path: path.to_owned(), source };
    let picture = Picture::decode(&bytes, &options.limits, Detail::For(&options.resize)).map_err(failed)?;
    let size = options.resize.size;
    let mut frame = vec![0; 3 * size.width as usize * size.height as usize];
    picture.resize_into(&options.resize, &mut frame).map_err(failed)?;
    Ok(frame.into())
}
