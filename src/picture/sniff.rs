//! Which format the bytes are in: by their first bytes, never by a file name or a media type.

use super::PictureError;

/// A format that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
}

/// The format of these bytes.
///
/// # Errors
/// `Unsupported`, by name where the format is known, with how to convert it.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, PictureError> {
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        [b'B', b'M', ..] if is_bmp(bytes) => Ok(Format::Bmp),
        _ => Err(PictureError::Unsupported(refusal(bytes))),
    }
}

/// "BM" alone would also be the start of a text; the size of the second header settles it.
fn is_bmp(bytes: &[u8]) -> bool {
    matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn refusal(bytes: &[u8]) -> String {
    let accepted = "send JPEG, PNG, WebP, GIF or BMP";
    match unsupported(bytes) {
        Some((name, Some(command))) => format!("{name} is not supported: {accepted} (for example: `{command}`)"),
        Some((name, None)) => format!("{name} is not supported: {accepted}"),
        None => format!("the picture's format is not known: {accepted}"),
    }
}

/// The name of a known format that is not decoded here, and a command that converts it.
fn unsupported(bytes: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(iso_media(bytes));
    }
    let found = if starts(b"II*\0") || starts(b"MM\0*") || starts(b"II+\0") || starts(b"MM\0+") {
        ("TIFF", Some("magick photo.tif photo.png"))
    } else if starts(&[0xFF, 0x0A]) || starts(b"\0\0\0\x0CJXL ") {
        ("JPEG XL", Some("djxl photo.jxl photo.jpg"))
    } else if starts(b"\0\0\0\x0CjP  ") || starts(&[0xFF, 0x4F, 0xFF, 0x51]) {
        ("JPEG 2000", Some("magick photo.jp2 photo.jpg"))
    } else if starts(&[0, 0, 1, 0]) || starts(&[0, 0, 2, 0]) {
        ("ICO", Some("magick icon.ico[0] icon.png"))
    } else if starts(b"8BPS") {
        ("PSD", Some("magick photo.psd[0] photo.png"))
    } else if starts(b"%PDF-") {
        ("PDF", Some("pdftoppm -png -singlefile page.pdf page"))
    } else if starts(b"%!PS") {
        ("PostScript", Some("magick drawing.eps drawing.png"))
    } else if starts(b"qoif") {
        ("QOI", Some("magick photo.qoi photo.png"))
    } else if starts(b"v/1\x01") {
        ("OpenEXR", Some("magick photo.exr photo.png"))
    } else if starts(&[0x1A, 0x45, 0xDF, 0xA3]) {
        ("Matroska or WebM video", Some("ffmpeg -i film.webm -frames:v 1 frame.jpg"))
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"AVI ") {
        ("AVI video", Some("ffmpeg -i film.avi -frames:v 1 frame.jpg"))
    } else if is_svg(bytes) {
        ("SVG", Some("rsvg-convert drawing.svg -o drawing.png"))
    } else if matches!(bytes, [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..]) {
        ("PNM", Some("magick photo.ppm photo.png"))
    } else if starts(b"PK\x03\x04") || starts(&[0x1F, 0x8B]) {
        ("An archive", None)
    } else if is_html(bytes) {
        ("HTML", None)
    } else {
        return None;
    };
    Some(found)
}

/// Names what is in an ISO base media file (ISO/IEC 14496-12), by its major and compatible brands.
fn iso_media(bytes: &[u8]) -> (&'static str, Option<&'static str>) {
    // The brands: the major one at byte 8, compatible ones from byte 16 up to the box's end.
    let end = bytes.first_chunk::<4>().map_or(0, |size| u32::from_be_bytes(*size) as usize).clamp(12, 256);
    let brands = bytes.get(8..end.min(bytes.len())).unwrap_or_default();
    let has = |wanted: &[&[u8; 4]]| brands.chunks_exact(4).any(|brand| wanted.iter().any(|w| brand == *w));
    if has(&[b"avif", b"avis"]) {
        ("AVIF", Some("magick photo.avif photo.jpg"))
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        ("HEIC", Some("magick photo.heic photo.jpg"))
    } else if has(&[b"crx "]) {
        ("CR3 raw", Some("magick photo.cr3 photo.jpg"))
    } else {
        ("MP4 or QuickTime video", Some("ffmpeg -i film.mp4 -frames:v 1 frame.jpg"))
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    let start = text_start(bytes);
    start.starts_with(b"<svg") || (start.starts_with(b"<?xml") && start.windows(4).any(|four| four == b"<svg"))
}

fn is_html(bytes: &[u8]) -> bool {
    let start = text_start(bytes);
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// The first 512 bytes in lower case, without a byte order mark or white space before the text.
fn text_start(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes).trim_ascii_start();
    bytes.iter().take(512).map(u8::to_ascii_lowercase).collect()
}
