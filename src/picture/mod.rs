//! The one picture pipeline: untrusted bytes in, the model's pixels out.
//!
//! Sniff → limits (from the header, before pixel memory is taken) → decode (scaled in the DCT domain where a JPEG is
//! far larger than needed) → EXIF orientation → RGB8 → resize. Training and serving both go through here, so there is
//! one definition of a pixel. [`geometry`] is the map between the original picture and the model's frame.
//!
//! Nothing here knows HTTP, libtorch or ONNX Runtime.

mod colour;
pub mod command;
pub mod geometry;
mod header;
mod jpeg;
mod jpeg_eighth;
mod jpeg_header;
mod limits;
pub mod npy;
mod orientation;
mod raster;
mod resize;
mod sniff;

pub use geometry::{PictureSize, Placement, ResizeMethod, ResizeRule};
pub use limits::Limits;
use orientation::Orientation;
use sniff::Format;

/// Why a picture has no pixels for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// There are no bytes.
    #[error("the picture is empty: 0 bytes")]
    Empty,
    /// Over one of the [`Limits`].
    #[error("{0}")]
    TooLarge(String),
    /// A format that is not decoded here; the text says which, and what to send instead.
    #[error("{0}")]
    Unsupported(String),
    /// A supported format whose content cannot be decoded.
    #[error("the picture cannot be decoded: {0}")]
    Broken(String),
}

/// How the names of picture files end, in lower case. Formats that are not decoded here are among them, so that each
/// such file is reported and none left out in silence.
pub const ENDINGS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "heic", "heif", "avif", "tif", "tiff", "jp2", "jxl",
    "ppm",
];

/// How the names of files in these bytes' format usually end.
pub fn usual_ending(bytes: &[u8]) -> &'static str {
    match sniff::sniff(bytes) {
        Ok(Format::Jpeg) => "jpg",
        Ok(Format::Png) => "png",
        Ok(Format::WebP) => "webp",
        Ok(Format::Gif) => "gif",
        Ok(Format::Bmp) => "bmp",
        Err(_) => "bin",
    }
}

/// The media type of these bytes; none for a format that is not decoded here.
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    sniff::sniff(bytes).ok().map(|format| match format {
        Format::Jpeg => "image/jpeg",
        Format::Png => "image/png",
        Format::WebP => "image/webp",
        Format::Gif => "image/gif",
        Format::Bmp => "image/bmp",
    })
}

/// EXIF's orientation of these bytes, 1 to 8, by which [`Picture::decode`] turns them; 1 (as stored) where they have
/// none or it cannot be read.
pub fn orientation_of(bytes: &[u8]) -> u32 {
    let exif = match sniff::sniff(bytes) {
        Ok(Format::Jpeg) => jpeg_header::read(bytes).ok().and_then(|header| header.exif),
        Ok(format) => header::read(format, bytes).and_then(|header| header.exif),
        Err(_) => None,
    };
    exif.map_or(Orientation::UPRIGHT, Orientation::from_exif).value()
}

/// A decoded picture: RGB, 8 bits, as EXIF orients it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Row-major RGB, `3 · size.width · size.height` bytes.
    pub rgb: Vec<u8>,
    /// The size of `rgb`: `original`, or smaller after a scaled decode.
    pub size: PictureSize,
    /// The size of the whole picture as EXIF orients it.
    pub original: PictureSize,
}

/// How much of a picture's detail is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Detail<'a> {
    /// Every pixel.
    Full,
    /// Enough to resize by this rule; a JPEG at least 2.5 times as large as needed is decoded at 1/2, 1/4 or 1/8.
    For(&'a ResizeRule),
}

impl Picture {
    /// Decodes a picture's bytes.
    ///
    /// # Errors
    /// See [`PictureError`]; limits are checked before pixels are allocated.
    pub fn decode(bytes: &[u8], limits: &Limits, detail: Detail<'_>) -> Result<Self, PictureError> {
        limits.check_bytes(bytes.len())?;
        match sniff::sniff(bytes)? {
            Format::Jpeg => jpeg::decode(bytes, limits, detail),
            format => raster::decode(format, bytes, limits),
        }
    }

    /// About the most bytes of memory that [`Self::decode`] takes at a time, by the picture's header.
    ///
    /// # Errors
    /// See [`PictureError`]; what only decoding would find is not found.
    pub fn memory(bytes: &[u8], limits: &Limits, detail: Detail<'_>) -> Result<u64, PictureError> {
        limits.check_bytes(bytes.len())?;
        match sniff::sniff(bytes)? {
            Format::Jpeg => jpeg::memory(bytes, limits, detail),
            format => raster::memory(format, bytes, limits),
        }
    }

    /// The model's pixels of a picture's bytes, `3 · width · height` bytes of `rule.size`, and the size of the whole
    /// picture as EXIF orients it.
    ///
    /// # Errors
    /// See [`PictureError`]; limits are checked before pixels are allocated.
    pub fn frame(bytes: &[u8], limits: &Limits, rule: &ResizeRule) -> Result<(Vec<u8>, PictureSize), PictureError> {
        let picture = Self::decode(bytes, limits, Detail::For(rule))?;
        let mut pixels = vec![0; 3 * rule.size.width as usize * rule.size.height as usize];
        picture.resize_into(rule, &mut pixels)?;
        jpeg::keep(picture.rgb);
        Ok((pixels, picture.original))
    }

    /// Resizes into `out`, the model's pixels: row-major RGB, `3 · width · height` bytes of `rule.size`.
    ///
    /// Antialiased bilinear, Pillow's kernel. Returns where the picture lies in the model's frame.
    ///
    /// # Errors
    /// `Broken` where `out` does not have the rule's size.
    pub fn resize_into(&self, rule: &ResizeRule, out: &mut [u8]) -> Result<Placement, PictureError> {
        resize::resize_into(self, rule, out)
    }
}
