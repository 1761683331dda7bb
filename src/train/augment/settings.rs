//! How far pictures are augmented, and how often.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::{Draw, Erasing, Padding, RandomCrop};
use crate::train::random::{Purpose, draws};

/// How far pictures are augmented, and how often. The default is fastai's `aug_transforms()`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Whether every second picture is mirrored left to right.
    pub flip: bool,
    /// The largest turn either way, in degrees.
    pub max_rotate: f64,
    /// The smallest zoom.
    pub min_zoom: f64,
    /// The largest zoom.
    pub max_zoom: f64,
    /// The largest shift of the corners by the perspective, in −1…1 coordinates; below 1.
    pub max_warp: f64,
    /// How much brightness and contrast change; below 1.
    pub max_lighting: f64,
    /// How often a picture is turned, zoomed, and warped along either axis; each is drawn on its own.
    pub p_affine: f64,
    /// How often brightness and contrast change; each is drawn on its own.
    pub p_lighting: f64,
    /// Whether every second picture is mirrored top to bottom.
    pub flip_vertical: bool,
    /// Whether every second picture is mirrored along its diagonal; with both flips that gives all eight symmetries of
    /// a square, fastai's `Dihedral`.
    pub transpose: bool,
    /// What lies beyond a picture's edges.
    pub padding: Padding,
    /// Shows random parts of pictures; none shows what the resize rule does.
    pub crop: Option<RandomCrop>,
    /// Hides random rectangles.
    pub erase: Erasing,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip: true,
            max_rotate: 10.0,
            min_zoom: 1.0,
            max_zoom: 1.1,
            max_warp: 0.2,
            max_lighting: 0.2,
            p_affine: 0.75,
            p_lighting: 0.75,
            flip_vertical: false,
            transpose: false,
            padding: Padding::Reflection,
            crop: None,
            erase: Erasing::default(),
        }
    }
}

impl Augmentation {
    /// Changes nothing.
    pub fn none() -> Self {
        Self { flip: false, p_affine: 0.0, p_lighting: 0.0, ..Self::default() }
    }

