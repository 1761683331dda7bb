//! fastai's `aug_transforms`: a picture is mirrored, warped, turned, zoomed, and its lighting changed, at random.
//!
//! [`Augmentation`] says how far; [`Augmentation::draw`] draws one [`Draw`], a function of (seed, epoch, item) alone.
//! All geometry is one [`Homography`] from the output to the source in −1…1 coordinates, where −1 is the left or top
//! *edge*, so pixels are resampled once, and points go through its inverse. fastai's own coordinates put −1 in the
//! middle of the first pixel (`align_corners=True`); the transforms are the same, half a pixel of the frame apart.

mod homography;
mod lighting;
mod resample;
mod settings;

pub use homography::Homography;
pub use lighting::Curve;
pub use resample::resample;
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
    };

    /// Where each point of an output frame of this size comes from; the size matters for its aspect ratio alone.
    pub fn homography(&self, frame: PictureSize) -> Homography {
        let flip = Homography::scale(if self.flip { -1.0 } else { 1.0 }, 1.0);
        let turn = Homography::rotation(self.rotate.to_radians(), frame);
        let zoom = Homography::zoom(1.0 / self.zoom, self.centre);
        Homography::warp(self.warp) * flip * turn * zoom
    }

    /// The lighting, or `None` where it stays as it is.
    pub fn curve(&self) -> Option<Curve> {
        (self.brightness != 0.5 || self.contrast != 1.0).then(|| Curve::new(self.brightness, self.contrast))
    }

    /// Writes the augmented pixels, 0…255, [height, width, 3] of `frame`, from RGB bytes of a picture of any size.
    pub fn apply(&self, source: &[u8], source_size: PictureSize, out: &mut [f32], frame: PictureSize) {
        resample(source, source_size, &self.homography(frame), out, frame);
        if let Some(curve) = self.curve() {
            curve.apply(out);
        }
    }

    /// Where points go, in −1…1 coordinates of the frame. In a mirrored picture the two of each flip pair change
    /// places. `None` for points that were `None`, or that no output point comes from.
    pub fn move_points(
        &self,
        points: &[Option<(f64, f64)>],
        frame: PictureSize,
        flip_pairs: &[(usize, usize)],
    ) -> Vec<Option<(f64, f64)>> {
        let Some(inverse) = self.homography(frame).inverse() else { return vec![None; points.len()] };
        let mut moved: Vec<_> = points.iter().map(|point| point.and_then(|point| inverse.apply(point))).collect();
        if self.flip {
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

#[cfg(test)]
mod tests;
