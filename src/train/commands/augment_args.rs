//! Flags of `fit` about changing training pictures at random.

use clap::{Args, ValueEnum};

use crate::train::augment::{Augmentation, Erasing, Fill, Mixing, Padding, RandomCrop};

/// How training pictures are changed at random: fastai's `aug_transforms`, random crops, erasing and mixing.
#[derive(Debug, Args)]
pub struct AugmentArgs {
    /// Train on the pictures as they are.
    #[arg(long, conflicts_with_all = [
        "no_flip", "flip_vertical", "dihedral", "max_rotate", "min_zoom", "max_zoom", "max_warp", "max_lighting",
        "padding", "random_crop", "erase", "erase_fill", "mixup", "cutmix",
    ])]
    pub no_augment: bool,
    /// Never mirror.
    #[arg(long, conflicts_with = "dihedral")]
    pub no_flip: bool,
    /// Mirror top to bottom too, for pictures that have no up and down.
    #[arg(long)]
    pub flip_vertical: bool,
    /// Show each picture in any of the eight symmetries of a square, for aerial photos and microscopy.
    #[arg(long)]
    pub dihedral: bool,
    /// Degrees.
    #[arg(long, default_value_t = Augmentation::default().max_rotate)]
    pub max_rotate: f64,
    /// The smallest zoom; below 1 shows what lies beyond the edges.
    #[arg(long, default_value_t = Augmentation::default().min_zoom)]
    pub min_zoom: f64,
    /// The largest zoom.
    #[arg(long, default_value_t = Augmentation::default().max_zoom)]
    pub max_zoom: f64,
    /// The largest perspective warp.
    #[arg(long, default_value_t = Augmentation::default().max_warp)]
    pub max_warp: f64,
    /// The largest change of brightness and contrast.
    #[arg(long, default_value_t = Augmentation::default().max_lighting)]
    pub max_lighting: f64,
    /// What lies beyond a picture's edges.
    #[arg(long, value_enum, default_value_t = PaddingArg::Reflection)]
    pub padding: PaddingArg,
    /// Show a random part of each picture, of this share of its area or more, such as 0.35, stretched to the frame by up to a
    /// third. Judging and serving keep to --method.
    #[arg(long, value_name = "MIN_AREA")]
    pub random_crop: Option<f64>,
    /// Hide a random rectangle, of 2 % to a third of the area, with this probability, such as 0.25.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.0)]
    pub erase: f64,
    /// What is seen in its place.
    #[arg(long, value_enum, default_value_t = FillArg::Noise, requires = "erase")]
    pub erase_fill: FillArg,
    /// Labels: blend pictures of a batch, and their targets, by shares of Beta(ALPHA, ALPHA), such as 0.4.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0)]
    pub mixup: f64,
    /// Labels: paste a rectangle of one picture into another, its share being Beta(ALPHA, ALPHA), such as 1. With --mixup
    /// each batch has one of the two.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0)]
    pub cutmix: f64,
}

/// See [`Padding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PaddingArg {
    /// The picture mirrored at its edges.
    Reflection,
    /// The pixels of its edges, drawn out.
    Border,
    /// Black.
    Zeros,
}

/// See [`Fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FillArg {
    /// Normal noise like ImageNet's pixels.
    Noise,
    /// The mean of ImageNet's pixels.
    Mean,
}

impl AugmentArgs {
    /// Not yet checked.
    pub(super) fn augmentation(&self) -> Augmentation {
        if self.no_augment {
            return Augmentation::none();
        }
        Augmentation {
            flip: !self.no_flip,
            flip_vertical: self.flip_vertical || self.dihedral,
            transpose: self.dihedral,
            max_rotate: self.max_rotate,
            min_zoom: self.min_zoom,
            max_zoom: self.max_zoom,
            max_warp: self.max_warp,
            max_lighting: self.max_lighting,
            padding: match self.padding {
                PaddingArg::Reflection => Padding::Reflection,
                PaddingArg::Border => Padding::Border,
                PaddingArg::Zeros => Padding::Zeros,
            },
            crop: self.random_crop.map(|min_area| RandomCrop { min_area, ..RandomCrop::default() }),
            erase: Erasing {
                p: self.erase,
                fill: match self.erase_fill {
                    FillArg::Noise => Fill::Noise,
                    FillArg::Mean => Fill::Mean,
                },
                ..Erasing::default()
            },
            ..Augmentation::default()
        }
    }

    /// Not yet checked.
    pub(super) fn mixing(&self) -> Mixing {
        Mixing { mixup_alpha: self.mixup, cutmix_alpha: self.cutmix }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        augment: AugmentArgs,
    }

    fn parse(flags: &str) -> Result<AugmentArgs, clap::Error> {
        let words = std::iter::once("program").chain(flags.split_whitespace());
        Program::try_parse_from(words).map(|program| program.augment)
    }

    #[test]
    fn no_flag_is_fastais_augmentation_and_nothing_mixed() {
        let args = parse("").unwrap();
        assert_eq!(args.augmentation(), Augmentation::default());
        assert!(args.mixing().is_none());
        assert!(parse("--no-augment").unwrap().augmentation().is_none());
    }

    #[test]
    fn a_vertical_flip_mirrors_as_a_horizontal_one_does() {
        for (flags, mirrors) in [
            ("", true),
            ("--no-flip", false),
            ("--no-flip --flip-vertical", true),
            ("--dihedral", true),
            ("--no-augment", false),
        ] {
            assert_eq!(parse(flags).unwrap().augmentation().mirrors(), mirrors, "{flags:?}");
        }
    }

    #[test]
    fn flags_reach_the_settings() {
        let args =
            parse("--dihedral --padding zeros --random-crop .35 --erase .25 --erase-fill mean --cutmix 1").unwrap();
        let augmentation = args.augmentation();
        assert!(augmentation.flip && augmentation.flip_vertical && augmentation.transpose);
        assert_eq!((augmentation.padding, augmentation.crop.unwrap().min_area), (Padding::Zeros, 0.35));
        assert_eq!((augmentation.erase.p, augmentation.erase.fill), (0.25, Fill::Mean));
        assert_eq!(args.mixing(), Mixing { mixup_alpha: 0.0, cutmix_alpha: 1.0 });
        assert_eq!(augmentation.validate(), Ok(()));
        assert!(parse("--erase 2").unwrap().augmentation().validate().is_err());
    }

    #[test]
    fn flags_that_would_change_nothing_are_refused() {
        for flag in [
            "--no-flip",
            "--max-rotate 30",
            "--min-zoom .9",
            "--max-zoom 1.2",
            "--max-warp .1",
            "--max-lighting .1",
            "--padding zeros",
            "--mixup .4",
        ] {
            assert!(parse(&format!("--no-augment {flag}")).is_err(), "{flag}");
        }
        assert!(parse("--erase-fill mean").is_err());
    }
}
