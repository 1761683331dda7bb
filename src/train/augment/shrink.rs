//! Antialiasing where a frame shows more source pixels than it has of its own.
//!
//! A resize weighs source pixels by a triangle that reaches one pixel of its *result* either way (Pillow's bilinear
//! kernel). So does this, around any place, so that augmented training pictures are as sharp as the resized ones that
//! a model is judged on. Pixels that already come from a resize are soft by a triangle of their own: the variances of
//! triangles add, so its square is taken from the square of the reach.

use super::{Homography, Padding, resample::LANES};
use crate::picture::PictureSize;

/// The furthest that a triangle reaches; a frame that shrinks its source further has some aliasing.
const FURTHEST: f64 = 4.0;
/// The most pixels within such a triangle.
const MOST: usize = 2 * FURTHEST as usize + 1;

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
    pixels: &'a [[u8; 3]],
    width: usize,
    across: Triangle,
    down: Triangle,
}

impl<'a> Averages<'a> {
    /// `pixels` are `size.width · size.height`, row by row.
    pub(super) fn new(pixels: &'a [[u8; 3]], size: PictureSize, reach: (f64, f64), padding: Padding) -> Self {
        let triangle = |length: u32, reach| Triangle { length: i64::from(length), reach, padding };
        let (across, down) = (triangle(size.width, reach.0), triangle(size.height, reach.1));
        Self { pixels, width: size.width as usize, across, down }
    }

    /// Red, green and blue of places.
    pub(super) fn at(&self, x: &[f32; LANES], y: &[f32; LANES]) -> [[f32; LANES]; 3] {
        let mut channels = [[0.0; LANES]; 3];
        for (lane, (x, y)) in x.iter().zip(y).enumerate() {
            let colour = self.one(f64::from(*x), f64::from(*y));
            channels.iter_mut().zip(colour).for_each(|(channel, value)| channel[lane] = value);
        }
        channels
    }

    fn one(&self, x: f64, y: f64) -> [f32; 3] {
        let (columns, rows) = (self.across.around(x), self.down.around(y));
        let mut sum = [0.0; 3];
        for &(row, down) in &rows.taps[..rows.count] {
            for &(column, along) in &columns.taps[..columns.count] {
                let pixel = self.pixels[row * self.width + column];
                let weight = down * along;
                sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * f32::from(value));
            }
        }
        sum
    }
}

/// The weights of pixels along one axis.
struct Triangle {
    length: i64,
    reach: f64,
    padding: Padding,
}

/// Pixels with their weights, which sum to 1, or to less where some are black beyond the edge.
struct Taps {
    taps: [(usize, f32); MOST],
    count: usize,
}

impl Triangle {
    fn around(&self, place: f64) -> Taps {
        // Beyond the horizon there may be no number, or one too large to count pixels with.
        let place = if place.is_finite() { place.clamp(-1e9, 1e9) } else { 0.0 };
        let first = (place - self.reach - 0.5).ceil() as i64;
        let last = (place + self.reach - 0.5).floor() as i64;
        let mut taps = Taps { taps: [(0, 0.0); MOST], count: 0 };
        let mut total = 0.0;
        for pixel in (first..=last).take(MOST) {
            let weight = (1.0 - (pixel as f64 + 0.5 - place).abs() / self.reach) as f32;
            total += weight;
            if let Some(pixel) = self.padding.pixel(pixel, self.length) {
                taps.taps[taps.count] = (pixel, weight);
                taps.count += 1;
            }
        }
        taps.taps[..taps.count].iter_mut().for_each(|(_, weight)| *weight /= total);
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(reach: f64, padding: Padding, place: f64) -> Vec<(usize, f32)> {
        let taps = Triangle { length: 4, reach, padding }.around(place);
        taps.taps[..taps.count].to_vec()
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
    fn the_reach_is_what_a_pixel_covers_less_what_is_already_soft() {
        let frame = PictureSize { width: 10, height: 10 };
        let shrink = |x: f64, y: f64, resized| reach(&Homography::scale(x, y), frame, resized);
        assert_eq!(shrink(2.0, 0.5, false), (2.0, 1.0));
        assert_eq!(shrink(2.0, 1.4, true), (3.0_f64.sqrt(), 1.0));
        assert_eq!(shrink(100.0, f64::NAN, true), (FURTHEST, 1.0));
    }

    #[test]
    fn places_that_are_no_numbers_stay_within_the_picture() {
        for place in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            for padding in [Padding::Reflection, Padding::Border, Padding::Zeros] {
                let taps = around(3.7, padding, place);
                assert!(taps.iter().all(|(pixel, weight)| *pixel < 4 && weight.is_finite()), "{taps:?}");
            }
        }
    }
}
