//! The command line of `tagpoint-train`: raw flags in, validated settings out.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    augment::Augmentation,
    dataset::{CsvOptions, CsvTask, PointFrame},
    recipe::Recipe,
};
use crate::{
    model::YRange,
    onnx::arch::Architecture,
    picture::{PictureSize, ResizeMethod, ResizeRule},
};

/// Train picture taggers and keypoint models on your own photos.
#[derive(Debug, Parser)]
#[command(name = "tagpoint-train", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a model on a CSV of pictures and write OUT/NEXT-VERSION/model.onnx.
    Fit(Box<FitArgs>),
    /// Judge a model file on the validation split of a CSV.
    Evaluate(EvaluateArgs),
    /// Draw a data set of circles, squares and triangles, to try the trainer without photos.
    DrawShapes(DrawShapesArgs),
}

/// The table and its pictures.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// The table: `fname,labels[,is_valid]`, `fname,<one 0/1 column per label>[,is_valid]` or `fname,x0,y0,…[,is_valid]`.
    #[arg(long)]
    pub data: PathBuf,
    /// The folder of the pictures [default: the table's folder, or `images` in it].
    #[arg(long)]
    pub pictures: Option<PathBuf>,
    /// Between the labels of one cell.
    #[arg(long, default_value_t = ' ')]
    pub label_delimiter: char,
    /// The share of pictures that validate, where the table has no is_valid column.
    #[arg(long)]
    pub valid_pct: Option<f64>,
    /// What coordinates are pixels of: the picture as EXIF orients it, or as it is stored.
    #[arg(long, value_enum, default_value_t = PointFrameArg::Oriented)]
    pub point_frame: PointFrameArg,
}

/// See [`PointFrame`].
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PointFrameArg {
    /// As viewers show it.
    Oriented,
    /// As tools see it that ignore EXIF.
    Stored,
}

/// What a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskArg {
    /// Any number of labels for each picture.
    Labels,
    /// The places of named points.
    Points,
}

/// Points whose names and left/right pairs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PointSet {
    /// The 68 facial points of iBUG, in its order.
    Ibug68,
}

/// Options of `fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// The table and its pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// What to learn.
    #[arg(long, value_enum, default_value_t = TaskArg::Labels)]
    pub task: TaskArg,
    /// The model's folder, such as models/scenes; the version below it is the next free one.
    #[arg(long)]
    pub out: PathBuf,
    /// resnet18, resnet34, resnet50, resnet101 or mobilenet_v2.
    #[arg(long, default_value = "mobilenet_v2")]
    pub arch: Architecture,
    /// Weights to start from: a .safetensors file with torchvision's names, a model.onnx of your own, or `none`.
    #[arg(long)]
    pub weights: PathBuf,
    /// Pixels a side, such as 224, or WIDTHxHEIGHT.
    #[arg(long, default_value = "224")]
    pub size: PictureSize,
    /// How a picture of another shape fits: `squish` or `pad` the whole of it, or `crop` its centre.
    #[arg(long, default_value = "squish")]
    pub method: ResizeMethod,
    /// Epochs with the backbone frozen.
    #[arg(long, default_value_t = 1)]
    pub freeze_epochs: usize,
    /// Epochs with everything trained.
    #[arg(long, default_value_t = 5)]
    pub epochs: usize,
    /// The learning rate (fastai's base_lr).
    #[arg(long, default_value_t = 2e-3)]
    pub lr: f64,
    /// How much slower the first layers train than the head (fastai's lr_mult).
    #[arg(long, default_value_t = 100.0)]
    pub lr_mult: f64,
    /// Decoupled weight decay.
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Dropout before the last layer.
    #[arg(long, default_value_t = 0.5)]
    pub dropout: f32,
    /// Pictures a step.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
    /// Decides every random draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The threshold of accuracy_multi.
    #[arg(long, default_value_t = 0.5)]
    pub threshold: f64,
    /// Augmentation of the training pictures.
    #[command(flatten)]
    pub augment: AugmentArgs,
    /// Points: names, flip pairs and NME pair of a known set.
    #[arg(long, value_enum)]
    pub point_set: Option<PointSet>,
    /// Points: pairs that change places in a mirror image, such as `0:16,1:15`, by name or place, or `none`.
    #[arg(long, value_delimiter = ',')]
    pub flip_pairs: Vec<String>,
    /// Points: the two whose distance normalises the error, such as `36:45`, by name or place.
    #[arg(long)]
    pub nme_pair: Option<String>,
    /// Points: the range of coordinates, where −1…1 is the frame.
    #[arg(long, default_value = "-1.2,1.2", value_parser = parse_range, allow_hyphen_values = true)]
    pub y_range: YRange,
    /// Take the golden samples from the validation pictures; they are stored in the model file.
    #[arg(long)]
    pub golden_from_data: bool,
    /// Threads that prepare pictures [default: one for each core].
    #[arg(long)]
    pub workers: Option<usize>,
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The model file.
    pub model: PathBuf,
    /// The table and its pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// Write the model's outputs here: a CSV with a line for each validation picture.
    #[arg(long)]
    pub outputs: Option<PathBuf>,
}

/// Options of `draw-shapes`.
#[derive(Debug, Args)]
pub struct DrawShapesArgs {
    /// Where to: pictures into images/, and the tables labels.csv and points.csv.
    pub folder: PathBuf,
    /// Pictures.
    #[arg(long, default_value_t = 500)]
    pub count: u64,
    /// Decides every random draw.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

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

impl DataArgs {
    /// The options for reading the table.
    pub fn options(&self, task: CsvTask, seed: u64) -> CsvOptions {
        CsvOptions {
            pictures: self.pictures.clone(),
            label_delimiter: self.label_delimiter,
            valid_pct: self.valid_pct,
            seed,
            point_frame: match self.point_frame {
                PointFrameArg::Oriented => PointFrame::Oriented,
                PointFrameArg::Stored => PointFrame::Stored,
            },
            ..CsvOptions::new(&self.data, task)
        }
    }
}

impl FitArgs {
    /// The run's settings.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            architecture: self.arch,
            weights: (self.weights.as_os_str() != "none").then(|| self.weights.clone()),
            resize: ResizeRule { method: self.method, size: self.size },
            freeze_epochs: self.freeze_epochs,
            epochs: self.epochs,
            learning_rate: self.lr,
            lr_mult: self.lr_mult,
            weight_decay: self.weight_decay,
            dropout: self.dropout,
            batch_size: self.batch_size,
            seed: self.seed,
            augmentation: self.augment.augmentation(),
            y_range: self.y_range,
            accuracy_threshold: self.threshold,
        }
    }
}

impl AugmentArgs {
    fn augmentation(&self) -> Augmentation {
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

fn parse_range(text: &str) -> Result<YRange, String> {
    let ends = text.split_once(',').map(|(low, high)| (low.trim().parse(), high.trim().parse()));
    match ends {
        Some((Ok(low), Ok(high))) if low < high => Ok(YRange { low, high }),
        _ => Err("give two numbers, the lower one first, such as -1.2,1.2".to_owned()),
    }
}
