//! fastai's `aug_transforms`: a picture is mirrored, warped, turned, zoomed, and its lighting changed, at random; a part
//! of it may be cropped, a rectangle hidden, and pictures of a batch mixed.
//!
//! [`Augmentation`] says how far; [`Augmentation::draw`] draws one [`Draw`], a function of (seed, epoch, item) alone, and
//! [`Mixing::draw`] one [`Mix`] for a batch.
//! All geometry is one [`Homography`] from the output to the source in −1…1 coordinates, where −1 is the left or top
//! *edge*, so pixels are resampled once, and points go through its inverse. fastai's own coordinates put −1 in the
//! middle of the first pixel (`align_corners=True`); the transforms are the same, half a pixel of the frame apart.

mod crop;
mod erase;
mod homography;
mod lighting;
mod mixing;
mod padding;
mod resample;
mod settings;
mod shrink;

pub use crop::{Crop, RandomCrop};
pub use erase::{Erasing, Erasure, Fill};
pub use homography::Homography;
pub use lighting::Curve;
pub use mixing::{Mix, Mixing};
pub use padding::Padding;
pub use resample::{Source, resample};
pub use settings::Augmentation;

use crate::model::YRange;
use crate::picture::PictureSize;

/// What was drawn for one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Mirrored left to right.
    pub flip: bool,
    /// How far the perspective moves corners, along x and y, in −1…1 coordinates.
    pub warp: (f64, f64),
    /// Turned by this many degrees; the picture's content turns clockwise where it is negative.
    pub rotate: f64,
    /// How many times larger the content becomes.
    pub zoom: f64,
    /// The point of the frame that a zoom leaves in place, 0…1 from left to right and top to bottom.
    pub centre: (f64, f64),
    /// Added in logit space as logit(brightness); .5 changes nothing.
    pub brightness: f64,
    /// Multiplies in logit space; 1 changes nothing.
    pub contrast: f64,
    /// Mirrored top to bottom.
    pub flip_vertical: bool,
    /// Mirrored along the diagonal from the upper left; in a frame that is not square the content is stretched.
    pub transpose: bool,
    /// The part of the whole picture that is shown; `None` where the source is what the resize rule leaves of it.
    pub crop: Option<Crop>,
    /// What lies beyond the source's edges.
    pub padding: Padding,
    /// A rectangle of the result that is hidden.
    pub erase: Option<Erasure>,
}

impl Draw {
    /// Changes nothing.
    pub const NONE: Self = Self {
        flip: false,
        warp: (0.0, 0.0),
        rotate: 0.0,
        zoom: 1.0,
        centre: (0.5, 0.5),
        brightness: 0.5,
        contrast: 1.0,
        flip_vertical: false,
        transpose: false,
        crop: None,
        padding: Padding::Reflection,
        erase: None,
    };

    /// Whether the source's pixels stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self { padding: self.padding, ..Self::NONE }
    }

    /// Where each point of an output frame of this size comes from in the source; the size matters for its aspect ratio
    /// alone.
    pub fn homography(&self, frame: PictureSize) -> Homography {
        let sign = |mirrored| if mirrored { -1.0 } else { 1.0 };
        let flip = Homography::scale(sign(self.flip), sign(self.flip_vertical));
        let turn = Homography::rotation(self.rotate.to_radians(), frame);
        let zoom = Homography::zoom(1.0 / self.zoom, self.centre);
        let transpose = if self.transpose { Homography::transpose() } else { Homography::scale(1.0, 1.0) };
        let within = Homography::warp(self.warp) * flip * transpose * turn * zoom;
        self.crop.map_or(within, |crop| crop.homography() * within)
    }

    /// Writes the augmented pixels, [height, width, 3] of `frame`.
    pub fn apply(&self, source: &Source<'_>, out: &mut [u8], frame: PictureSize) {
        let lighting = Curve::new(self.brightness, self.contrast);
        resample(source, &self.homography(frame), self.padding, &lighting, out, frame);
        if let Some(erasure) = self.erase {
            erasure.apply(out, frame);
        }
    }

    /// Whether left and right have changed places: by an odd number of mirrors, along whichever lines.
    pub fn is_mirror_image(&self) -> bool {
        self.flip ^ self.flip_vertical ^ self.transpose
    }

    /// Where points of the source go, both in −1…1 coordinates. In a mirror image the two of each flip pair change
    /// places. `None` for points that were `None`, or that no output point comes from.
    pub fn move_points(
        &self,
        points: &[Option<(f64, f64)>],
        frame: PictureSize,
        flip_pairs: &[(usize, usize)],
    ) -> Vec<Option<(f64, f64)>> {
        let Some(inverse) = self.homography(frame).inverse() else { return vec![None; points.len()] };
        let mut moved: Vec<_> = points.iter().map(|point| point.and_then(|point| inverse.apply(point))).collect();
        if self.is_mirror_image() {
            for &(a, b) in flip_pairs.iter().filter(|(a, b)| *a.max(b) < points.len()) {
                moved.swap(a, b);
            }
        }
        moved
    }
}

/// The point if both of its coordinates lie within the range that the model's outputs are confined to.
pub fn trainable((x, y): (f64, f64), y_range: &YRange) -> Option<(f64, f64)> {
    let range = f64::from(y_range.low)..=f64::from(y_range.high);
    (range.contains(&x) && range.contains(&y)).then_some((x, y))
}

/// The nearest whole number of one below 2²² in size, and as an integer where it is not negative.
///
/// A number far below 1.5 · 2²³ that is added to it loses its fraction, and is the sum's lowest bits. The oldest vector instructions
/// can add, and cannot round.
#[inline(always)]
fn rounded(value: f32) -> (f32, u32) {
    const WHOLE: f32 = 12_582_912.0;
    let sum = value + WHOLE;
    (sum - WHOLE, sum.to_bits() & 0x3f_ffff)
}

/// A place along an axis of this length that is mirrored at its edges: as far from 0 as it is from the nearest multiple of the
/// period.
#[inline(always)]
fn mirrored(place: f32, length: f32) -> f32 {
    let (period, periods) = (2.0 * length, 0.5 / length);
    (place - period * rounded(place * periods).0).abs()
}

/// Unlike [`f32::max`] one instruction, and `low` where the value is no number.
#[inline(always)]
fn at_least(low: f32, value: f32) -> f32 {
    if value > low { value } else { low }
}

/// Unlike [`f32::min`] one instruction, and `high` where the value is no number.
#[inline(always)]
fn at_most(high: f32, value: f32) -> f32 {
    if value < high { value } else { high }
}

#[cfg(test)]
mod tests;
