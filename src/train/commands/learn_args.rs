//! What to learn, and how: the flags of every command that trains.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use tch::Device;

use super::{augment_args::AugmentArgs, data::TaskArg, loss_args::LossArgs};
use crate::{
    import::parse_channels,
    model::{Task, YRange},
    onnx::arch::{IMAGENET_MEAN, IMAGENET_STD, Normalisation},
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        TrainError,
        backbone::Backbone,
        dataset::Dataset,
        device::parse_device,
        learner::{FrozenBody, Learner},
        loader::Resources,
        precision::PrecisionChoice,
        recipe::{Recipe, Schedule},
        task::{PointSettings, task_of},
        weights::WeightsSource,
    },
};

/// Points whose names and left/right pairs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PointSet {
    /// The 68 facial points of iBUG, in its order.
    Ibug68,
}

/// A learning rate, or that it is to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LearningRate {
    /// The valley of the learning-rate finder.
    Auto,
    /// This one.
    Fixed(f64),
}

impl FromStr for LearningRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Fixed).map_err(|_| "give a number such as 2e-3, or auto".to_owned()),
        }
    }
}

/// What to learn.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// What to learn.
    #[arg(long, value_enum, default_value_t = TaskArg::MultiLabel)]
    pub task: TaskArg,
    /// Points: names, flip pairs and NME pair of a known set.
    #[arg(long, value_enum)]
    pub point_set: Option<PointSet>,
    /// Points: pairs that change places in a mirror image, such as `0:16,1:15`, by name or place, or `none`.
    #[arg(long, value_delimiter = ',')]
    pub flip_pairs: Vec<String>,
    /// Points: the range of coordinates, where −1…1 is the frame [default: -1.2,1.2]. Values: the range of all, or one
    /// range for each in the order of the columns, such as `--y-range 0,120 --y-range -5,5` [default: unbounded].
    #[arg(long, value_parser = parse_range, allow_hyphen_values = true)]
    pub y_range: Vec<YRange>,
}

impl TargetArgs {
    /// The task of a data set; `flips` says whether training pictures are mirrored, `nme_pair` which two points
    /// normalise the error.
    ///
    /// # Errors
    /// Pairs that name no points, or ranges that do not fit.
    pub fn task_of(&self, dataset: &Dataset, flips: bool, nme_pair: Option<String>) -> Result<Task, TrainError> {
        let ibug68 = self.point_set == Some(PointSet::Ibug68);
        let points = PointSettings { ibug68, flips, flip_pairs: self.flip_pairs.clone(), nme_pair };
        task_of(dataset, &self.y_range, &points)
    }
}

