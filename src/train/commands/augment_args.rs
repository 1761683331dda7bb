//! Flags of `fit` about changing training pictures at random.

use clap::Args;

use crate::train::augment::Augmentation;

/// How training pictures are changed at random, fastai's `aug_transforms`.
#[derive(Debug, Args)]
pub struct AugmentArgs {
    /// Train on the pictures as they are.
    #[arg(long)]
    pub no_augment: bool,
    /// Never mirror.
    #[arg(long)]
    pub no_flip: bool,
    /// Degrees.
    #[arg(long, default_value_t = Augmentation::default().max_rotate)]
    pub max_rotate: f64,
    /// The largest zoom.
    #[arg(long, default_value_t = Augmentation::default().max_zoom)]
    pub max_zoom: f64,
    /// The largest perspective warp.
    #[arg(long, default_value_t = Augmentation::default().max_warp)]
    pub max_warp: f64,
    /// The largest change of brightness and contrast.
    #[arg(long, default_value_t = Augmentation::default().max_lighting)]
    pub max_lighting: f64,
}

impl AugmentArgs {
    pub(super) fn augmentation(&self) -> Augmentation {
        if self.no_augment {
            return Augmentation::none();
        }
        Augmentation {
            flip: !self.no_flip,
            max_rotate: self.max_rotate,
            max_zoom: self.max_zoom,
            max_warp: self.max_warp,
            max_lighting: self.max_lighting,
            ..Augmentation::default()
        }
    }
}
