//! JPEG by libjpeg-turbo, whole or at a fraction of its size; at an eighth mostly by [`jpeg_eighth`], which gives the same
//! pixels sooner.

use std::cell::RefCell;

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor};

use super::orientation::Orientation;
use super::{Detail, Limits, Picture, PictureError, PictureSize, colour, jpeg_eighth, jpeg_header};

/// A progressive JPEG of a few kilobytes can ask for thousands of passes over every pixel; real ones have about ten.
const MAX_SCANS: u32 = 100;

/// A scaled decode leaves a picture at least this many times as large as the resize needs. At 1, the resize would do
/// nothing to a picture that libjpeg has shrunk, and libjpeg's kernel is sharper than bilinear: photos then differ by
/// 3 of 255 from those that are decoded whole, against 2 at 1.25.
const RESERVE: f64 = 1.25;

thread_local! {
    /// The memory of the last picture's pixels, for the next: taking it from the system and clearing it costs a small picture a
    /// twentieth of its time.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The most bytes that a thread keeps: a picture of 1,000 x 700.
const MOST_SPARE: usize = 2 << 20;

/// Gives back the pixels of a picture that nobody needs any more.
pub(super) fn keep(pixels: Vec<u8>) {
    if pixels.capacity() <= MOST_SPARE {
        SPARE.set(pixels);
    }
}

/// Decodes a JPEG: limits from its header, pixels, colour, orientation.
///
/// # Errors
/// As [`Picture::decode`].
pub(super) fn decode(bytes: &[u8], limits: &Limits, detail: Detail<'_>) -> Result<Picture, PictureError> {
    let header = jpeg_header::read(bytes)?;
    limits.check_size(header.size)?;
    if header.precision != 8 {
        return Err(PictureError::Unsupported(format!(
            "JPEG with {} bits is not supported: send a JPEG with 8 (for example: `magick photo.jpg -depth 8 photo.png`)",
            header.precision
        )));
    }
    let orientation = header.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let divisor = divisor_for(&header, orientation, detail);
    let (rgb, decoded) = match pixels(bytes, header.size, header.scan_at, divisor) {
        // libjpeg-turbo reports an oddity before the pixels as an error, too; what remains one lies in the pixels.
        Err(error) if is_about_header(&error) => {
            let (essence, scan_at) = jpeg_header::essence(bytes, header.scan_at);
            pixels(&essence, header.size, scan_at, divisor)
        }
        result => result,
    }?;
    Ok(Picture {
        rgb: orientation.turn(rgb, decoded),
        size: orientation.turn_size(decoded),
        original: orientation.turn_size(header.size),
    })
}

/// About the most bytes that [`decode`] takes at a time.
///
/// # Errors
/// A header that is damaged, or over the limits.
pub(super) fn memory(bytes: &[u8], limits: &Limits, detail: Detail<'_>) -> Result<u64, PictureError> {
    let header = jpeg_header::read(bytes)?;
    limits.check_size(header.size)?;
    let orientation = header.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let divisor = divisor_for(&header, orientation, detail);
    let decoded =
        PictureSize { width: header.size.width.div_ceil(divisor), height: header.size.height.div_ceil(divisor) };
    let channels: u64 = match (header.components, orientation == Orientation::UPRIGHT) {
        (_, false) => 6, // RGB, as it is stored and as it is turned
        (4, true) => 4,
        (_, true) => 3,
    };
    // Coefficients have 16 bits, and there are as many as pixels of the whole picture.
    let coefficients = if header.several_scans { 2 * u64::from(header.components) * header.size.pixels() } else { 0 };
    Ok(channels * decoded.pixels() + coefficients)
}

fn divisor_for(header: &jpeg_header::JpegHeader<'_>, orientation: Orientation, detail: Detail<'_>) -> u32 {
    match detail {
        Detail::For(rule) if !header.lossless => divisor(header.size, orientation, rule),
        _ => 1,
    }
}

/// By how much both sides may be divided: 1, 2, 4 or 8, such that the resize still has [`RESERVE`] to shrink.
fn divisor(stored: PictureSize, orientation: Orientation, rule: &super::ResizeRule) -> u32 {
    let scale = rule.placement(orientation.turn_size(stored)).scale;
    let enough = |divisor: u32| RESERVE * f64::from(divisor) * scale.0.max(scale.1) <= 1.0;
    // Where a side is no multiple, the last pixel is a part of one. The resize knows it to be at the right or at the
    // bottom, so a picture that gets mirrored has to divide evenly.
    let even = |divisor: u32| {
        (!orientation.mirrors_columns() || stored.width.is_multiple_of(divisor))
            && (!orientation.mirrors_rows() || stored.height.is_multiple_of(divisor))
    };
    [8, 4, 2].into_iter().find(|&divisor| enough(divisor) && even(divisor)).unwrap_or(1)
}

/// RGB pixels as stored, and their size.
fn pixels(
    bytes: &[u8],
    stored: PictureSize,
    scan_at: usize,
    divisor: u32,
) -> Result<(Vec<u8>, PictureSize), PictureError> {
    let decoded = PictureSize { width: stored.width.div_ceil(divisor), height: stored.height.div_ceil(divisor) };
    // As below, the limits were checked on the size that our walk of the headers found.
    if divisor == 8
        && let Some((rgb, size)) = jpeg_eighth::decode(bytes)
        && size == decoded
    {
        return Ok((rgb, decoded));
    }
    let mut decompressor = Decompressor::new().map_err(broken)?;
    decompressor.set_scan_limit(MAX_SCANS).map_err(broken)?;
    decompressor.set_scaling_factor(ScalingFactor::new(1, divisor as usize)).map_err(broken)?;
    let header = decompressor.read_header(bytes).map_err(broken)?;
    if (header.width, header.height) != (stored.width as usize, stored.height as usize) {
        // libjpeg and our walk disagree, so the limits were checked on another size than it would decode.
        return Err(PictureError::Broken("the JPEG's headers contradict each other".to_owned()));
    }

    let cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if cmyk { PixelFormat::CMYK } else { PixelFormat::RGB };
    let (width, height) = (decoded.width as usize, decoded.height as usize);
    let pitch = width * format.size();
    let mut samples = SPARE.take();
    // What is left of another picture gets overwritten: pixels that a decoder leaves out are an error.
    samples.resize(pitch * height, 0);
    let image = Image { pixels: &mut samples[..], width, pitch, height, format };
    match decompressor.decompress(bytes, image) {
        Err(error) if !is_harmless(&error, &bytes[scan_at..]) => return Err(broken(error)),
        _ => {}
    }
    let rgb = if cmyk { colour::inverted_cmyk_to_rgb(samples) } else { samples };
    Ok((rgb, decoded))
}

/// Whether the error may come from segments that decoding does not need, or from bytes between them.
fn is_about_header(error: &PictureError) -> bool {
    let PictureError::Broken(message) = error else { return false };
    ["extraneous bytes before marker", "unknown JFIF revision", "bad ICC marker"]
        .iter()
        .any(|text| message.contains(text))
}

/// libjpeg-turbo decodes on after a warning, and reports the first one as an error when all pixels are done. Missing
/// or damaged data is an error for us too; surplus bytes, which some cameras write, are not, as long as the picture
/// goes on to its end marker (FF D9 cannot occur within coded pixels).
fn is_harmless(error: &turbojpeg::Error, scans: &[u8]) -> bool {
    let turbojpeg::Error::TurboJpegError(message) = error else { return false };
    let surplus = message.contains("extraneous bytes before marker");
    surplus && scans.windows(2).any(|pair| pair == [0xFF, 0xD9])
}

fn broken(error: turbojpeg::Error) -> PictureError {
    match error {
        turbojpeg::Error::TurboJpegError(message) => PictureError::Broken(message),
        other => PictureError::Broken(other.to_string()),
    }
}
