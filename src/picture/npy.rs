//! Pixels as a NumPy file, to compare with other programs.

use std::io::{self, Write};

use npyz::WriterBuilder;

use super::PictureSize;

/// Writes row-major RGB pixels of this size as `.npy`: uint8, [H, W, 3].
///
/// # Errors
/// What the writer reports; `InvalidInput` where `rgb` does not have the size.
pub fn write_pixels(writer: impl Write, rgb: &[u8], size: PictureSize) -> io::Result<()> {
    let shape = [u64::from(size.height), u64::from(size.width), 3];
    if rgb.len() as u64 != shape.iter().product::<u64>() {
        let message = format!("{} bytes are not {} x {} RGB pixels", rgb.len(), size.width, size.height);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(writer).begin_nd()?;
    npy.extend(rgb.iter().copied())?;
    npy.finish()
}
