//! PNG, WebP, GIF and BMP by crate `image`.

use std::{io::Cursor, panic};

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
    let header = header(format, bytes, limits)?;

    // A file can make the crates panic: image-webp 0.2.4 where a Huffman code has more words than there is room for
    // (https://github.com/image-rs/image-webp/issues/118), png 0.18.1 where a palette's row is too short. That is the file's
    // fault, not the server's.
    let decoded = panic::catch_unwind(|| decode_stored(format, bytes, limits, header.size));
    let (stored, rgb) = decoded
        .unwrap_or_else(|_| Err(PictureError::Broken("its content is damaged; the decoder gave up".to_owned())))?;

    let orientation = header.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let size = orientation.turn_size(stored);
    Ok(Picture { rgb: orientation.turn(rgb, stored), size, original: size })
}

/// About the most bytes that [`decode`] takes at a time.
///
/// # Errors
/// A header that is damaged, or over the limits.
pub(super) fn memory(format: Format, bytes: &[u8], limits: &Limits) -> Result<u64, PictureError> {
    let header = header(format, bytes, limits)?;
    let pixel = match format {
        // RGB, as it is stored and as it is turned; less before that.
        Format::Bmp => 6,
        Format::Png if header::png_depth(bytes) != Some(16) => 6,
        // Up to four channels of 16 bits, or RGBA and what it is made from.
        _ => 8,
    };
    Ok(pixel * header.size.pixels())
}

fn header<'a>(format: Format, bytes: &'a [u8], limits: &Limits) -> Result<header::Header<'a>, PictureError> {
    let header = header::read(format, bytes)
        .ok_or_else(|| PictureError::Broken("its header is damaged or incomplete".to_owned()))?;
    limits.check_size(header.size)?;
    Ok(header)
}

/// Size and RGB as they are stored.
fn decode_stored(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
    claimed: PictureSize,
) -> Result<(PictureSize, Vec<u8>), PictureError> {
    let mut decoder = decoder(format, bytes, limits.for_image_crate(claimed))?;
    let (width, height) = decoder.dimensions();
    let stored = PictureSize { width, height };
    limits.check_size(stored)?;
    decoder.set_limits(limits.for_image_crate(claimed)).map_err(refused)?;

    let colour = decoder.color_type();
    let length = usize::try_from(decoder.total_bytes())
        .map_err(|_| PictureError::TooLarge("the picture does not fit into memory".to_owned()))?;
    let mut samples = vec![0; length];
    decoder.read_image(&mut samples).map_err(refused)?;
    let rgb = colour::to_rgb(samples, colour)
        .ok_or_else(|| PictureError::Unsupported(format!("the colour type {colour:?} is not supported")))?;
    Ok((stored, rgb))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits in the order of VP8L: the lowest first.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn put(&mut self, value: u32, count: u32) {
            self.0.extend((0..count).map(|bit| value >> bit & 1 == 1));
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
            self.0.chunks(8).map(byte).collect()
        }
    }

    /// A lossless WebP of 1 × 1 pixels whose code for green has words of these lengths, and nothing behind it.
    ///
    /// Layout: <https://www.rfc-editor.org/rfc/rfc9649#section-3>.
    fn webp(lengths: &[u32]) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(0x2f, 8);
        // Width and height less 1, no alpha, version 0; no transform, no colour cache, one group of codes.
        for (value, count) in [(0, 14), (0, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)] {
            bits.put(value, count);
        }
        // A code with lengths: 19 lengths for the code of the lengths, of which 0 to 15 have four bits each.
        bits.put(0, 1);
        bits.put(15, 4);
        for symbol in [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
            bits.put(if symbol < 16 { 4 } else { 0 }, 3);
        }
        // As many lengths as there are symbols; words stand with their highest bit first.
        bits.put(0, 1);
        for symbol in 0..280 {
            let length: u32 = lengths.get(symbol).copied().unwrap_or_default();
            (0..4).rev().for_each(|bit| bits.put(length >> bit, 1));
        }
        let data = bits.bytes();
        let chunk = [b"WEBPVP8L", &(data.len() as u32).to_le_bytes()[..], &data].concat();
        [b"RIFF", &(chunk.len() as u32).to_le_bytes()[..], &chunk].concat()
    }

    #[test]
    fn a_huffman_code_with_too_many_words_is_a_broken_picture() {
        // Twice as many words as there is room for: in 16 bits their sum looks right.
        let twice: Vec<u32> = [1, 1].into_iter().chain(1..=15).chain([15]).collect();
        assert_eq!(twice.iter().map(|length| 1 << (15 - length)).sum::<u32>(), 1 << 16);
        let error = decode(Format::WebP, &webp(&twice), &Limits::default()).unwrap_err();
        assert!(matches!(&error, PictureError::Broken(reason) if reason.contains("gave up")), "{error}");
        // One that is right is read, and the others are missing.
        let error = decode(Format::WebP, &webp(&twice[2..]), &Limits::default()).unwrap_err();
        assert!(matches!(&error, PictureError::Broken(reason) if !reason.contains("gave up")), "{error}");
    }

    #[test]
    fn what_makes_decoders_panic_is_a_broken_picture() {
        for (format, file) in [
            (Format::WebP, &include_bytes!("../../tests/fuzz/corpus/picture/overcomplete-huffman-code.webp")[..]),
            (Format::Png, include_bytes!("../../tests/fuzz/corpus/picture/palette-without-room.png")),
        ] {
            let error = decode(format, file, &Limits::default()).unwrap_err();
            assert!(matches!(error, PictureError::Broken(_)), "{format:?}: {error}");
        }
    }
}
