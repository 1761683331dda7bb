//! `import`: makes somebody else's ONNX file a model that can be served.
//!
//! The file is rewritten rather than described beside it: its ends become those of our own models, so that the server
//! has one kind of model, and one file is still all of it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{data::TaskArg, learn_args::parse_channels};
use crate::{
    answer::Threshold,
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden, golden_outputs},
    model::{
        Digest, Golden, GoldenSample, InputSpec, Label, Manifest, ModelFile, OutputSpec, Points, Provenance,
        SCHEMA_VERSION, Task, Values, YRange, next_version,
    },
    onnx::{
        ModelProto,
        arch::{IMAGENET_MEAN, IMAGENET_STD},
        external,
        wrap::{Finish, Wrapping, wrap},
    },
    picture::{Detail, Limits, Picture, PictureSize, ResizeMethod, ResizeRule},
    train::{
        TOOL,
        golden::{self, draw_pictures},
        now,
    },
};

/// Golden pictures that are drawn, of which a few are kept.
const DRAWN: u64 = 24;
/// How far a batch's outputs may be from those of its pictures alone, as a share of the largest output, 1 at least.
const BATCH_TOLERANCE: f32 = 1e-3;

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The ONNX file: float32 [N, 3, H, W] or [N, H, W, 3] in, logits, scores, points or values out.
    pub model: PathBuf,
    /// The model's folder, such as models/flowers; the version below it is the next free one.
    #[arg(long)]
    pub out: PathBuf,
    /// What the model answers.
    #[arg(long, value_enum)]
    pub task: TaskArg,
    /// The names of the labels, points or values, one on each line, in the order of the outputs.
    #[arg(long, alias = "labels", value_name = "FILE")]
    pub names: PathBuf,
    /// What makes scores of the output [default: softmax for single-label, sigmoid for multi-label].
    #[arg(long, value_enum)]
    pub activation: Option<ActivationArg>,
    /// Pixels a side, such as 224, or WIDTHxHEIGHT [default: the graph's own, where it is fixed].
    #[arg(long)]
    pub size: Option<PictureSize>,
    /// How a picture of another shape fits: `squish` or `pad` the whole of it, or `crop` its centre.
    #[arg(long, default_value = "squish")]
    pub method: ResizeMethod,
    /// What is subtracted from R, G and B, in units of --pixel-range [default: ImageNet's].
    #[arg(long, value_parser = parse_channels, allow_hyphen_values = true)]
    pub mean: Option<[f32; 3]>,
    /// What R, G and B are then divided by, in units of --pixel-range [default: ImageNet's].
    #[arg(long, value_parser = parse_channels)]
    pub std: Option<[f32; 3]>,
    /// What white is, before mean and std: 1 or 255.
    #[arg(long, default_value_t = 1.0)]
    pub pixel_range: f32,
    /// Multi-label: the threshold of every label; `thresholds` fits better ones.
    #[arg(long)]
    pub threshold: Option<Threshold>,
    /// Points: what coordinates are in.
    #[arg(long, value_enum, default_value_t = CoordinatesArg::Frame)]
    pub coordinates: CoordinatesArg,
    /// The graph's input, where it has several.
    #[arg(long)]
    pub input: Option<String>,
    /// The graph's output, where it has several.
    #[arg(long)]
    pub output: Option<String>,
}

/// What makes scores of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ActivationArg {
    /// Each by itself.
    Sigmoid,
    /// All of a picture sum to 1.
    Softmax,
    /// The outputs are scores already.
    None,
}

/// What coordinates are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoordinatesArg {
    /// −1…1 from edge to edge.
    Frame,
    /// 0…1 from edge to edge.
    Unit,
    /// Pixels of the model's frame.
    Pixels,
}

