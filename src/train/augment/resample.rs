//! One resampling of a picture through a homography.
//!
//! Where the frame has as many pixels as what it shows, or more, it is bilinear. Where it has clearly fewer, as when a
//! large part of a kept picture fills it, [`super::shrink`] takes as many source pixels as a resize would.

use super::{Curve, Homography, Padding, at_least, at_most, lighting, mirrored, rounded, shrink};
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

/// Places that are computed side by side, so that the compiler can take vector instructions for them.
pub(super) const LANES: usize = 16;

/// Writes pixels, [height, width, 3] of `frame`, in this lighting.
///
/// `map` takes −1…1 coordinates of the frame to those of the source. Writes nothing where a slice does not have its size.
pub fn resample(
    source: &Source<'_>,
    map: &Homography,
    padding: Padding,
    curve: &Curve,
    out: &mut [u8],
    frame: PictureSize,
) {
    let (width, height) = (source.size.width as usize, source.size.height as usize);
    let (out, _) = out.as_chunks_mut::<3>();
    let (wanted, shown) = (3 * width * height, frame.width as usize * frame.height as usize);
    if wanted == 0 || source.pixels.len() != wanted || out.len() != shown {
        return;
    }
    let map = from_unit(source.size) * *map * to_unit(frame);
    let reach = shrink::reach(&map, frame, source.resized);
    let softer = reach != (1.0, 1.0) || padding == Padding::Zeros || width < 2 || height < 2;
    let averages = shrink::Averages::new(source.pixels, source.size, reach, padding);
    let mirrored = padding == Padding::Reflection;
    let (across, down) = (Axis::new(source.size.width, mirrored), Axis::new(source.size.height, mirrored));
    for (row, line) in out.chunks_exact_mut((frame.width as usize).max(1)).enumerate() {
        for (part, line) in line.chunks_mut(LANES).enumerate() {
            let (x, y) = places(&map, part * LANES, row);
            let channels = if softer {
                averages.at(&x, &y)
            } else {
                bilinear(source.pixels, width, across.neighbours(&x), down.neighbours(&y))
            };
            let mut levels = [[0; LANES]; 3];
            for (places, values) in levels.iter_mut().zip(&channels) {
                places.iter_mut().zip(values).for_each(|(place, value)| *place = lighting::place(*value));
            }
            let [red, green, blue] = &levels;
            for (pixel, ((red, green), blue)) in line.iter_mut().zip(red.iter().zip(green).zip(blue)) {
                *pixel = [curve.level(*red), curve.level(*green), curve.level(*blue)];
            }
        }
    }
}

/// Where the middles of pixels of the frame lie in the source, from a column of a row to the right.
#[inline(always)]
fn places(map: &Homography, column: usize, row: usize) -> ([f32; LANES], [f32; LANES]) {
    let mut sums = [[0.0; LANES]; 3];
    for (of, sums) in map.rows.iter().zip(&mut sums) {
        let start = (of[0] * (column as f64 + 0.5) + of[1] * (row as f64 + 0.5) + of[2]) as f32;
        let step = of[0] as f32;
        sums.iter_mut().enumerate().for_each(|(lane, sum)| *sum = start + lane as f32 * step);
    }
    let [mut x, mut y, w] = sums;
    for ((x, y), w) in x.iter_mut().zip(&mut y).zip(&w) {
        let scale = 1.0 / w;
        *x *= scale;
        *y *= scale;
    }
    (x, y)
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

/// The source's pixels along one axis, of which there are two or more.
struct Axis {
    length: f32,
    mirrored: bool,
}

/// The first of the two neighbouring pixels that surround each place, and how far it is from the first to the second.
type Neighbours = ([u32; LANES], [f32; LANES]);

impl Axis {
    fn new(length: u32, mirrored: bool) -> Self {
        Self { length: length as f32, mirrored }
    }

    /// Beyond an edge a place is mirrored there, or has the pixel of the edge.
    #[inline(always)]
    fn neighbours(&self, places: &[f32; LANES]) -> Neighbours {
        let mut inside = *places;
        if self.mirrored {
            inside.iter_mut().for_each(|place| *place = mirrored(*place, self.length));
        }
        let (mut first, mut along) = ([0; LANES], [0.0; LANES]);
        for (&place, (first, along)) in inside.iter().zip(first.iter_mut().zip(&mut along)) {
            let middle = at_least(0.0, at_most(self.length - 1.0, place - 0.5));
            let (whole, index) = rounded(at_most(self.length - 2.0, middle - 0.5));
            (*first, *along) = (index, middle - whole);
        }
        (first, along)
    }
}

/// Red, green and blue of places, interpolated between four neighbours each.
#[inline(always)]
fn bilinear(pixels: &[u8], width: usize, (left, along): Neighbours, (top, below): Neighbours) -> [[f32; LANES]; 3] {
    let mut corners = [[0; LANES]; 4];
    let [a, b, c, d] = &mut corners;
    for lane in 0..LANES {
        let first = 3 * (top[lane] as usize * width + left[lane] as usize);
        (a[lane], b[lane]) = pair(pixels, first);
        (c[lane], d[lane]) = pair(pixels, first + 3 * width);
    }
    let mut channels = [[0.0; LANES]; 3];
    for (channel, values) in channels.iter_mut().enumerate() {
        for (lane, value) in values.iter_mut().enumerate() {
            // A byte is exact as i32 and as f32, and i32 has a vector instruction for it.
            let of = |four: u32, byte: usize| ((four >> (8 * byte)) & 255) as i32 as f32;
            let ends = |left: u32, right: u32| (of(left, channel), of(right, channel + 1));
            let ((a, b), (c, d)) = (ends(a[lane], b[lane]), ends(c[lane], d[lane]));
            let (upper, lower) = (a + along[lane] * (b - a), c + along[lane] * (d - c));
            *value = upper + below[lane] * (lower - upper);
        }
    }
    channels
}

/// The first four bytes of two neighbouring pixels, and the last four; black where there are none.
#[inline(always)]
fn pair(bytes: &[u8], first: usize) -> (u32, u32) {
    let Some(six) = bytes.get(first..first + 6) else { return (0, 0) };
    let (Some(left), Some(right)) = (six.first_chunk(), six.last_chunk()) else { return (0, 0) };
    (u32::from_le_bytes(*left), u32::from_le_bytes(*right))
}