/// What to learn, and how.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// What to learn.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// resnet18, resnet34, resnet50, resnet101, mobilenet_v2, or an exported backbone: a .onnx file with float input
    /// [N, 3, H, W] and a classifier at its end, which brings its own weights.
    #[arg(long, default_value = "mobilenet_v2")]
    pub arch: Backbone,
    /// What the backbone's pixels are normalised by: the mean of R, G and B, 0…1 [default: that of a model of your own in
    /// --weights, else ImageNet's].
    #[arg(long, value_parser = parse_channels)]
    pub mean: Option<[f32; 3]>,
    /// What the backbone's pixels are normalised by: the deviation of R, G and B, 0…1 [default: that of a model of your
    /// own in --weights, else ImageNet's].
    #[arg(long, value_parser = parse_channels)]
    pub std: Option<[f32; 3]>,
    /// Weights to start from: `imagenet`, a file, or `none` [default: imagenet; those of an exported backbone].
    ///
    /// `imagenet` downloads what torchvision publishes for the architecture, once, into the folder
    /// TAGPOINT_WEIGHTS_CACHE [default: ~/.cache/tagpoint/weights], from the server TAGPOINT_WEIGHTS_URL where there is
    /// a mirror; `imagenet:IMAGENET1K_V2` or `imagenet:a1_in1k` takes other weights of torchvision's or timm's. A file
    /// is a .safetensors file, a PyTorch state dict (.pth), or a model.onnx of your own, whose labels may differ.
    #[arg(long)]
    pub weights: Option<WeightsSource>,
    /// Pixels a side, such as 224, or WIDTHxHEIGHT.
    #[arg(long, default_value = "224")]
    pub size: PictureSize,
    /// How a picture of another shape fits: `squish` or `pad` the whole of it, or `crop` its centre.
    #[arg(long, default_value = "squish")]
    pub method: ResizeMethod,
    /// Epochs with the backbone frozen [default: 1; one-cycle has none].
    #[arg(long)]
    pub freeze_epochs: Option<usize>,
    /// What of the backbone trains in the frozen epochs: `norms`: its normalisations, as in fastai; `features`: nothing,
    /// so that its outputs are computed once and the epochs take moments; `features:4`: for four augmented views.
    #[arg(long, default_value = "norms", value_name = "WHAT")]
    pub frozen: FrozenBody,
    /// Epochs with everything trained.
    #[arg(long, default_value_t = 5)]
    pub epochs: usize,
    /// `fine-tune`: the head, then everything; `one-cycle`: everything in one cycle.
    #[arg(long, value_enum, default_value = "fine-tune")]
    pub schedule: Schedule,
    /// The learning rate (fastai's base_lr), or `auto`: the learning-rate finder's valley.
    #[arg(long, default_value = "2e-3")]
    pub lr: LearningRate,
    /// How much slower the first layers train than the head (fastai's lr_mult).
    #[arg(long, default_value_t = 100.0)]
    pub lr_mult: f64,
    /// How many of the three parameter groups (first layers, last layers, head) stay frozen to the end.
    #[arg(long, default_value_t = 0)]
    pub keep_frozen: usize,
    /// Train at these sizes first, such as `96,128`; the epochs are shared out evenly among them and --size.
    #[arg(long, value_delimiter = ',')]
    pub smaller_sizes: Vec<PictureSize>,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Dropout before the last layer.
    #[arg(long, default_value_t = 0.5)]
    pub dropout: f32,
    /// Pictures a step.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
    /// Batches whose gradients are averaged for one step, for larger batches than memory holds.
    #[arg(long, default_value_t = 1)]
    pub accumulate: usize,
    /// Scale longer gradients down to this norm.
    #[arg(long)]
    pub clip_norm: Option<f64>,
    /// Keep an exponential average of the weights with this decay, such as 0.999, in place of the last weights.
    #[arg(long)]
    pub ema: Option<f64>,
    /// Keep the weights of the best epoch rather than those of the last.
    #[arg(long)]
    pub keep_best: bool,
    /// Stop after so many epochs that are no better than the best.
    #[arg(long)]
    pub patience: Option<usize>,
    /// The metric by which --keep-best and --patience go [default: map, accuracy, nme or point_error_px, rmse].
    #[arg(long)]
    pub metric: Option<String>,
    /// What convolutions and matrix products compute in: float32, bfloat16, or `auto`: bfloat16 on a graphics card, and on
    /// a processor with instructions for it (AVX512-BF16, AMX) where the network has no depthwise convolutions. Weights, statistics, loss, optimiser and the last judgement are float32.
    #[arg(long, default_value = "auto")]
    pub precision: PrecisionChoice,
    /// What training runs on: cpu, or cuda or cuda:N for a graphics card of NVIDIA's, with a libtorch for CUDA.
    #[arg(long, default_value = "cpu", value_parser = parse_device)]
    pub device: Device,
    /// Decides every random draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The threshold of accuracy_multi.
    #[arg(long, default_value_t = 0.5)]
    pub threshold: f64,
    /// Augmentation of the training pictures.
    #[command(flatten)]
    pub augment: AugmentArgs,
    /// What training makes small.
    #[command(flatten)]
    pub loss: LossArgs,
    /// Points: the two whose distance normalises the error, such as `36:45`, by name or place.
    #[arg(long)]
    pub nme_pair: Option<String>,
    /// Threads that prepare pictures [default: one for each core].
    #[arg(long)]
    pub workers: Option<usize>,
    /// Memory for decoded pictures, in MiB; those that find no room are decoded in each epoch [default: 2048].
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=1 << 30))]
    pub cache_mib: Option<u64>,
}

