//! Antialiasing where a frame shows more source pixels than it has of its own.
//!
//! A resize weighs source pixels by a triangle that reaches one pixel of its *result* either way (Pillow's bilinear
//! kernel). So does this, around any place, so that augmented training pictures are as sharp as the resized ones that
//! a model is judged on. Pixels that already come from a resize are soft by a triangle of their own: the variances of
//! triangles add, so its square is taken from the square of the reach.

use super::{Homography, Padding, at_least, at_most, mirrored, resample::LANES, rounded};
use crate::picture::PictureSize;

/// The furthest that a triangle reaches; a frame that shrinks its source further has some aliasing.
const FURTHEST: f64 = 4.0;
/// The most pixels within such a triangle.
const MOST: usize = 2 * FURTHEST as usize;
/// A place further away is taken for this one.
const FAR: f32 = 1e6;

/// How far the triangle around a place reaches along x and y, in source pixels, 1 being bilinear interpolation.
///
/// `map` takes pixels of the frame to pixels of the source; its scale at the frame's middle counts for all of it.
pub(super) fn reach(map: &Homography, frame: PictureSize, resized: bool) -> (f64, f64) {
    let middle = (f64::from(frame.width) / 2.0, f64::from(frame.height) / 2.0);
    let Some((x, y)) = map.apply(middle) else { return (1.0, 1.0) };
    let [row_x, row_y, row_w] = map.rows;
    let weight = row_w[0] * middle.0 + row_w[1] * middle.1 + row_w[2];
    let own = if resized { 1.0 } else { 0.0 };
    // The slopes of X/W and Y/W: how many source pixels one pixel of the frame covers.
    let along = |row: [f64; 3], at: f64| {
        let covered = ((row[0] - at * row_w[0]) / weight).hypot((row[1] - at * row_w[1]) / weight);
        let reach = (covered * covered - own).max(0.0).sqrt();
        if reach.is_finite() { reach.clamp(1.0, FURTHEST) } else { 1.0 }
    };
    (along(row_x, x), along(row_y, y))
}

/// Weighted means of source pixels around places.
pub(super) struct Averages<'a> {
    pixels: &'a [u8],
    width: u32,
    across: Triangle,
    down: Triangle,
}

impl<'a> Averages<'a> {
    /// `pixels` are `3 · size.width · size.height` bytes, row by row.
    pub(super) fn new(pixels: &'a [u8], size: PictureSize, reach: (f64, f64), padding: Padding) -> Self {
        let (across, down) =
            (Triangle::new(size.width, reach.0, padding), Triangle::new(size.height, reach.1, padding));
        Self { pixels, width: size.width, across, down }
    }

    /// Red, green and blue of places.
    #[inline(always)]
    pub(super) fn at(&self, x: &[f32; LANES], y: &[f32; LANES]) -> [[f32; LANES]; 3] {
        let (columns, rows) = (self.across.around(x), self.down.around(y));
        let mut sums = [[0.0; LANES]; 3];
        for (row, down) in &rows[..self.down.taps] {
            let mut line = [[0.0; LANES]; 3];
            for (column, along) in &columns[..self.across.taps] {
                let mut colours = [0; LANES];
                for (colour, (row, column)) in colours.iter_mut().zip(row.iter().zip(column)) {
                    *colour = self.pixel(3 * (row * self.width + column) as usize);
                }
                for (channel, sums) in line.iter_mut().enumerate() {
                    for (sum, (colour, along)) in sums.iter_mut().zip(colours.iter().zip(along)) {
                        *sum += along * ((colour >> (8 * channel)) & 255) as i32 as f32;
                    }
                }
            }
            for (sums, line) in sums.iter_mut().zip(&line) {
                sums.iter_mut().zip(line).zip(down).for_each(|((sum, value), down)| *sum += down * value);
            }
        }
        sums
    }

    /// Three bytes from here, and what follows them.
    #[inline(always)]
    fn pixel(&self, first: usize) -> u32 {
        match self.pixels.get(first..) {
            Some([red, green, blue, next, ..]) => u32::from_le_bytes([*red, *green, *blue, *next]),
            Some([red, green, blue]) => u32::from_le_bytes([*red, *green, *blue, 0]),
            _ => 0,
        }
    }
}

/// The weights of pixels along one axis.
struct Triangle {
    length: f32,
    reach: f32,
    padding: Padding,
    /// Pixels with a weight, at most.
    taps: usize,
}

/// A pixel for each place, and its weight.
type Tap = ([u32; LANES], [f32; LANES]);

impl Triangle {
    fn new(length: u32, reach: f64, padding: Padding) -> Self {
        // A pixel at the triangle's very end has no weight.
        let taps = ((2.0 * reach).ceil() as usize).clamp(1, MOST);
        Self { length: length as f32, reach: reach as f32, padding, taps }
    }

