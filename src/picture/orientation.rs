//! EXIF orientation: reading it and turning the pixels.

use super::PictureSize;

/// How the stored pixels have to be turned: EXIF's value 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// Rows and columns of a tile, so that turning by 90° walks memory in pieces that fit the cache.
const TILE: usize = 32;

impl Orientation {
    /// As stored.
    pub(super) const UPRIGHT: Self = Self(1);

    /// The orientation in an EXIF block (TIFF header first, or after "Exif\0\0"). A broken block, or a value outside
    /// 1 to 8, is no reason to refuse a picture: upright.
    pub(super) fn from_exif(block: &[u8]) -> Self {
        let tiff = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
        let mut reader = exif::Reader::new();
        let parsed = reader
            .continue_on_error(true)
            .read_raw(tiff.to_vec())
            .or_else(|error| error.distill_partial_result(|_broken_entries| {}));
        let value = parsed.ok().and_then(|exif| {
            exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY).and_then(|field| field.value.get_uint(0))
        });
        match value {
            Some(value @ 1..=8) => Self(value as u8),
            _ => Self::UPRIGHT,
        }
    }

    /// EXIF's value, 1 to 8.
    pub(super) fn value(self) -> u32 {
        self.0.into()
    }

    /// Whether width and height change places.
    pub(super) fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Whether the stored right edge ends up left or on top.
    pub(super) fn mirrors_columns(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// Whether the stored bottom edge ends up left or on top.
    pub(super) fn mirrors_rows(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }

    /// The size after turning a stored picture of this size, and the other way round.
    pub(super) fn turn_size(self, PictureSize { width, height }: PictureSize) -> PictureSize {
        if self.swaps_sides() { PictureSize { width: height, height: width } } else { PictureSize { width, height } }
    }

    /// Turns row-major RGB pixels of the stored size.
    pub(super) fn turn(self, rgb: Vec<u8>, stored: PictureSize) -> Vec<u8> {
        if self == Self::UPRIGHT {
            return rgb;
        }
        let (width, height) = (stored.width as usize, stored.height as usize);
        let (source, _) = rgb.as_chunks::<3>();
        let mut out = vec![0; rgb.len()];
        let (target, _) = out.as_chunks_mut::<3>();
        for (top, left) in tiles(width, height) {
            for y in top..(top + TILE).min(height) {
                for x in left..(left + TILE).min(width) {
                    let column = if self.mirrors_columns() { width - 1 - x } else { x };
                    let row = if self.mirrors_rows() { height - 1 - y } else { y };
                    let to = if self.swaps_sides() { column * height + row } else { row * width + column };
                    target[to] = source[y * width + x];
                }
            }
        }
        out
    }
}

fn tiles(width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).step_by(TILE).flat_map(move |top| (0..width).step_by(TILE).map(move |left| (top, left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the stored pixels 1 2 3 / 4 5 6 look like, by the table of the EXIF standard (0th row, 0th column).
    #[test]
    fn all_eight_orientations_turn_as_the_standard_says() {
        let stored = PictureSize { width: 3, height: 2 };
        let pixels: Vec<u8> = (1..=6).flat_map(|value| [value; 3]).collect();
        let expected = [
            [1, 2, 3, 4, 5, 6],
            [3, 2, 1, 6, 5, 4],
            [6, 5, 4, 3, 2, 1],
            [4, 5, 6, 1, 2, 3],
            [1, 4, 2, 5, 3, 6],
            [4, 1, 5, 2, 6, 3],
            [6, 3, 5, 2, 4, 1],
            [3, 6, 2, 5, 1, 4],
        ];
        for (value, expected) in (1..=8).zip(expected) {
            let turned = Orientation(value).turn(pixels.clone(), stored);
            let red: Vec<u8> = turned.iter().step_by(3).copied().collect();
            assert_eq!(red, expected, "orientation {value}");
        }
    }

    #[test]
    fn pictures_larger_than_a_tile_turn_like_small_ones() {
        let stored = PictureSize { width: 70, height: 45 };
        let pixels: Vec<u8> =
            (0..70 * 45).flat_map(|i: u32| [(i % 251) as u8, (i / 70) as u8, (i % 70) as u8]).collect();
        // A quarter turn clockwise, four times.
        let mut turned = (pixels.clone(), stored);
        for _ in 0..4 {
            turned = (Orientation(6).turn(turned.0, turned.1), Orientation(6).turn_size(turned.1));
        }
        assert_eq!(turned, (pixels, stored));
    }

    #[test]
    fn broken_exif_is_upright() {
        for block in [&b""[..], b"Exif\0\0", b"II*\0", b"MM\0*\0\0\0\x08\xFF\xFF", b"garbage that is no TIFF header"] {
            assert_eq!(Orientation::from_exif(block), Orientation::UPRIGHT);
        }
    }

    #[test]
    fn orientation_is_read_with_and_without_the_jpeg_prefix() {
        let block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(Orientation::from_exif(block), Orientation(6));
        assert_eq!(Orientation::from_exif(&[&b"Exif\0\0"[..], block].concat()), Orientation(6));
    }
}
