//! One resampling of a picture through a homography.
//!
//! Where the frame has as many pixels as what it shows, or more, it is bilinear. Where it has clearly fewer, as when a
//! large part of a kept picture fills it, [`super::shrink`] takes as many source pixels as a resize would.

use super::{Homography, Padding, shrink};
use crate::picture::PictureSize;

/// Pixels to resample.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Row-major RGB, `3 · width · height` bytes.
    pub pixels: &'a [u8],
    /// Of any size.
    pub size: PictureSize,
    /// Whether a larger picture was resized to these pixels, so that they are already as soft as a resize makes them.
    pub resized: bool,
}

impl<'a> Source<'a> {
    /// A frame that a picture was resized to.
    pub fn frame(pixels: &'a [u8], size: PictureSize) -> Self {
        Self { pixels, size, resized: true }
    }
}

/// Writes pixels 0…255, [height, width, 3] of `frame`.
///
/// `map` takes −1…1 coordinates of the frame to those of the source. Writes nothing where a slice does not have its size.
pub fn resample(source: &Source<'_>, map: &Homography, padding: Padding, out: &mut [f32], frame: PictureSize) {
    let (width, height) = (source.size.width as usize, source.size.height as usize);
    let (pixels, _) = source.pixels.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    if pixels.is_empty() || pixels.len() != width * height || out.len() != frame.width as usize * frame.height as usize
    {
        return;
    }
    let map = from_unit(source.size) * *map * to_unit(frame);
    let reach = shrink::reach(&map, frame, source.resized);
    let (across, down) = (Axis::new(width), Axis::new(height));
    let frame_width = (frame.width as usize).max(1);
    if reach != (1.0, 1.0) || padding == Padding::Zeros {
        let averages = shrink::Averages::new(pixels, source.size, reach, padding);
        each_pixel(&map, out, frame_width, |x, y| averages.at(x, y));
    } else if padding == Padding::Border {
        each_pixel(&map, out, frame_width, |x, y| bilinear(pixels, across.neighbours(x), down.neighbours(y), width));
    } else {
        each_pixel(&map, out, frame_width, |x, y| {
            let (x, y) = (across.mirror(x), down.mirror(y));
            bilinear(pixels, across.neighbours(x), down.neighbours(y), width)
        });
    }
}

/// Gives each pixel of the frame what is at its place in the source.
#[inline(always)]
fn each_pixel(map: &Homography, out: &mut [[f32; 3]], width: usize, mut at: impl FnMut(f64, f64) -> [f32; 3]) {
    let [row_x, row_y, row_w] = map.rows;
    for (row, pixels) in out.chunks_exact_mut(width).enumerate() {
        // The middle of the row's first pixel; each pixel to the right adds the matrix's first column.
        let start = |row_of: [f64; 3]| row_of[0] * 0.5 + row_of[1] * (row as f64 + 0.5) + row_of[2];
        let (mut x, mut y, mut w) = (start(row_x), start(row_y), start(row_w));
        for pixel in pixels {
            let scale = 1.0 / w;
            *pixel = at(x * scale, y * scale);
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

    /// The two pixels whose middles surround a place, and how far it is from the first to the second; at and beyond an
    /// edge the pixel there, twice.
    #[inline(always)]
    fn neighbours(&self, place: f64) -> (usize, usize, f32) {
        let middle = place - 0.5;
        // A cast of a negative number, of an infinite one or of none saturates, so indices stay within the source.
        let first = (middle as usize).min(self.last);
        let along = (middle - first as f64).clamp(0.0, 1.0);
        (first, (first + 1).min(self.last), along as f32)
    }

    /// A place within the source, by mirrors at its edges.
    #[inline(always)]
    fn mirror(&self, place: f64) -> f64 {
        if (0.0..=self.length).contains(&place) {
            return place;
        }
        let period = 2.0 * self.length;
        let place = place.rem_euclid(period);
        if place > self.length { period - place } else { place }
    }
}

#[inline(always)]
fn bilinear(
    pixels: &[[u8; 3]],
    (left, right, along): (usize, usize, f32),
    (top, bottom, down): (usize, usize, f32),
    width: usize,
) -> [f32; 3] {
    let (upper, lower) = (top * width, bottom * width);
    blend([pixels[upper + left], pixels[upper + right], pixels[lower + left], pixels[lower + right]], along, down)
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