impl LearnArgs {
    /// The run's settings; fastai's default learning rate and float32 where these are to be found.
    pub fn recipe(&self) -> Recipe {
        let default = Recipe::default();
        Recipe {
            architecture: self.arch.clone(),
            weights: self.weights.clone().unwrap_or(match self.arch {
                Backbone::Named(_) => WeightsSource::Imagenet(None),
                Backbone::File(_) => WeightsSource::None,
            }),
            normalisation: (self.mean.is_some() || self.std.is_some()).then(|| Normalisation {
                mean: self.mean.unwrap_or(IMAGENET_MEAN),
                std: self.std.unwrap_or(IMAGENET_STD),
            }),
            resize: ResizeRule { method: self.method, size: self.size },
            freeze_epochs: self.freeze_epochs.unwrap_or(match self.schedule {
                Schedule::FineTune => default.freeze_epochs,
                Schedule::OneCycle => 0,
            }),
            frozen: self.frozen,
            epochs: self.epochs,
            schedule: self.schedule,
            learning_rate: if let LearningRate::Fixed(lr) = self.lr { lr } else { default.learning_rate },
            lr_mult: self.lr_mult,
            keep_frozen: self.keep_frozen,
            smaller_sizes: self.smaller_sizes.clone(),
            accumulate: self.accumulate,
            clip_norm: self.clip_norm,
            ema: self.ema,
            keep_best: self.keep_best,
            patience: self.patience,
            metric: self.metric.clone(),
            weight_decay: self.weight_decay,
            dropout: self.dropout,
            batch_size: self.batch_size,
            precision: match self.precision {
                PrecisionChoice::Auto => default.precision,
                PrecisionChoice::Only(precision) => precision,
            },
            seed: self.seed,
            augmentation: self.augment.augmentation(),
            mixing: self.augment.mixing(),
            loss: self.loss.settings(),
            y_range: self.targets.y_range.clone(),
            accuracy_threshold: self.threshold,
        }
    }

    /// The task of a data set.
    ///
    /// # Errors
    /// Pairs that name no points, or ranges that do not fit.
    pub fn task_of(&self, dataset: &Dataset) -> Result<Task, TrainError> {
        self.targets.task_of(dataset, self.augment.augmentation().mirrors(), self.nme_pair.clone())
    }

    /// Finds the precision, where that is to be found, and sets it.
    pub fn settle_precision(&self, learner: &mut Learner, recipe: &mut Recipe) {
        if self.precision == PrecisionChoice::Auto {
            recipe.precision = learner.choose_precision();
        }
    }

    /// What the run may take of the machine.
    pub fn resources(&self) -> Resources {
        let usual = Resources::default();
        Resources {
            device: self.device,
            workers: self.workers.unwrap_or(usual.workers),
            cache_bytes: self.cache_mib.map_or(usual.cache_bytes, |mib| mib << 20),
        }
    }
}

/// Two numbers, the lower one first, with a range between them that float32 has.
fn parse_range(text: &str) -> Result<YRange, String> {
    let ends = text.split_once(',').map(|(low, high)| (low.trim().parse(), high.trim().parse()));
    match ends {
        Some((Ok(low), Ok(high))) if low < high && f32::is_finite(high - low) => Ok(YRange { low, high }),
        _ => Err("give two numbers, the lower one first, such as -1.2,1.2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        learn: LearnArgs,
    }

    fn recipe(flags: &str) -> Recipe {
        let words = std::iter::once("program").chain(flags.split_whitespace());
        Program::try_parse_from(words).unwrap().learn.recipe()
    }

    #[test]
    fn one_cycle_has_no_frozen_epochs_and_what_is_said_of_them_is_refused() {
        assert_eq!(recipe("").freeze_epochs, 1);
        assert_eq!(recipe("--schedule one-cycle").freeze_epochs, 0);
        assert_eq!(recipe("--schedule one-cycle --freeze-epochs 0").validate(), Ok(()));
        assert_eq!(recipe("--frozen features").validate(), Ok(()));
        for (flags, named) in [
            ("--schedule one-cycle --freeze-epochs 3", "freeze-epochs has to be 0"),
            ("--schedule one-cycle --frozen features", "there are no frozen epochs"),
            ("--freeze-epochs 0 --frozen features:4", "there are no frozen epochs"),
        ] {
            let error = recipe(flags).validate().unwrap_err();
            assert!(error.contains(named), "{flags}: {error}");
        }
    }

    #[test]
    fn both_sides_of_a_size_and_both_ends_of_a_range_count() {
        assert_eq!(recipe("--smaller-sizes 96,64x128").validate(), Ok(()));
        for sizes in ["64x5000", "5000x64", "64x16"] {
            let error = recipe(&format!("--smaller-sizes {sizes}")).validate().unwrap_err();
            assert!(error.contains("smaller sizes"), "{sizes}: {error}");
        }
        assert_eq!(parse_range("-1.2, 1.2"), Ok(YRange { low: -1.2, high: 1.2 }));
        for range in ["0,inf", "-inf,0", "0,1e39", "nan,1", "-3e38,3e38", "1,1", "1"] {
            assert!(parse_range(range).is_err(), "{range}");
        }
    }
}
