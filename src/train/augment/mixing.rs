//! Pictures of a batch mixed with each other: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019).

use rand::{RngExt as _, seq::SliceRandom as _};
use rand_distr::{Beta, Distribution as _};
use serde::{Deserialize, Serialize};

use crate::model::Task;
use crate::picture::PictureSize;
use crate::train::random::{Purpose, draws};

/// How pictures of a batch are mixed, for labels alone: the targets are mixed in the same shares.
///
/// Where both ways are on, each batch has one of them, either as likely (as in timm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mixing {
    /// Blends pictures; their shares are Beta(alpha, alpha). 0 for never, at most 10.
    pub mixup_alpha: f64,
    /// Pastes a rectangle of one picture into another, whose share of the area is Beta(alpha, alpha). 0 for never, at
    /// most 10.
    pub cutmix_alpha: f64,
}

/// How the pictures of one batch are mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// For each picture, the place of the other in the batch.
    partners: Vec<usize>,
    /// For each picture, how much of it stays, 0…1.
    shares: Vec<f64>,
    /// The middles of the rectangles in shares of the frame's sides; `None` where pictures are blended.
    centres: Option<Vec<(f64, f64)>>,
}

impl Mixing {
    /// Whether pictures stay as they are.
    pub fn is_none(&self) -> bool {
        self.mixup_alpha == 0.0 && self.cutmix_alpha == 0.0
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence about the first value that is out of its range.
    pub fn validate(&self) -> Result<(), String> {
        for (name, alpha) in [("mixup", self.mixup_alpha), ("cutmix", self.cutmix_alpha)] {
            // Below .01 a Beta distribution is all 0 and 1.
            if alpha != 0.0 && !(0.01..=10.0).contains(&alpha) {
                return Err(format!("{name} {alpha} is neither 0, for never, nor in .01…10"));
            }
        }
        Ok(())
    }

    /// Checks that the task's targets can be mixed.
    ///
    /// # Errors
    /// A sentence where they cannot.
    pub fn suits(&self, task: &Task) -> Result<(), String> {
        match task {
            Task::MultiLabel { .. } | Task::SingleLabel { .. } => Ok(()),
            _ if self.is_none() => Ok(()),
            Task::Points(_) => {
                Err("mixup and cutmix train labels: a mixture of two pictures has two sets of points, and a \
                                    model answers one"
                    .to_owned())
            }
            Task::Values(_) => {
                Err("mixup and cutmix train labels: the value of a mixture of two pictures is not known".to_owned())
            }
        }
    }

    /// Draws for a batch by its place in the epoch; `None` where its pictures stay as they are.
    pub fn draw(&self, seed: u64, epoch: u64, step: u64, count: usize) -> Option<Mix> {
        if self.is_none() || count < 2 {
            return None;
        }
        let mut stream = draws(seed, Purpose::Mix, epoch, step);
        let first = stream.random::<f64>() < 0.5;
        let cut = if self.mixup_alpha > 0.0 && self.cutmix_alpha > 0.0 { first } else { self.cutmix_alpha > 0.0 };
        let alpha = if cut { self.cutmix_alpha } else { self.mixup_alpha };
        // In a random circle nobody is their own partner.
        let mut circle: Vec<usize> = (0..count).collect();
        circle.shuffle(&mut stream);
        let mut partners = vec![0; count];
        for (place, &picture) in circle.iter().enumerate() {
            partners[picture] = circle[(place + 1) % count];
        }
        let shares = Beta::new(alpha, alpha).ok()?.sample_iter(&mut stream).take(count).collect();
        let centres = cut.then(|| (0..count).map(|_| (stream.random(), stream.random())).collect());
        Some(Mix { partners, shares, centres })
    }
}

impl Mix {
    /// Mixes pixels [B, H, W, 3] and targets [B, L], in place and in exactly the same shares.
    pub fn apply(&self, pixels: &mut [u8], targets: &mut [f32], frame: PictureSize) {
        let count = self.partners.len();
        let (picture_len, labels) = (pixels.len() / count, targets.len() / count);
        if picture_len == 0 || labels == 0 {
            return;
        }
        let (own_pixels, own_targets) = (pixels.to_vec(), targets.to_vec());
        let pairs = pixels.chunks_exact_mut(picture_len).zip(targets.chunks_exact_mut(labels));
        for (place, (pixels, targets)) in pairs.enumerate() {
            let partner = self.partners[place];
            let other = &own_pixels[partner * picture_len..][..picture_len];
            let share = match &self.centres {
                None => {
                    let share = self.shares[place] as f32;
                    pixels.iter_mut().zip(other).for_each(|(own, other)| {
                        *own = (mixed(f32::from(*own), f32::from(*other), share) + 0.5) as u8;
                    });
                    share
                }
                Some(centres) => Cut::new(self.shares[place], centres[place], frame).paste(pixels, other, frame),
            };
            let other = &own_targets[partner * labels..][..labels];
            targets.iter_mut().zip(other).for_each(|(own, other)| *own = mixed(*own, *other, share));
        }
    }
}

fn mixed(own: f32, other: f32, share: f32) -> f32 {
    share * own + (1.0 - share) * other
}

/// A rectangle of whole pixels.
struct Cut {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Cut {
    /// The paper's: sides of √(1 − share) of the frame's around a centre, cut off at the edges.
    fn new(share: f64, centre: (f64, f64), frame: PictureSize) -> Self {
        let side = (1.0 - share).max(0.0).sqrt();
        let edges = |length: u32, centre: f64| {
            let (length, half) = (f64::from(length), (f64::from(length) * side / 2.0).floor());
            let centre = (length * centre).floor();
            ((centre - half).max(0.0) as usize, (centre + half).min(length) as usize)
        };
        let ((left, right), (top, bottom)) = (edges(frame.width, centre.0), edges(frame.height, centre.1));
        Self { left, right, top, bottom }
    }