    /// Whether nothing ever changes.
    pub fn is_none(&self) -> bool {
        let mirrors = self.flip || self.flip_vertical || self.transpose;
        let moves = self.p_affine > 0.0 || self.crop.is_some();
        !mirrors && !moves && self.p_lighting == 0.0 && self.erase.p == 0.0
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence about the first value that is out of its range.
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            let inside = (low..=high).contains(&value);
            if inside { Ok(()) } else { Err(format!("augmentation: {name} {value} is not in {low}…{high}")) }
        };
        within("max_rotate", self.max_rotate, 0.0, 180.0)?;
        within("min_zoom", self.min_zoom, 0.1, 10.0)?;
        within("max_zoom", self.max_zoom, self.min_zoom, 10.0)?;
        within("max_warp", self.max_warp, 0.0, 0.5)?;
        within("max_lighting", self.max_lighting, 0.0, 0.9)?;
        within("p_affine", self.p_affine, 0.0, 1.0)?;
        within("p_lighting", self.p_lighting, 0.0, 1.0)?;
        self.crop.map_or(Ok(()), |crop| crop.validate())?;
        self.erase.validate()
    }

    /// Whether a picture may become its mirror image, along whichever line.
    pub fn mirrors(&self) -> bool {
        self.flip || self.flip_vertical || self.transpose
    }

    /// Draws for one picture, by its place in the training split; its crop, which depends on the picture's size, is
    /// drawn by [`RandomCrop::draw`].
    ///
    /// As many numbers are drawn whatever the settings, so changing one leaves the other transforms as they were. What
    /// was added later draws after what was there, or from a stream of its own, so that a recipe keeps its pictures.
    pub fn draw(&self, seed: u64, epoch: u64, item: u64) -> Draw {
        self.draw_for(Purpose::Augment, seed, epoch, item)
    }

    /// Draws for one picture and another purpose than training.
    pub fn draw_for(&self, purpose: Purpose, seed: u64, epoch: u64, item: u64) -> Draw {
        let mut stream = draws(seed, purpose, epoch, item);
        let mut unit = || stream.random::<f64>();
        // One number says whether, the next says how far.
        let mut sometimes = |p: f64, low: f64, high: f64, otherwise: f64| {
            let (chance, value) = (unit(), low + unit() * (high - low));
            if chance < p { value } else { otherwise }
        };
        let flip = sometimes(0.5, 1.0, 1.0, 0.0) == 1.0 && self.flip;
        let warp_x = sometimes(self.p_affine, -self.max_warp, self.max_warp, 0.0);
        let warp_y = sometimes(self.p_affine, -self.max_warp, self.max_warp, 0.0);
        let rotate = sometimes(self.p_affine, -self.max_rotate, self.max_rotate, 0.0);
        let zoom = sometimes(self.p_affine, self.min_zoom, self.max_zoom, 1.0);
        let brightness_reach = 0.5 * self.max_lighting;
        let brightness = sometimes(self.p_lighting, 0.5 - brightness_reach, 0.5 + brightness_reach, 0.5);
        let contrast_reach = -(1.0 - self.max_lighting).ln();
        let contrast = sometimes(self.p_lighting, -contrast_reach, contrast_reach, 0.0).exp();
        let centre = (unit(), unit());
        Draw {
            flip,
            warp: (warp_x, warp_y),
            rotate,
            zoom,
            centre,
            brightness,
            contrast,
            flip_vertical: unit() < 0.5 && self.flip_vertical,
            transpose: unit() < 0.5 && self.transpose,
            crop: None,
            padding: self.padding,
            erase: self.erase.draw(seed, epoch, item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_a_function_of_seed_epoch_and_item() {
        let settings = Augmentation::default();
        let first = settings.draw(1, 2, 3);
        assert_eq!(first, settings.draw(1, 2, 3));
        for other in [settings.draw(2, 2, 3), settings.draw(1, 3, 3), settings.draw(1, 2, 4)] {
            assert_ne!(first, other);
        }
        let unlit = Augmentation { p_lighting: 0.0, ..settings }.draw(1, 2, 3);
        assert_eq!(Draw { brightness: first.brightness, contrast: first.contrast, ..unlit }, first);
    }

    #[test]
    fn settings_of_later_times_leave_a_recipes_draws_as_they_were() {
        let first = Augmentation::default().draw(1, 2, 3);
        // What the first version of this drew.
        let drawn = [first.warp.0, first.warp.1, first.rotate, first.zoom, first.centre.0, first.centre.1];
        let recorded = [0.033959456391182696, -0.01357633257883925, 0.0, 1.0, 0.2773962772686973, 0.3539051629153468];
        assert_eq!((first.flip, drawn, first.brightness), (true, recorded, 0.5772987724255909));
        assert!((first.contrast - 0.8541203797519029).abs() < 1e-12);
        let later = Augmentation {
            flip_vertical: true,
            transpose: true,
            padding: Padding::Zeros,
            crop: Some(RandomCrop::default()),
            erase: Erasing { p: 1.0, ..Erasing::default() },
            ..Augmentation::default()
        };
        let Draw { flip_vertical, transpose, padding, erase, .. } = later.draw(1, 2, 3);
        assert_eq!(Draw { flip_vertical, transpose, padding, erase, ..first }, later.draw(1, 2, 3));
        assert!(erase.is_some());
    }

    #[test]
    fn draws_have_fastais_ranges_and_frequencies() {
        let draws: Vec<Draw> = (0..4000).map(|item| Augmentation::default().draw(9, 0, item)).collect();
        let share = |changed: &dyn Fn(&Draw) -> bool| draws.iter().filter(|d| changed(d)).count() as f64 / 4000.0;
        assert!((share(&|d| d.flip) - 0.5).abs() < 0.03);
        for (share, range) in [
            (share(&|d| d.warp.0 != 0.0), draws.iter().all(|d| d.warp.0.abs() <= 0.2)),
            (share(&|d| d.warp.1 != 0.0), draws.iter().all(|d| d.warp.1.abs() <= 0.2)),
            (share(&|d| d.rotate != 0.0), draws.iter().all(|d| d.rotate.abs() <= 10.0)),
            (share(&|d| d.zoom != 1.0), draws.iter().all(|d| (1.0..=1.1).contains(&d.zoom))),
            (share(&|d| d.brightness != 0.5), draws.iter().all(|d| (0.4..=0.6).contains(&d.brightness))),
            (share(&|d| d.contrast != 1.0), draws.iter().all(|d| (0.8..=1.25).contains(&d.contrast))),
        ] {
            assert!((share - 0.75).abs() < 0.03, "{share}");
            assert!(range);
        }
        assert!(draws.iter().any(|d| d.rotate > 9.0) && draws.iter().any(|d| d.rotate < -9.0));
    }

    #[test]
    fn no_augmentation_draws_nothing() {
        let none = Augmentation::none();
        assert!(none.is_none() && !Augmentation::default().is_none());
        for item in 0..50 {
            assert_eq!(Draw { centre: (0.5, 0.5), ..none.draw(1, 1, item) }, Draw::NONE);
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        assert_eq!(Augmentation::default().validate(), Ok(()));
        let wrong = Augmentation { max_zoom: 0.9, ..Augmentation::default() };
        assert!(wrong.validate().unwrap_err().contains("max_zoom 0.9"));
        let wrong = Augmentation { max_warp: f64::NAN, ..Augmentation::default() };
        assert!(wrong.validate().unwrap_err().contains("max_warp"));
    }
}
