//! `tagpoint import`: makes somebody else's ONNX file a model that can be served.
//!
//! What is said about the file by flags becomes a [`Sidecar`]. The model is run as it will be served, its answers for
//! drawn pictures become golden samples, and either the file is copied as it is with `manifest.json` beside it, or it is
//! rewritten into a model of ours, which is one file. The server makes the same of both.

mod args;
mod golden;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

pub use args::{ActivationArg, CoordinatesArg, ImportArgs, TaskArg, parse_channels};

use crate::{
    answer::Threshold,
    files::write_whole,
    lines,
    model::{
        Activation, Digest, Golden, Label, SIDECAR_FILE, SIDECAR_VERSION, Sidecar, SidecarInput, SidecarLabel,
        SidecarOutput, SidecarSource, SidecarTask, foreign_files, name_of, next_version, wrapped,
    },
    onnx::{
        ModelProto,
        arch::{IMAGENET_MEAN, IMAGENET_STD},
        trust::TrustLimits,
        wrap::{ChannelOrder, input_size},
    },
    output::say,
    picture::ResizeRule,
};

/// What files that this command writes say that they were made by.
const TOOL: &str = concat!("tagpoint ", env!("CARGO_PKG_VERSION"));

/// Checks the file, runs it, and writes the next version below `--out`.
///
/// # Errors
/// A file that may not be served, flags that do not fit it, or a folder that cannot be written.
pub fn run(args: &ImportArgs) -> anyhow::Result<()> {
    name_of(&args.out).map_err(|reason| anyhow::anyhow!("--out: {reason}"))?;
    let path = args.model.display().to_string();
    let (model, files) = foreign_files(&args.model, &TrustLimits::default()).with_context(|| path.clone())?;
    let mut sidecar = sidecar(args, &model).with_context(|| path.clone())?;
    sidecar.golden = golden::record(&model, &sidecar).with_context(|| path)?;
    let next = || next_version(&args.out).with_context(|| format!("cannot write into {}", args.out.display()));
    if args.sidecar {
        let (_, target) = next()?;
        copy_beside(&args.model, &files, &sidecar, &target)?;
        say!("{}  as it was, with {SIDECAR_FILE} beside it", target.display());
    } else {
        let file = wrapped(model, &sidecar)?;
        let (_, target) = next()?;
        file.write(&target)?;
        say!("{}  {:.1} MB  sha256:{}", target.display(), file.bytes.len() as f64 / 1e6, file.digest);
    }
    Ok(())
}

/// Copies the model with the files of its weights; the model comes last, because it is what makes a folder a version.
fn copy_beside(model: &Path, files: &[PathBuf], sidecar: &Sidecar, target: &Path) -> anyhow::Result<()> {
    let from = model.parent().unwrap_or(Path::new("."));
    let to = target.parent().unwrap_or(Path::new("."));
    for file in files {
        copy(&from.join(file), &to.join(file))?;
    }
    let manifest = to.join(SIDECAR_FILE);
    write_whole(&manifest, &serde_json::to_vec_pretty(sidecar)?).with_context(|| manifest.display().to_string())?;
    copy(model, target)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(from).with_context(|| from.display().to_string())?;
    write_whole(to, &bytes).with_context(|| to.display().to_string())
}

/// What the flags say, as a document without golden samples yet.
fn sidecar(args: &ImportArgs, model: &ModelProto) -> anyhow::Result<Sidecar> {
    if args.task == TaskArg::Points && args.coordinates == CoordinatesArg::Pixels {
        args.size.context("--coordinates pixels needs --size, whose pixels they are")?;
    }
    let range = args.pixel_range;
    let default = |mut values: [f32; 3]| {
        if args.channels == ChannelOrder::Bgr {
            values.reverse();
        }
        values.map(|value| value * range)
    };
    let name = args.model.file_name().unwrap_or_default().to_string_lossy();
    let digest = File::open(&args.model).and_then(Digest::of_reader)?;
    Ok(Sidecar {
        schema_version: SIDECAR_VERSION,
        task: task(args)?,
        input: SidecarInput {
            name: args.input.clone(),
            layout: args.layout,
            channels: args.channels,
            resize: ResizeRule {
                method: args.method,
                size: input_size(model, args.input.as_deref(), args.layout, args.size)?,
            },
            pixel_range: range,
            mean: args.mean.unwrap_or_else(|| default(IMAGENET_MEAN)),
            std: args.std.unwrap_or_else(|| default(IMAGENET_STD)),
        },
        output: SidecarOutput { name: args.output.clone(), activation: activation(args) },
        golden: Golden::default(),
        metrics: [].into(),
        source: SidecarSource {
            name: format!("imported from {name}"),
            digest: Some(digest),
            tool: TOOL.to_owned(),
            created: humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        },
    })
}

fn activation(args: &ImportArgs) -> Option<Activation> {
    match (args.task, args.activation) {
        (_, Some(activation)) => Some(activation.into()),
        (TaskArg::SingleLabel, None) => Some(Activation::Softmax),
        (TaskArg::MultiLabel, None) => Some(Activation::Sigmoid),
        (TaskArg::Points | TaskArg::Values, None) => None,
    }
}

fn task(args: &ImportArgs) -> anyhow::Result<SidecarTask> {
    let text = std::fs::read_to_string(&args.names).with_context(|| args.names.display().to_string())?;
    let names: Vec<String> = lines::listed(&text).map(str::to_owned).collect();
    let with_threshold = |name: String| match args.threshold.map(Threshold::get) {
        Some(threshold) => SidecarLabel::WithThresholds {
            name,
            thresholds: [(Label::DEFAULT_OPERATING_POINT.to_owned(), threshold)].into(),
        },
        None => SidecarLabel::Name(name),
    };
    Ok(match args.task {
        TaskArg::MultiLabel => SidecarTask::MultiLabel { labels: names.into_iter().map(with_threshold).collect() },
        TaskArg::SingleLabel => {
            SidecarTask::SingleLabel { labels: names.into_iter().map(SidecarLabel::Name).collect() }
        }
        TaskArg::Values => SidecarTask::Values { names },
        TaskArg::Points => SidecarTask::Points { names, coordinates: args.coordinates.into(), flip_pairs: Vec::new() },
    })
}