/// Rewrites the file, checks it with ONNX Runtime and writes `<out>/<next version>/model.onnx`.
#[allow(clippy::print_stdout, reason = "the output of the program")]
pub(super) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let path = args.model.display().to_string();
    let bytes = std::fs::read(&args.model).with_context(|| path.clone())?;
    let mut model: ModelProto =
        prost::Message::decode(bytes.as_slice()).with_context(|| format!("{path}: not an ONNX file"))?;
    external::inline(&mut model, args.model.parent().unwrap_or(Path::new("."))).with_context(|| path.clone())?;
    let task = task(args)?;
    let size = wrap(&mut model, &wrapping(args, &task)?).with_context(|| path)?;
    let rule = ResizeRule { method: args.method, size };
    let manifest = manifest(args, task, rule, Digest::of(&bytes));
    let file = with_golden(model, manifest)?;
    let (_, path) = next_version(&args.out).with_context(|| format!("cannot list {}", args.out.display()))?;
    file.write(&path)?;
    println!("{}  {:.1} MB  sha256:{}", path.display(), file.bytes.len() as f64 / 1e6, file.digest);
    Ok(())
}

fn task(args: &ImportArgs) -> anyhow::Result<Task> {
    let text = std::fs::read_to_string(&args.names).with_context(|| args.names.display().to_string())?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let threshold = args.threshold.map_or(0.5, Threshold::get);
    let label = |name: String| Label {
        name,
        thresholds: match args.task {
            TaskArg::MultiLabel => [(Label::DEFAULT_OPERATING_POINT.to_owned(), threshold)].into(),
            _ => [].into(),
        },
        train_count: 0,
        valid_count: 0,
    };
    Ok(match args.task {
        TaskArg::MultiLabel => Task::MultiLabel { labels: names.into_iter().map(label).collect() },
        TaskArg::SingleLabel => Task::SingleLabel { labels: names.into_iter().map(label).collect() },
        TaskArg::Values => Task::Values(Values { names, y_ranges: Vec::new() }),
        TaskArg::Points => {
            let y_range = YRange { low: -1.0, high: 1.0 };
            Task::Points(Points { names, flip_pairs: Vec::new(), y_range, nme_pair: None })
        }
    })
}

fn wrapping<'a>(args: &'a ImportArgs, task: &Task) -> anyhow::Result<Wrapping<'a>> {
    let finish = match (args.task, args.activation) {
        (TaskArg::SingleLabel, None | Some(ActivationArg::Softmax)) => Finish::Softmax,
        (TaskArg::MultiLabel, None | Some(ActivationArg::Sigmoid)) => Finish::Sigmoid,
        (TaskArg::SingleLabel | TaskArg::MultiLabel, Some(ActivationArg::None)) => Finish::Scores,
        (TaskArg::SingleLabel, _) => anyhow::bail!("the scores of a single-label model sum to 1: that is a softmax"),
        (TaskArg::MultiLabel, _) => {
            anyhow::bail!("the scores of a multi-label model do not sum to 1: that is a sigmoid")
        }
        (_, Some(ActivationArg::Sigmoid | ActivationArg::Softmax)) => anyhow::bail!("--activation is for labels"),
        (TaskArg::Values, _) => Finish::Values,
        (TaskArg::Points, _) => points(args)?,
    };
    anyhow::ensure!(args.pixel_range > 0.0 && args.pixel_range.is_finite(), "--pixel-range has to be above 0");
    let unit = 255.0 / args.pixel_range;
    let deviation = args.std.map_or(IMAGENET_STD.map(|std| 255.0 * std), |std| std.map(|value| unit * value));
    anyhow::ensure!(deviation.iter().all(|value| *value > 0.0), "--std has to be above 0");
    Ok(Wrapping {
        input: args.input.as_deref(),
        output: args.output.as_deref(),
        size: args.size,
        mean: args.mean.map_or(IMAGENET_MEAN.map(|mean| 255.0 * mean), |mean| mean.map(|value| unit * value)),
        deviation,
        finish,
        outputs: task.output_len() as i64,
    })
}

fn points(args: &ImportArgs) -> anyhow::Result<Finish> {
    Ok(match args.coordinates {
        CoordinatesArg::Frame => Finish::Points { scale: [1.0; 2], shift: [0.0; 2] },
        CoordinatesArg::Unit => Finish::Points { scale: [2.0; 2], shift: [-1.0; 2] },
        CoordinatesArg::Pixels => {
            let size = args.size.context("--coordinates pixels needs --size, whose pixels they are")?;
            Finish::Points { scale: [2.0 / size.width as f32, 2.0 / size.height as f32], shift: [-1.0; 2] }
        }
    })
}

