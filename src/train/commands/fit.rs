//! `fit`: fine-tunes on a data set and writes a model file.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::data::{self, DataArgs, TaskArg};
use crate::{
    infer::Runtime,
    model::{Label, Task, YRange, next_version},
    onnx::arch::Architecture,
    picture::{PictureSize, ResizeMethod, ResizeRule},
    train::{
        TrainError,
        augment::Augmentation,
        dataset::Dataset,
        evaluate::{Evaluation, score_table},
        learner::Learner,
        progress::Progress,
        recipe::Recipe,
        save::{Description, assemble_and_check},
        task::{PointSettings, task_of},
        thresholds::best_thresholds,
    },
};

/// Golden pictures that `--golden-from-data` chooses from.
const GOLDEN_CANDIDATES: usize = 64;

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
    #[arg(long, value_enum, default_value_t = TaskArg::MultiLabel)]
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
    /// Points: the range of coordinates, where −1…1 is the frame [default: -1.2,1.2]. Values: the range of all, or one
    /// range for each in the order of the columns, such as `--y-range 0,120 --y-range -5,5` [default: unbounded].
    #[arg(long, value_parser = parse_range, allow_hyphen_values = true)]
    pub y_range: Vec<YRange>,
    /// Take the golden samples from the validation pictures; they are stored in the model file.
    #[arg(long)]
    pub golden_from_data: bool,
    /// Threads that prepare pictures [default: one for each core].
    #[arg(long)]
    pub workers: Option<usize>,
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
            y_range: self.y_range.clone(),
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

/// Fine-tunes and writes `<out>/<next version>/model.onnx`.
#[allow(clippy::print_stdout, reason = "the output of the program")]
pub(super) fn run(args: &FitArgs) -> anyhow::Result<()> {
    let recipe = args.recipe();
    recipe.validate().map_err(TrainError::Recipe)?;
    // What would fail at the end has to fail before hours of training.
    let runtime = Runtime::load(None)?;
    try_to_write(&args.out)?;
    let dataset = data::read(&args.data, args.task.into(), args.seed)?;
    let points = PointSettings {
        ibug68: args.point_set == Some(PointSet::Ibug68),
        flips: recipe.augmentation.flip,
        flip_pairs: args.flip_pairs.clone(),
        nme_pair: args.nme_pair.clone(),
    };
    let task = task_of(&dataset, &recipe.y_range, &points)?;
    let (data, pictures) = (dataset.fingerprint, (dataset.train.len() as u64, dataset.valid.len() as u64));
    let golden_pictures = if args.golden_from_data { Some(golden_from(&dataset)?) } else { None };
    let dataset = Arc::new(dataset);
    let workers = args.workers.unwrap_or_else(cores);
    let mut learner = Learner::new(Arc::clone(&dataset), task.clone(), recipe.clone(), workers)?;
    let evaluation = learner.fine_tune(&mut Progress::new())?;
    let task = with_thresholds(task, &evaluation, &dataset);
    print_labels(&task, &evaluation);
    let description = Description {
        task,
        metrics: Description::metrics_of(&evaluation),
        data,
        pictures,
        base_weights: learner.base_weights(),
        golden_pictures,
    };
    let graph = learner.graph()?;
    let file = assemble_and_check(learner.network(), graph, &recipe, description, &runtime)?;
    let version = next_version(&args.out).with_context(|| format!("cannot list {}", args.out.display()))?;
    let path = args.out.join(version.to_string()).join("model.onnx");
    file.write(&path)?;
    println!("{}  {:.1} MB  sha256:{}", path.display(), file.bytes.len() as f64 / 1e6, file.digest);
    Ok(())
}

/// Makes the model's folder and sees that files can be written there.
fn try_to_write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder))
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    Ok(())
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// The encoded bytes of validation pictures, evenly over the split.
fn golden_from(dataset: &Dataset) -> Result<Vec<Vec<u8>>, TrainError> {
    let step = dataset.valid.len().div_ceil(GOLDEN_CANDIDATES);
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| TrainError::Io { path: path.display().to_string(), source });
    dataset.valid.iter().step_by(step).map(|example| read(&dataset.path(example))).collect()
}

/// The task with each label's threshold fitted on the validation scores.
fn with_thresholds(task: Task, evaluation: &Evaluation, dataset: &Dataset) -> Task {
    let Task::MultiLabel { mut labels } = task else { return task };
    let table = score_table(&evaluation.outputs, &dataset.valid, labels.len());
    for (label, best) in labels.iter_mut().zip(best_thresholds(&table)) {
        label.thresholds.insert(Label::DEFAULT_OPERATING_POINT.to_owned(), best.threshold);
    }
    Task::MultiLabel { labels }
}

/// A table of the labels with their thresholds and what they are worth.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn print_labels(task: &Task, evaluation: &Evaluation) {
    let Task::MultiLabel { labels } = task else { return };
    println!("{:<24} {:>8} {:>8} {:>10} {:>10}", "label", "train", "valid", "AP", "threshold");
    for label in labels {
        let name = format!("average_precision/{}", label.name);
        let precision = evaluation.details.iter().find(|(detail, _)| *detail == name).map_or(f64::NAN, |(_, v)| *v);
        println!(
            "{:<24} {:>8} {:>8} {:>10.4} {:>10.3}",
            label.name,
            label.train_count,
            label.valid_count,
            precision,
            label.threshold()
        );
    }
}
