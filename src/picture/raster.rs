//! PNG, WebP, GIF and BMP by crate `image`.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ImageDecoder, ImageError};

use super::orientation::Orientation;
use super::sniff::Format;
use super::{Limits, Picture, PictureError, PictureSize, colour, header};

/// Decodes the first picture of a file: limits from its header, pixels, colour, orientation.
///
/// # Errors
/// As [`Picture::decode`].
pub(super) fn decode(format: Format, bytes: &[u8], limits: &Limits) -> Result<Picture, PictureError> {
    let header = header::read(format, bytes)
        .ok_or_else(|| PictureError::Broken("its header is damaged or incomplete".to_owned()))?;
    limits.check_size(header.size)?;

    let mut decoder = decoder(format, bytes, limits.for_image_crate(header.size))?;
    let (width, height) = decoder.dimensions();
    let stored = PictureSize { width, height };
    limits.check_size(stored)?;
    decoder.set_limits(limits.for_image_crate(header.size)).map_err(refused)?;

    let colour = decoder.color_type();
    let length = usize::try_from(decoder.total_bytes())
        .map_err(|_| PictureError::TooLarge("the picture does not fit into memory".to_owned()))?;
    let mut samples = vec![0; length];
    decoder.read_image(&mut samples).map_err(refused)?;
    let rgb = colour::to_rgb(samples, colour)
        .ok_or_else(|| PictureError::Unsupported(format!("the colour type {colour:?} is not supported")))?;

    let orientation = header.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let size = orientation.turn_size(stored);
    Ok(Picture { rgb: orientation.turn(rgb, stored), size, original: size })
}

fn decoder<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: image::Limits,
) -> Result<Box<dyn ImageDecoder + 'a>, PictureError> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        Format::Png => Box::new(PngDecoder::with_limits(reader, limits).map_err(refused)?),
        Format::WebP => Box::new(WebPDecoder::new(reader).map_err(refused)?),
        Format::Gif => Box::new(GifDecoder::new(reader).map_err(refused)?),
        Format::Bmp => Box::new(BmpDecoder::new(reader).map_err(refused)?),
        Format::Jpeg => return Err(PictureError::Broken("JPEG is decoded elsewhere".to_owned())),
    })
}

fn refused(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(limit) => PictureError::TooLarge(format!("the picture needs too much memory: {limit}")),
        other => PictureError::Broken(other.to_string()),
    }
}
