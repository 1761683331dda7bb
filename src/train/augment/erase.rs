//! A random rectangle of a training picture is hidden (Zhong et al. 2017, "Random Erasing Data Augmentation").

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use rand_distr::{Distribution as _, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::onnx::arch::{IMAGENET_MEAN, IMAGENET_STD};
use crate::picture::PictureSize;
use crate::train::random::{Purpose, draws};

/// Draws before a picture is left whole.
const ATTEMPTS: usize = 10;

/// How often and how much is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// How often a picture loses a rectangle; never by default.
    pub p: f64,
    /// The smallest rectangle, as a share of the frame's area.
    pub min_area: f64,
    /// The largest rectangle.
    pub max_area: f64,
    /// By how much a rectangle may be wider or narrower than the frame's shape; 1 or more.
    pub max_stretch: f64,
    /// What is seen in its place.
    pub fill: Fill,
}

/// What is seen where a picture is hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// Normal noise with the mean and deviation of ImageNet's pixels, each channel of each pixel on its own.
    #[default]
    Noise,
    /// The mean of ImageNet's pixels.
    Mean,
}

impl Default for Erasing {
    /// timm's: 2 % to a third of the area, .3 to 1/.3 of the shape.
    fn default() -> Self {
        Self { p: 0.0, min_area: 0.02, max_area: 0.33, max_stretch: 1.0 / 0.3, fill: Fill::Noise }
    }
}

/// A hidden rectangle, in shares of the frame from left to right and top to bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Erasure {
    /// Its left and upper edges.
    pub start: (f64, f64),
    /// Its right and lower edges.
    pub end: (f64, f64),
    /// What is seen there.
    pub fill: Fill,
    /// Draws the noise.
    pub noise: u64,
}

impl Erasing {
    pub(super) fn validate(&self) -> Result<(), String> {
        let Self { p, min_area, max_area, max_stretch, .. } = *self;
        if !(0.0..=1.0).contains(&p) {
            return Err(format!("augmentation: a picture cannot lose a rectangle with a probability of {p}"));
        }
        if !(min_area > 0.0 && min_area <= max_area && max_area < 1.0) {
            return Err(format!("augmentation: a hidden rectangle of {min_area} to {max_area} is not in 0…1"));
        }
        let right = (1.0..=10.0).contains(&max_stretch);
        if right { Ok(()) } else { Err(format!("augmentation: max_stretch {max_stretch} of erasing is not in 1…10")) }
    }

    /// Draws for one picture.
    pub(super) fn draw(&self, seed: u64, epoch: u64, item: u64) -> Option<Erasure> {
        if self.p == 0.0 {
            return None;
        }
        let mut stream = draws(seed, Purpose::Erase, epoch, item);
        let (chance, noise) = (stream.random::<f64>(), stream.random());
        let mut between = |low: f64, high: f64| low + stream.random::<f64>() * (high - low);
        if chance >= self.p {
            return None;
        }
        let reach = self.max_stretch.ln();
        for _ in 0..ATTEMPTS {
            let area = between(self.min_area, self.max_area);
            let stretch = between(-reach, reach).exp();
            let (width, height) = ((area * stretch).sqrt(), (area / stretch).sqrt());
            if width < 1.0 && height < 1.0 {
                let start = (between(0.0, 1.0 - width), between(0.0, 1.0 - height));
                let end = (start.0 + width, start.1 + height);
                return Some(Erasure { start, end, fill: self.fill, noise });
            }
        }
        None
    }
}

