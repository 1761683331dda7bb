//! Sizes and EXIF blocks read straight from the bytes of PNG, WebP, GIF and BMP, so that limits hold before a decoder
//! is built. JPEG's header is in [`super::jpeg_header`].

use super::PictureSize;
use super::sniff::Format;

/// What a header says before any pixel is decoded.
pub(super) struct Header<'a> {
    /// As stored, before EXIF orientation.
    pub size: PictureSize,
    /// The EXIF block, if the file has one.
    pub exif: Option<&'a [u8]>,
}

/// The header of a picture that is not a JPEG; `None` where the bytes end too early or contradict the format.
pub(super) fn read(format: Format, bytes: &[u8]) -> Option<Header<'_>> {
    match format {
        Format::Jpeg => None,
        Format::Png => png(bytes),
        Format::WebP => webp(bytes),
        Format::Gif => {
            let size = PictureSize { width: u16_le(bytes, 6)?.into(), height: u16_le(bytes, 8)?.into() };
            Some(Header { size, exif: None })
        }
        Format::Bmp => bmp(bytes),
    }
}

fn png(bytes: &[u8]) -> Option<Header<'_>> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let size = PictureSize { width: u32_be(bytes, 16)?, height: u32_be(bytes, 20)? };
    Some(Header { size, exif: png_exif(bytes) })
}

/// Bits of a PNG's samples: 1, 2, 4, 8 or 16.
pub(super) fn png_depth(bytes: &[u8]) -> Option<u8> {
    bytes.get(24).copied()
}

/// The content of the eXIf chunk, which may stand before or after the pixels.
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    loop {
        let length = u32_be(bytes, at)? as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        let content = bytes.get(at + 8..)?.get(..length)?;
        if kind == b"eXIf" {
            return Some(content);
        }
        // Length, kind and checksum are 4 bytes each.
        at += length + 12;
    }
}

/// The largest of the canvas and the pictures in it, as decoders allocate for either.
fn webp(bytes: &[u8]) -> Option<Header<'_>> {
    let mut size = PictureSize { width: 0, height: 0 };
    let mut exif = None;
    for (kind, content) in riff_chunks(bytes) {
        let found = match kind {
            b"VP8X" => Some(PictureSize { width: 1 + u24_le(content, 4)?, height: 1 + u24_le(content, 7)? }),
            b"VP8 " => Some(vp8_size(content)?),
            b"VP8L" => Some(vp8l_size(content)?),
            b"ANMF" => Some(PictureSize { width: 1 + u24_le(content, 6)?, height: 1 + u24_le(content, 9)? }),
            b"EXIF" => {
                exif = exif.or(Some(content));
                None
            }
            _ => None,
        };
        if let Some(found) = found {
            size = PictureSize { width: size.width.max(found.width), height: size.height.max(found.height) };
        }
    }
    Some(Header { size, exif })
}

/// Chunks of a RIFF file: a kind, and its content as far as the bytes go.
fn riff_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let length = u32_le(after, 0)? as usize;
        let content = after.get(4..)?;
        let content = &content[..length.min(content.len())];
        // Contents are padded to an even length.
        rest = after.get(4 + length + length % 2..).unwrap_or_default();
        Some((kind, content))
    })
}

/// Width and height of a VP8 key frame (RFC 6386, 9.1): 14 bits each, after the frame tag and the start code.
fn vp8_size(content: &[u8]) -> Option<PictureSize> {
    let (width, height) = (u16_le(content, 6)?, u16_le(content, 8)?);
    Some(PictureSize { width: u32::from(width & 0x3FFF), height: u32::from(height & 0x3FFF) })
}

/// Width and height of a lossless picture (RFC 9649, 3.4): 14 bits each, less one, after a signature byte.
fn vp8l_size(content: &[u8]) -> Option<PictureSize> {
    let bits = u32_le(content, 1)?;
    Some(PictureSize { width: 1 + (bits & 0x3FFF), height: 1 + (bits >> 14 & 0x3FFF) })
}

fn bmp(bytes: &[u8]) -> Option<Header<'_>> {
    const CORE_HEADER: u32 = 12;
    let (width, height) = if u32_le(bytes, 14)? == CORE_HEADER {
        (u16_le(bytes, 18)?.into(), u16_le(bytes, 20)?.into())
    } else {
        // A negative height means rows from the top down; a negative width means nothing.
        let (width, height) = (u32_le(bytes, 18)? as i32, u32_le(bytes, 22)? as i32);
        (u32::try_from(width).ok()?, height.unsigned_abs())
    };
    Some(Header { size: PictureSize { width, height }, exif: None })
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u24_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<3>().map(|&[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}
