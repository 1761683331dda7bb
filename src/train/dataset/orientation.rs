//! Points of the stored file as points of the picture that EXIF orients.

use crate::picture::PictureSize;

/// As stored.
pub(super) const UPRIGHT: u32 = 1;

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
