//! Points of the stored file as points of the picture that EXIF orients.

use std::io::Cursor;

use crate::picture::PictureSize;

/// As stored.
pub(super) const UPRIGHT: u32 = 1;

/// EXIF's orientation of a picture's bytes, 1 to 8; 1 (as stored) where there is none or it cannot be read.
pub(super) fn read(bytes: &[u8]) -> u32 {
    let parsed = exif::Reader::new()
        .continue_on_error(true)
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|error| error.distill_partial_result(|_broken_entries| {}));
    let field = |exif: exif::Exif| exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?.value.get_uint(0);
    parsed.ok().and_then(field).filter(|value| (1..=8).contains(value)).unwrap_or(UPRIGHT)
}

/// A point in pixels of the stored file, in pixels of the picture that EXIF orients, whose size is `oriented`.
pub(super) fn orient((x, y): (f64, f64), orientation: u32, oriented: PictureSize) -> (f64, f64) {
    let (width, height) = (f64::from(oriented.width), f64::from(oriented.height));
    match orientation {
        2 => (width - x, y),
        3 => (width - x, height - y),
        4 => (x, height - y),
        5 => (y, x),
        6 => (width - y, x),
        7 => (width - y, height - x),
        8 => (y, height - x),
        _ => (x, y),
    }
}