    /// Pastes the other picture's rectangle, and says how much of the own one stays.
    fn paste(&self, own: &mut [u8], other: &[u8], frame: PictureSize) -> f32 {
        let row_len = 3 * frame.width as usize;
        for row in self.top..self.bottom {
            let columns = row * row_len + 3 * self.left..row * row_len + 3 * self.right;
            own[columns.clone()].copy_from_slice(&other[columns]);
        }
        let cut = (self.right - self.left) * (self.bottom - self.top);
        1.0 - cut as f32 / (frame.width as f32 * frame.height as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Values;

    const FRAME: PictureSize = PictureSize { width: 20, height: 12 };
    const LEN: usize = 20 * 12 * 3;
    const COUNT: usize = 6;

    /// Picture i is 40·i everywhere and has label i alone.
    fn batch() -> (Vec<u8>, Vec<f32>) {
        let pixels = (0..COUNT).flat_map(|picture| vec![40 * picture as u8; LEN]).collect();
        let targets = (0..COUNT * COUNT).map(|i| f32::from(u8::from(i / COUNT == i % COUNT))).collect();
        (pixels, targets)
    }

    #[test]
    fn blended_pixels_and_targets_have_the_same_shares() {
        let mixing = Mixing { mixup_alpha: 0.4, cutmix_alpha: 0.0 };
        for step in 0..20 {
            let mix = mixing.draw(1, 0, step, COUNT).unwrap();
            let (mut pixels, mut targets) = batch();
            mix.apply(&mut pixels, &mut targets, FRAME);
            for picture in 0..COUNT {
                let (own, other) = (mix.shares[picture] as f32, mix.partners[picture]);
                let expected = 40.0 * (own * picture as f32 + (1.0 - own) * other as f32);
                let right = |value: &u8| (f32::from(*value) - expected).abs() < 0.501;
                assert!(pixels[picture * LEN..][..LEN].iter().all(right));
                let row = &targets[picture * COUNT..][..COUNT];
                assert_eq!((row[picture], row[other]), (own, 1.0 - own));
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_cut_has_exactly_the_share_that_the_targets_give_it() {
        let mixing = Mixing { mixup_alpha: 0.0, cutmix_alpha: 1.0 };
        let (mut smallest, mut largest) = (1.0_f32, 0.0_f32);
        for step in 0..50 {
            let mix = mixing.draw(1, 0, step, COUNT).unwrap();
            let (mut pixels, mut targets) = batch();
            mix.apply(&mut pixels, &mut targets, FRAME);
            for picture in 0..COUNT {
                let values = &pixels[picture * LEN..][..LEN];
                let pasted = values.iter().filter(|value| usize::from(**value) == 40 * mix.partners[picture]).count();
                let kept = values.iter().filter(|value| usize::from(**value) == 40 * picture).count();
                assert_eq!(pasted + kept, LEN);
                let row = &targets[picture * COUNT..][..COUNT];
                assert!((row[mix.partners[picture]] - pasted as f32 / LEN as f32).abs() < 1e-6);
                assert!((row[picture] - kept as f32 / LEN as f32).abs() < 1e-6);
                (smallest, largest) = (smallest.min(row[picture]), largest.max(row[picture]));
            }
        }
        assert!(smallest < 0.4 && largest > 0.9, "{smallest} {largest}");
    }

    #[test]
    fn everybody_has_another_for_partner_and_is_one_partner() {
        let mixing = Mixing { mixup_alpha: 1.0, cutmix_alpha: 0.0 };
        for step in 0..20 {
            let mut partners = mixing.draw(1, 2, step, 9).unwrap().partners;
            assert!(partners.iter().enumerate().all(|(picture, partner)| picture != *partner));
            partners.sort_unstable();
            assert_eq!(partners, (0..9).collect::<Vec<_>>());
        }
    }

    #[test]
    fn shares_are_of_the_beta_distribution_and_both_ways_as_likely() {
        let mixing = Mixing { mixup_alpha: 0.4, cutmix_alpha: 0.4 };
        let drawn: Vec<Mix> = (0..1000).map(|step| mixing.draw(4, 0, step, 8).unwrap()).collect();
        let cuts = drawn.iter().filter(|mix| mix.centres.is_some()).count();
        assert!((cuts as f64 / 1000.0 - 0.5).abs() < 0.06, "{cuts}");
        let shares: Vec<f64> = drawn.iter().flat_map(|mix| mix.shares.clone()).collect();
        let mean = shares.iter().sum::<f64>() / 8000.0;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 8000.0;
        // Beta(a, a) has mean 1/2 and variance 1/(4(2a + 1)).
        assert!((mean - 0.5).abs() < 0.02 && (variance - 0.25 / 1.8).abs() < 0.005, "{mean} {variance}");
    }

    #[test]
    fn a_draw_is_a_function_of_seed_epoch_and_step() {
        let mixing = Mixing { mixup_alpha: 0.4, cutmix_alpha: 1.0 };
        let first = mixing.draw(1, 2, 3, 8);
        assert_eq!(first, mixing.draw(1, 2, 3, 8));
        for other in [mixing.draw(2, 2, 3, 8), mixing.draw(1, 3, 3, 8), mixing.draw(1, 2, 4, 8)] {
            assert_ne!(first, other);
        }
        assert_eq!(Mixing::default().draw(1, 2, 3, 8), None);
        assert_eq!(mixing.draw(1, 2, 3, 1), None);
    }

    #[test]
    fn only_labels_are_mixed() {
        let values = Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() });
        let mixing = Mixing { mixup_alpha: 0.4, cutmix_alpha: 0.0 };
        assert!(mixing.suits(&values).unwrap_err().contains("not known"));
        assert_eq!(Mixing::default().suits(&values), Ok(()));
        assert_eq!(mixing.suits(&Task::SingleLabel { labels: Vec::new() }), Ok(()));
        for wrong in [-0.1, 0.001, 11.0, f64::NAN] {
            assert!(Mixing { cutmix_alpha: wrong, ..mixing }.validate().unwrap_err().contains("cutmix"));
        }
    }
}