impl Erasure {
    /// Hides the rectangle in pixels, [height, width, 3] of a frame, to the nearest whole pixel.
    pub fn apply(&self, pixels: &mut [u8], frame: PictureSize) {
        let edge = |share: f64, side: u32| (share * f64::from(side)).round().clamp(0.0, f64::from(side)) as usize;
        let (left, right) = (edge(self.start.0, frame.width), edge(self.end.0, frame.width));
        let (top, bottom) = (edge(self.start.1, frame.height), edge(self.end.1, frame.height));
        let mut stream = ChaCha8Rng::seed_from_u64(self.noise);
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        for row in pixels.chunks_exact_mut(frame.width.max(1) as usize).take(bottom).skip(top) {
            for value in row.iter_mut().take(right).skip(left).flat_map(|pixel| pixel.iter_mut().enumerate()) {
                let (channel, value) = value;
                let noise = match self.fill {
                    Fill::Noise => StandardNormal.sample(&mut stream),
                    Fill::Mean => 0.0,
                };
                let colour: f32 = IMAGENET_MEAN[channel] + noise * IMAGENET_STD[channel];
                *value = (255.0 * colour).round() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: PictureSize = PictureSize { width: 40, height: 30 };

    #[test]
    fn rectangles_come_as_often_and_as_large_as_asked_for() {
        let erasing = Erasing { p: 0.25, ..Erasing::default() };
        let drawn: Vec<Erasure> = (0..4000).filter_map(|item| erasing.draw(3, 1, item)).collect();
        assert!((drawn.len() as f64 / 4000.0 - 0.25).abs() < 0.03, "{}", drawn.len());
        for Erasure { start, end, .. } in &drawn {
            let (width, height) = (end.0 - start.0, end.1 - start.1);
            assert!(start.0 >= 0.0 && start.1 >= 0.0 && end.0 <= 1.0 && end.1 <= 1.0);
            assert!((0.02 - 1e-9..0.33 + 1e-9).contains(&(width * height)));
            assert!((0.3 - 1e-9..=1.0 / 0.3 + 1e-9).contains(&(width / height)));
        }
        assert!(drawn.iter().any(|erasure| erasure.end.0 - erasure.start.0 > 0.7));
        assert_eq!(Erasing::default().draw(3, 1, 0), None);
    }

    #[test]
    fn only_the_rectangle_is_hidden() {
        let erasure = Erasure { start: (0.25, 0.5), end: (0.75, 0.9), fill: Fill::Mean, noise: 1 };
        for fill in [Fill::Mean, Fill::Noise] {
            // Two grounds: noise may give the colour of one, and not of both.
            let mut grounds = [vec![0; 40 * 30 * 3], vec![255; 40 * 30 * 3]];
            grounds.iter_mut().for_each(|pixels| Erasure { fill, ..erasure }.apply(pixels, FRAME));
            let [black, white] = grounds.each_ref().map(|pixels| pixels.as_chunks::<3>().0);
            for (place, (on_black, on_white)) in black.iter().zip(white).enumerate() {
                let hidden = (10..30).contains(&(place % 40)) && (15..27).contains(&(place / 40));
                assert_eq!(on_black == on_white, hidden, "{place}: {on_black:?} {on_white:?}");
                if hidden && fill == Fill::Mean {
                    assert_eq!(*on_black, [124, 116, 104]);
                }
            }
        }
    }

    #[test]
    fn noise_has_imagenets_mean_and_deviation() {
        let erasure = Erasure { start: (0.0, 0.0), end: (1.0, 1.0), fill: Fill::Noise, noise: 5 };
        let mut pixels = vec![0; 40 * 30 * 3];
        erasure.apply(&mut pixels, FRAME);
        let blue: Vec<f64> = pixels.as_chunks::<3>().0.iter().map(|pixel| f64::from(pixel[2]) / 255.0).collect();
        let mean = blue.iter().sum::<f64>() / 1200.0;
        let deviation = (blue.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1200.0).sqrt();
        assert!((mean - 0.406).abs() < 0.03 && (deviation - 0.225).abs() < 0.03, "{mean} {deviation}");
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        assert_eq!(Erasing { p: 0.5, ..Erasing::default() }.validate(), Ok(()));
        let wrong = [
            Erasing { p: 1.1, ..Erasing::default() },
            Erasing { min_area: 0.5, ..Erasing::default() },
            Erasing { max_area: 1.0, ..Erasing::default() },
            Erasing { max_stretch: 0.3, ..Erasing::default() },
        ];
        assert!(wrong.iter().all(|erasing| erasing.validate().is_err()));
    }
}
