//! The part of a JPEG before its pixels: size, precision and EXIF block, read without libjpeg.

use super::{PictureError, PictureSize};

/// What the markers before the first scan say.
pub(super) struct JpegHeader<'a> {
    /// As stored, before EXIF orientation.
    pub size: PictureSize,
    /// Bits of a sample: 8 for every JPEG that browsers show.
    pub precision: u8,
    /// Lossless coding (SOF3) has no DCT, so it cannot be decoded at a fraction of its size.
    pub lossless: bool,
    /// Channels: 1, 3 or 4.
    pub components: u8,
    /// Whether the pixels come in several scans, which decoding keeps whole until the last.
    pub several_scans: bool,
    /// The EXIF block after its "Exif\0\0".
    pub exif: Option<&'a [u8]>,
    /// Where the first scan's marker starts.
    pub scan_at: usize,
}

/// Walks the markers up to the first scan.
///
/// # Errors
/// `Broken` where the bytes end before the first scan, or no frame header precedes it.
pub(super) fn read(bytes: &[u8]) -> Result<JpegHeader<'_>, PictureError> {
    let mut exif = None;
    let mut frame = None;
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some((marker, segment, after)) = next_segment(rest) {
        match marker {
            // Frame headers; C4, C8 and CC are tables and extensions.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => frame = frame.or(Some((marker, segment))),
            0xE1 => exif = exif.or(segment.strip_prefix(b"Exif\0\0")),
            0xDA => {
                // FF DA, two bytes of length, the segment.
                let scan_at = bytes.len() - after.len() - segment.len() - 4;
                return with_frame(frame, segment.first().copied(), exif, scan_at);
            }
            0xD9 => break,
            _ => {}
        }
        rest = after;
    }
    Err(PictureError::Broken("the JPEG ends before its first scan".to_owned()))
}

/// The JPEG without what only describes it and without bytes between its segments: what decoding needs, no more.
///
/// Tables, frame header, restart interval and Adobe's colour transform stay, and all from the first scan on. Also
/// where that scan starts in it.
pub(super) fn essence(bytes: &[u8], scan_at: usize) -> (Vec<u8>, usize) {
    let (head, scans) = bytes.split_at(scan_at);
    let mut essence = vec![0xFF, 0xD8];
    let mut rest = head.get(2..).unwrap_or_default();
    while let Some((marker, segment, after)) = next_segment(rest) {
        if matches!(marker, 0xC0..=0xCF | 0xDB | 0xDD | 0xEE) {
            // Two bytes of length and the segment end where `after` starts.
            let end = rest.len() - after.len();
            essence.extend([0xFF, marker]);
            essence.extend(&rest[end - segment.len() - 2..end]);
        }
        rest = after;
    }
    let scan_at = essence.len();
    essence.extend(scans);
    (essence, scan_at)
}

fn with_frame<'a>(
    frame: Option<(u8, &[u8])>,
    scanned: Option<u8>,
    exif: Option<&'a [u8]>,
    scan_at: usize,
) -> Result<JpegHeader<'a>, PictureError> {
    let Some((marker, &[precision, height_high, height_low, width_high, width_low, components, ..])) = frame else {
        return Err(PictureError::Broken("the JPEG has no frame header".to_owned()));
    };
    let size = PictureSize {
        width: u16::from_be_bytes([width_high, width_low]).into(),
        height: u16::from_be_bytes([height_high, height_low]).into(),
    };
    // Progressive, or not all components in the first scan.
    let several_scans = matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE) || scanned.is_none_or(|count| count < components);
    Ok(JpegHeader { size, precision, lossless: marker == 0xC3, components, several_scans, exif, scan_at })
}

/// The next marker, its segment without the two bytes of length, and what follows; `None` at the end of the bytes.
fn next_segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let mut rest = bytes;
    loop {
        // Bytes that belong to no segment are skipped, as libjpeg does; FF may be repeated before a marker.
        let at = rest.iter().position(|&byte| byte == 0xFF)?;
        rest = &rest[at..];
        let at = rest.iter().position(|&byte| byte != 0xFF)?;
        let marker = rest[at];
        rest = &rest[at + 1..];
        match marker {
            // Not markers, or markers without a segment.
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            0xD9 => return Some((marker, &[], rest)),
            _ => {
                let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                let segment = rest.get(2..length)?;
                return Some((marker, segment, &rest[length..]));
            }
        }
    }
}