fn manifest(args: &ImportArgs, task: Task, resize: ResizeRule, digest: Digest) -> Manifest {
    let name = args.model.file_name().unwrap_or_default().to_string_lossy();
    Manifest {
        schema_version: SCHEMA_VERSION,
        input: InputSpec { name: "image".to_owned(), resize },
        output: OutputSpec { name: task.output_name().to_owned() },
        golden: placeholder(&task),
        task,
        // `ModelFile::assemble` sets the graph's.
        graph_digest: Digest::of(&[]),
        metrics: [].into(),
        provenance: Provenance {
            architecture: format!("imported from {name}"),
            base_weights: Some(digest),
            settings: json!({
                "mean": args.mean,
                "std": args.std,
                "pixel_range": args.pixel_range,
                "activation": args.activation.map(|activation| format!("{activation:?}").to_lowercase()),
            }),
            tool: TOOL.to_owned(),
            created: now(),
            ..Provenance::default()
        },
    }
}

/// A manifest without a golden sample is not valid; this one stands there until the model has run.
fn placeholder(task: &Task) -> Golden {
    Golden { samples: vec![GoldenSample { picture: String::new(), output: vec![0.0; task.output_len()] }] }
}

/// The model file with golden samples: drawn pictures, and what ONNX Runtime answers for them here.
fn with_golden(model: ModelProto, mut manifest: Manifest) -> anyhow::Result<ModelFile> {
    let runtime = Runtime::load(None)?;
    let rule = manifest.input.resize;
    let first = ModelFile::assemble(model.clone(), manifest.clone())?;
    let advice = "the rewritten model does not run: are there as many names as outputs?";
    let mut session = Session::open(&runtime, &first, &SessionOptions::default()).context(advice)?;
    let pictures = draw_pictures(0, DRAWN)?;
    let outputs = golden_outputs(&mut session, &rule, &pictures).context(advice)?;
    check_outputs(&manifest.task, &outputs)?;
    check_batch(&mut session, &rule, &pictures, &outputs)?;
    manifest.golden = golden::choose(&pictures, &outputs);
    let file = ModelFile::assemble(model, manifest)?;
    check_golden(&mut session, &file.manifest, Tolerance::FLOAT32)?;
    Ok(file)
}

/// Scores lie in 0…1, and those of single-label models sum to 1.
fn check_outputs(task: &Task, outputs: &[Vec<f32>]) -> anyhow::Result<()> {
    let all = || outputs.iter().flatten();
    anyhow::ensure!(all().all(|value| value.is_finite()), "the model's outputs for drawn pictures are not all finite");
    if matches!(task, Task::MultiLabel { .. } | Task::SingleLabel { .. }) {
        let inside = all().all(|score| (0.0..=1.0).contains(score));
        anyhow::ensure!(inside, "the model's outputs are not scores in 0…1: leave --activation none out");
    }
    if matches!(task, Task::SingleLabel { .. }) {
        let sums = outputs.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        anyhow::ensure!(sums, "the model's scores do not sum to 1: is it a multi-label model?");
    }
    Ok(())
}

/// The server runs several pictures at once: their outputs have to be those of each alone.
fn check_batch(
    session: &mut Session,
    rule: &ResizeRule,
    pictures: &[Vec<u8>],
    alone: &[Vec<f32>],
) -> anyhow::Result<()> {
    const BATCH: usize = 3;
    let mut pixels = vec![0; BATCH * session.picture_len()];
    for (bytes, pixels) in pictures.iter().zip(pixels.chunks_exact_mut(session.picture_len())) {
        Picture::decode(bytes, &Limits::default(), Detail::For(rule))?.resize_into(rule, pixels)?;
    }
    let advice = "export the model with an open batch dimension (dynamic_axes or dynamic_shapes)";
    let together =
        session.run(&pixels).with_context(|| format!("the model does not run on several pictures: {advice}"))?;
    let largest = alone.iter().flatten().fold(1.0, |largest: f32, value| largest.max(value.abs()));
    let close = together.iter().zip(alone.iter().flatten()).all(|(a, b)| (a - b).abs() <= BATCH_TOLERANCE * largest);
    anyhow::ensure!(close, "the model answers several pictures otherwise than each alone: {advice}");
    Ok(())
}
