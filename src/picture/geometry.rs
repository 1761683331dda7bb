//! The map between pixels of the original picture and pixels of the model's frame.
//!
//! Coordinates are continuous: 0 is the left or top edge, and pixel i covers [i, i+1). Targets, augmentation and
//! answers all go through [`Placement`].

use std::str::FromStr;

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

impl FromStr for PictureSize {
    type Err = String;

    /// Width, an x, height, such as `224x160`, or one number for a square; both at least 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        match (width.parse(), height.parse()) {
            (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok(Self { width, height }),
            _ => Err(format!("`{text}` is not a size like 224 or 224x160")),
        }
    }
}

impl FromStr for ResizeMethod {
    type Err = String;

    /// `squish`, `crop` or `pad`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "squish" => Ok(Self::Squish),
            "crop" => Ok(Self::Crop),
            "pad" => Ok(Self::Pad),
            _ => Err(format!("`{text}` is not squish, crop or pad")),
        }
    }
}

impl PictureSize {
    /// Width × height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Pixels of this frame as −1…1 coordinates: −1 is the left or top edge, 1 the right or bottom edge.
    pub fn to_unit(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (2.0 * x / f64::from(self.width) - 1.0, 2.0 * y / f64::from(self.height) - 1.0)
    }

    /// −1…1 coordinates of this frame as its pixels; the inverse of [`PictureSize::to_unit`].
    pub fn from_unit(&self, (x, y): (f64, f64)) -> (f64, f64) {
        ((x + 1.0) / 2.0 * f64::from(self.width), (y + 1.0) / 2.0 * f64::from(self.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_methods_are_read_from_text() {
        assert_eq!("224x160".parse(), Ok(PictureSize { width: 224, height: 160 }));
        assert_eq!("224".parse(), Ok(PictureSize { width: 224, height: 224 }));
        for wrong in ["0x5", "5x0", "-1x4", "4x4x4", "x", ""] {
            assert!(wrong.parse::<PictureSize>().is_err(), "{wrong}");
        }
        assert_eq!("pad".parse(), Ok(ResizeMethod::Pad));
        assert!("Pad".parse::<ResizeMethod>().is_err());
    }

    #[test]
    fn a_wide_picture_is_squished_cropped_and_padded_by_hand_computed_numbers() {
        let original = PictureSize { width: 200, height: 100 };
        let placement = |method| ResizeRule { method, size: PictureSize { width: 50, height: 50 } }.placement(original);
        assert_eq!(placement(ResizeMethod::Squish), Placement { scale: (0.25, 0.5), offset: (0.0, 0.0) });
        assert_eq!(placement(ResizeMethod::Crop), Placement { scale: (0.5, 0.5), offset: (-25.0, 0.0) });
        assert_eq!(placement(ResizeMethod::Pad), Placement { scale: (0.25, 0.25), offset: (0.0, 12.5) });
    }

    #[test]
    fn maps_and_their_inverses_cancel() {
        let rule = ResizeRule { method: ResizeMethod::Crop, size: PictureSize { width: 64, height: 48 } };
        let placement = rule.placement(PictureSize { width: 333, height: 777 });
        let (x, y) = placement.to_original(placement.to_model((12.25, 700.5)));
        assert!((x - 12.25).abs() < 1e-9 && (y - 700.5).abs() < 1e-9, "{x} {y}");
        assert_eq!(rule.size.to_unit((64.0, 24.0)), (1.0, 0.0));
        assert_eq!(rule.size.from_unit((1.0, 0.0)), (64.0, 24.0));
    }
}
