//! A random part of the picture, stretched to the frame: fastai's and torchvision's random resized crop.
//!
//! Training alone crops; judging and serving see the recipe's resize rule. The part is cut out of the whole picture,
//! whatever that rule cuts away, and transforms that look beyond the part's edges find what is in the picture there.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::Homography;
use crate::picture::PictureSize;
use crate::train::random::{Purpose, draws};

/// Draws before a picture is so long that its largest allowed part is taken.
const ATTEMPTS: usize = 10;
/// Pixels of a kept picture for each of the frame's: twice its sides, so that parts down to a quarter keep their detail.
const KEPT_PIXELS: f64 = 4.0;

/// Which parts of pictures a run trains on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomCrop {
    /// The smallest part, as a share of the picture's area.
    pub min_area: f64,
    /// The largest part.
    pub max_area: f64,
    /// By how much a part may be wider or narrower than the frame's shape; 1 or more.
    pub max_stretch: f64,
}

impl Default for RandomCrop {
    /// fastai's: 8 % to all of the area, 3/4 to 4/3 of the shape.
    fn default() -> Self {
        Self { min_area: 0.08, max_area: 1.0, max_stretch: 4.0 / 3.0 }
    }
}

/// A part of a picture, in −1…1 coordinates of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Its middle.
    pub centre: (f64, f64),
    /// The half of its width and height, so the shares of the picture's that it has; 1 is the whole.
    pub half: (f64, f64),
}

impl RandomCrop {
    pub(super) fn validate(&self) -> Result<(), String> {
        let Self { min_area, max_area, max_stretch } = *self;
        if !(min_area >= 0.01 && min_area <= max_area && max_area <= 1.0) {
            return Err(format!("augmentation: a random crop of {min_area} to {max_area} of the area is not in .01…1"));
        }
        let right = (1.0..=4.0).contains(&max_stretch);
        if right { Ok(()) } else { Err(format!("augmentation: max_stretch {max_stretch} of a crop is not in 1…4")) }
    }

    /// Draws a part of a picture of this size for a frame of that shape.
    pub fn draw(&self, (seed, epoch, item): (u64, u64, u64), picture: PictureSize, frame: PictureSize) -> Crop {
        let mut stream = draws(seed, Purpose::Crop, epoch, item);
        let mut between = |low: f64, high: f64| low + stream.random::<f64>() * (high - low);
        // How many times wider the picture is than a part of the frame's shape and of its own height.
        let excess = shape(picture) / shape(frame);
        let reach = self.max_stretch.ln();
        for _ in 0..ATTEMPTS {
            let area = between(self.min_area, self.max_area);
            let stretch = between(-reach, reach).exp() / excess;
            let half = ((area * stretch).sqrt(), (area / stretch).sqrt());
            if half.0 <= 1.0 && half.1 <= 1.0 {
                let mut anywhere = |half: f64| between(half - 1.0, 1.0 - half);
                return Crop { centre: (anywhere(half.0), anywhere(half.1)), half };
            }
        }
        Crop { centre: (0.0, 0.0), half: self.largest(excess) }
    }

    /// The largest part whose shape is allowed.
    fn largest(&self, excess: f64) -> (f64, f64) {
        if excess > self.max_stretch {
            (self.max_stretch / excess, 1.0)
        } else if excess < 1.0 / self.max_stretch {
            (1.0, excess * self.max_stretch)
        } else {
            (1.0, 1.0)
        }
    }

    /// The size at which a whole picture is kept to be cropped: its own shape, four times the frame's pixels, and never
    /// larger than it is.
    pub fn kept_size(picture: PictureSize, frame: PictureSize) -> PictureSize {
        let pixels = |size: PictureSize| f64::from(size.width) * f64::from(size.height);
        let share = (KEPT_PIXELS * pixels(frame) / pixels(picture)).sqrt().min(1.0);
        let side = |side: u32| ((f64::from(side) * share).round() as u32).max(1);
        PictureSize { width: side(picture.width), height: side(picture.height) }
    }
}

impl Crop {
    /// From −1…1 coordinates of the part to those of the whole picture.
    pub(super) fn homography(&self) -> Homography {
        let (half, centre) = (self.half, self.centre);
        Homography { rows: [[half.0, 0.0, centre.0], [0.0, half.1, centre.1], [0.0, 0.0, 1.0]] }
    }
}

fn shape(size: PictureSize) -> f64 {
    f64::from(size.width) / f64::from(size.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: PictureSize = PictureSize { width: 64, height: 64 };

    #[test]
    fn parts_have_the_areas_and_shapes_that_were_asked_for_and_lie_within() {
        let crop = RandomCrop { min_area: 0.3, ..RandomCrop::default() };
        for (width, height) in [(300, 200), (200, 300), (64, 64)] {
            let picture = PictureSize { width, height };
            let (mut areas, mut shapes) = (Vec::new(), Vec::new());
            for item in 0..500 {
                let Crop { centre, half } = crop.draw((1, 0, item), picture, FRAME);
                assert!(centre.0.abs() + half.0 <= 1.0 + 1e-12 && centre.1.abs() + half.1 <= 1.0 + 1e-12);
                areas.push(half.0 * half.1);
                shapes.push(half.0 / half.1 * shape(picture));
            }
            let within = |values: &[f64], low: f64, high: f64| values.iter().all(|v| (low..=high).contains(v));
            assert!(within(&areas, 0.3 - 1e-12, 1.0 + 1e-12) && within(&shapes, 0.75 - 1e-9, 4.0 / 3.0 + 1e-9));
            assert!(areas.iter().any(|area| *area < 0.4) && shapes.iter().any(|shape| *shape > 1.2));
        }
    }

    #[test]
    fn too_long_a_picture_gives_its_middle() {
        let crop = RandomCrop { min_area: 0.9, ..RandomCrop::default() };
        let long = PictureSize { width: 800, height: 100 };
        assert_eq!(crop.draw((1, 2, 3), long, FRAME), Crop { centre: (0.0, 0.0), half: (1.0 / 6.0, 1.0) });
        let tall = PictureSize { width: 100, height: 800 };
        let Crop { centre, half } = crop.draw((1, 2, 3), tall, FRAME);
        assert_eq!((centre, half.0), ((0.0, 0.0), 1.0));
        assert!((half.1 - 1.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn kept_pictures_are_twice_the_frame_and_never_enlarged() {
        let kept = |width, height| {
            let size = RandomCrop::kept_size(PictureSize { width, height }, FRAME);
            (size.width, size.height)
        };
        assert_eq!(kept(1000, 1000), (128, 128));
        assert_eq!(kept(1600, 400), (256, 64));
        assert_eq!(kept(100, 80), (100, 80));
        assert_eq!(kept(100_000, 1), (40_477, 1));
    }

    #[test]
    fn areas_that_cannot_be_are_refused() {
        assert_eq!(RandomCrop::default().validate(), Ok(()));
        for (min_area, max_area) in [(0.0, 1.0), (0.5, 0.4), (0.5, 1.1), (f64::NAN, 1.0)] {
            assert!(RandomCrop { min_area, max_area, ..RandomCrop::default() }.validate().is_err());
        }
        assert!(RandomCrop { max_stretch: 0.5, ..RandomCrop::default() }.validate().is_err());
    }
}