    /// The pixels around places. A place's weights sum to 1, or to less where some pixels are black beyond the edge.
    #[inline(always)]
    fn around(&self, places: &[f32; LANES]) -> [Tap; MOST] {
        let mut taps = [([0; LANES], [0.0; LANES]); MOST];
        let (mut first, mut total, mut around) = ([0.0; LANES], [0.0; LANES], *places);
        for (place, first) in around.iter_mut().zip(&mut first) {
            // Beyond the horizon there may be no number, or one too large to count pixels with.
            *place = at_least(-FAR, at_most(FAR, *place));
            let start = *place - self.reach - 0.5;
            let (whole, _) = rounded(start);
            *first = if whole < start { whole + 1.0 } else { whole };
        }
        for (number, (pixels, weights)) in taps[..self.taps].iter_mut().enumerate() {
            for lane in 0..LANES {
                let middle = first[lane] + number as f32 + 0.5;
                let weight = at_least(0.0, 1.0 - (middle - around[lane]).abs() / self.reach);
                total[lane] += weight;
                let inside = self.inside(middle);
                let black = self.padding == Padding::Zeros && inside != middle;
                (pixels[lane], weights[lane]) = (rounded(inside - 0.5).1, if black { 0.0 } else { weight });
            }
        }
        for (_, weights) in &mut taps[..self.taps] {
            weights.iter_mut().zip(&total).for_each(|(weight, total)| *weight /= total);
        }
        taps
    }

    /// The middle of the pixel that stands where this middle of one is.
    #[inline(always)]
    fn inside(&self, middle: f32) -> f32 {
        let place = match self.padding {
            Padding::Reflection => mirrored(middle, self.length),
            Padding::Border | Padding::Zeros => middle,
        };
        at_least(0.5, at_most(self.length - 0.5, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(reach: f64, padding: Padding, place: f32) -> Vec<(u32, f32)> {
        let taps = Triangle::new(4, reach, padding).around(&[place; LANES]);
        taps.iter()
            .map(|(pixels, weights)| (pixels[LANES - 1], weights[LANES - 1]))
            .filter(|tap| tap.1 != 0.0)
            .collect()
    }

    #[test]
    fn a_triangle_of_one_pixel_is_linear_interpolation() {
        assert_eq!(around(1.0, Padding::Reflection, 1.75), [(1, 0.75), (2, 0.25)]);
        assert_eq!(around(1.0, Padding::Zeros, 0.25), [(0, 0.75)]);
        assert_eq!(around(1.0, Padding::Border, 0.25), [(0, 0.25), (0, 0.75)]);
    }

    #[test]
    fn a_triangle_of_two_pixels_is_pillows_half() {
        assert_eq!(around(2.0, Padding::Zeros, 2.0), [(0, 0.125), (1, 0.375), (2, 0.375), (3, 0.125)]);
    }

    #[test]
    fn pixels_beyond_an_edge_are_mirrored_drawn_out_or_black() {
        let row = |padding: Padding| (-5_i16..9).map(|place| around(1.0, padding, f32::from(place) + 0.5)).collect();
        let sure = |pixels: [u32; 14]| pixels.map(|pixel| vec![(pixel, 1.0)]).to_vec();
        let [mirrored, drawn, black]: [Vec<_>; 3] = [Padding::Reflection, Padding::Border, Padding::Zeros].map(row);
        assert_eq!(mirrored, sure([3, 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0]));
        assert_eq!(drawn, sure([0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3]));
        assert_eq!(black[5..9], drawn[5..9]);
        assert!(black[..5].iter().chain(&black[9..]).all(Vec::is_empty));
    }

    #[test]
    fn the_reach_is_what_a_pixel_covers_less_what_is_already_soft() {
        let frame = PictureSize { width: 10, height: 10 };
        let shrink = |x: f64, y: f64, resized| reach(&Homography::scale(x, y), frame, resized);
        assert_eq!(shrink(2.0, 0.5, false), (2.0, 1.0));
        assert_eq!(shrink(2.0, 1.4, true), (3.0_f64.sqrt(), 1.0));
        assert_eq!(shrink(100.0, f64::NAN, true), (FURTHEST, 1.0));
    }

    #[test]
    fn places_that_are_no_numbers_stay_within_the_picture() {
        for place in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
            for padding in [Padding::Reflection, Padding::Border, Padding::Zeros] {
                let taps = around(3.7, padding, place);
                assert!(taps.iter().all(|(pixel, weight)| *pixel < 4 && weight.is_finite()), "{taps:?}");
            }
        }
    }
}
