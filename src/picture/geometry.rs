//! The map between pixels of the original picture and pixels of the model's frame.
//!
//! Coordinates are continuous: 0 is the left or top edge, and pixel i covers [i, i+1). Targets, augmentation and
//! answers all go through [`Placement`].

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSize {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// How a picture of any shape becomes the model's H × W pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeRule {
    /// What happens to the aspect ratio.
    pub method: ResizeMethod,
    /// The model's frame.
    pub size: PictureSize,
}

/// What happens to the aspect ratio in a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMethod {
    /// The whole picture, its aspect ratio changed to the frame's.
    Squish,
    /// The largest centred part that has the frame's aspect ratio.
    Crop,
    /// The whole picture at its own aspect ratio, centred, with black beside it.
    Pad,
}

/// Where a picture lies in the model's frame: `model = original · scale + offset`, for each axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Model pixels for each pixel of the original, along x and y.
    pub scale: (f64, f64),
    /// Where the original's left and top edges lie in the model's frame, in model pixels.
    pub offset: (f64, f64),
}

impl ResizeRule {
    /// Where a picture of this size (as EXIF orients it) lies in the model's frame.
    pub fn placement(&self, original: PictureSize) -> Placement {
        let (frame_width, frame_height) = (f64::from(self.size.width), f64::from(self.size.height));
        let (width, height) = (f64::from(original.width), f64::from(original.height));
        let (fit_x, fit_y) = (frame_width / width, frame_height / height);
        let scale = match self.method {
            ResizeMethod::Squish => (fit_x, fit_y),
            ResizeMethod::Crop => (fit_x.max(fit_y), fit_x.max(fit_y)),
            ResizeMethod::Pad => (fit_x.min(fit_y), fit_x.min(fit_y)),
        };
        let offset = ((frame_width - width * scale.0) / 2.0, (frame_height - height * scale.1) / 2.0);
        Placement { scale, offset }
    }
}

impl Placement {
    /// A point of the original picture, in pixels of the model's frame.
    pub fn to_model(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (x * self.scale.0 + self.offset.0, y * self.scale.1 + self.offset.1)
    }

    /// A point of the model's frame, in pixels of the original picture.
    pub fn to_original(&self, (x, y): (f64, f64)) -> (f64, f64) {
        ((x - self.offset.0) / self.scale.0, (y - self.offset.1) / self.scale.1)
    }
}

impl PictureSize {
    /// Pixels of this frame as −1…1 coordinates: −1 is the left or top edge, 1 the right or bottom edge.
    pub fn to_unit(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (2.0 * x / f64::from(self.width) - 1.0, 2.0 * y / f64::from(self.height) - 1.0)
    }

    /// −1…1 coordinates of this frame as its pixels; the inverse of [`PictureSize::to_unit`].
    pub fn from_unit(&self, (x, y): (f64, f64)) -> (f64, f64) {
        ((x + 1.0) / 2.0 * f64::from(self.width), (y + 1.0) / 2.0 * f64::from(self.height))
    }
}
