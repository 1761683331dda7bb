//! What a picture may cost. Checked from its header, before any pixel memory is taken.

use super::{PictureError, PictureSize};

/// What a picture may cost, checked from its header before any pixel memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded bytes.
    pub max_bytes: usize,
    /// Pixels from left to right, and from top to bottom.
    pub max_side: u32,
    /// Width × height.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 20 MiB, 16,384 pixels a side, 64 megapixels.
    fn default() -> Self {
        Self { max_bytes: 20 << 20, max_side: 16_384, max_pixels: 64_000_000 }
    }
}

impl Limits {
    /// Accepts a number of encoded bytes.
    ///
    /// # Errors
    /// `Empty` for 0 bytes, `TooLarge` for more than `max_bytes`.
    pub fn check_bytes(&self, bytes: usize) -> Result<(), PictureError> {
        if bytes == 0 {
            return Err(PictureError::Empty);
        }
        if bytes > self.max_bytes {
            return Err(PictureError::TooLarge(format!(
                "the picture has {bytes} bytes; at most {} are accepted",
                self.max_bytes
            )));
        }
        Ok(())
    }

    /// Accepts the size that a header claims.
    ///
    /// # Errors
    /// `Broken` where a side is 0, `TooLarge` over `max_side` or `max_pixels`.
    pub fn check_size(&self, size: PictureSize) -> Result<(), PictureError> {
        let PictureSize { width, height } = size;
        if width == 0 || height == 0 {
            return Err(PictureError::Broken(format!("its header says {width} x {height} pixels")));
        }
        if width > self.max_side || height > self.max_side {
            return Err(PictureError::TooLarge(format!(
                "the picture has {width} x {height} pixels; at most {} a side are accepted",
                self.max_side
            )));
        }
        if size.pixels() > self.max_pixels {
            return Err(PictureError::TooLarge(format!(
                "the picture has {width} x {height} pixels; at most {} in all are accepted",
                self.max_pixels
            )));
        }
        Ok(())
    }

    /// The same limits for crate `image`: a second check, by the decoder itself. What a picture of this size may take in
    /// memory bounds what is packed beside its pixels as well, such as its profile.
    pub(super) fn for_image_crate(&self, size: PictureSize) -> image::Limits {
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(self.max_side);
        limits.max_image_height = Some(self.max_side);
        // Up to 8 bytes a pixel (RGBA, 16 bits), and room for rows, tables and metadata.
        limits.max_alloc = Some(size.pixels().saturating_mul(8).saturating_add(16 << 20));
        limits
    }
}
