//! One bilinear resampling of a picture through a homography.

use super::Homography;
use crate::picture::PictureSize;

/// Writes pixels 0…255, [height, width, 3] of `frame`, from row-major RGB bytes of a picture of any size.
///
/// `map` takes −1…1 coordinates of the frame to those of the source. Beyond its edges the source is mirrored. Writes
/// nothing where a slice does not have its size.
pub fn resample(source: &[u8], source_size: PictureSize, map: &Homography, out: &mut [f32], frame: PictureSize) {
    let (width, height) = (source_size.width as usize, source_size.height as usize);
    let (source, _) = source.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    let frame_width = frame.width as usize;
    if source.is_empty() || source.len() != width * height || out.len() != frame_width * frame.height as usize {
        return;
    }
    let map = from_unit(source_size) * *map * to_unit(frame);
    let [row_x, row_y, row_w] = map.rows;
    let horizontal = Axis::new(width);
    let vertical = Axis::new(height);
    for (row, pixels) in out.chunks_exact_mut(frame_width.max(1)).enumerate() {
        // The middle of the row's first pixel; each pixel to the right adds the matrix's first column.
        let start = |row_of: [f64; 3]| row_of[0] * 0.5 + row_of[1] * (row as f64 + 0.5) + row_of[2];
        let (mut x, mut y, mut w) = (start(row_x), start(row_y), start(row_w));
        for pixel in pixels {
            let scale = 1.0 / w;
            let (left, right, along) = horizontal.neighbours(x * scale);
            let (top, bottom, down) = vertical.neighbours(y * scale);
            let (upper, lower) = (top * width, bottom * width);
            let corners = [source[upper + left], source[upper + right], source[lower + left], source[lower + right]];
            *pixel = blend(corners, along, down);
            x += row_x[0];
            y += row_y[0];
            w += row_w[0];
        }
    }
}

/// Pixels of a frame as −1…1.
fn to_unit(size: PictureSize) -> Homography {
    let (x, y) = (2.0 / f64::from(size.width), 2.0 / f64::from(size.height));
    Homography { rows: [[x, 0.0, -1.0], [0.0, y, -1.0], [0.0, 0.0, 1.0]] }
}

/// −1…1 as pixels of a frame.
fn from_unit(size: PictureSize) -> Homography {
    let (x, y) = (f64::from(size.width) / 2.0, f64::from(size.height) / 2.0);
    Homography { rows: [[x, 0.0, x], [0.0, y, y], [0.0, 0.0, 1.0]] }
}

/// The source's pixels along one axis.
struct Axis {
    last: usize,
    length: f64,
}

impl Axis {
    fn new(length: usize) -> Self {
        Self { last: length - 1, length: length as f64 }
    }

    /// The two pixels whose middles surround a place, and how far it is from the first to the second.
    fn neighbours(&self, place: f64) -> (usize, usize, f32) {
        let middle = self.mirror(place) - 0.5;
        // A cast of a negative number, of an infinite one or of none saturates, so indices stay within the source.
        let first = (middle as usize).min(self.last);
        let along = (middle - first as f64).clamp(0.0, 1.0);
        (first, (first + 1).min(self.last), along as f32)
    }

    /// A place within the source, by mirrors at its edges.
    fn mirror(&self, place: f64) -> f64 {
        if (0.0..=self.length).contains(&place) {
            return place;
        }
        let period = 2.0 * self.length;
        let place = place.rem_euclid(period);
        if place > self.length { period - place } else { place }
    }
}

fn blend([a, b, c, d]: [[u8; 3]; 4], along: f32, down: f32) -> [f32; 3] {
    let mut pixel = [0.0; 3];
    for (channel, value) in pixel.iter_mut().enumerate() {
        let of = |corner: [u8; 3]| f32::from(corner[channel]);
        let upper = of(a) + along * (of(b) - of(a));
        let lower = of(c) + along * (of(d) - of(c));
        *value = upper + down * (lower - upper);
    }
    pixel
}
