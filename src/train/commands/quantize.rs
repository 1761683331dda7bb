//! `quantize`: writes a model's INT8 form beside it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;

use super::{data::DataArgs, judged::Subject};
use crate::{
    infer::Runtime,
    model::ModelFile,
    onnx::quantize::{Method, WeightRange},
    output::say,
    train::{
        dataset::{Dataset, Needed},
        quantize::{Quantized, Settings, quantize},
    },
};

/// What a model that loses too much answers the shell.
const REFUSED: u8 = 3;

/// Options of `quantize`.
#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// The model file, in float32; the INT8 file becomes model.int8.onnx beside it.
    pub model: PathBuf,
    /// The data set: training pictures calibrate, validation pictures choose and judge, half of them each.
    #[command(flatten)]
    pub data: DataArgs,
    /// A method of calibration to try: minmax, percentile:99.99, entropy and the like; may be given several times
    /// [default: minmax, percentile:99.999, percentile:99.99, percentile:99.9, entropy]. The best one is kept.
    #[arg(long = "method", value_name = "METHOD")]
    pub methods: Vec<Method>,
    /// Training pictures that calibrate.
    #[arg(long, default_value_t = 256)]
    pub calibration_pictures: usize,
    /// Leave this layer in float32, by its node's name; may be given several times.
    #[arg(long, value_name = "LAYER")]
    pub keep_float: Vec<String>,
    /// Seconds for trying layers in float32 where too much is lost.
    #[arg(long, default_value_t = 300)]
    pub budget_s: u64,
    /// How much may be lost: of mAP or accuracy as a difference, of an error as a share [default: 0.005, and 0.02].
    #[arg(long)]
    pub max_loss: Option<f64>,
    /// Write the file whatever is lost.
    #[arg(long)]
    pub force: bool,
    /// Weights of 7 bits, for processors without VNNI, whose products of bytes saturate.
    #[arg(long)]
    pub reduced_range: bool,
    /// Judge only; write nothing.
    #[arg(long, conflicts_with = "force")]
    pub dry_run: bool,
    /// Draws the split of --valid-pct, calibration pictures, halves and the bootstrap [default: that of the model's run].
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Quantises, judges and writes.
pub(super) fn run(args: &QuantizeArgs) -> anyhow::Result<ExitCode> {
    // What would fail at the end has to fail at once.
    let target = Quantized::path_beside(&args.model);
    anyhow::ensure!(
        args.dry_run || !target.exists(),
        "{} is there already, and model files never change: make a next version, or remove it",
        target.display()
    );
    let runtime = Runtime::load(None)?;
    let subject = Subject::read(&args.model)?;
    let seed = subject.seed(args.seed);
    let dataset = subject.read_data(&args.data, seed, Needed::Both)?;
    let settings = Settings {
        methods: if args.methods.is_empty() { Method::ALL.to_vec() } else { args.methods.clone() },
        pictures: args.calibration_pictures,
        in_float: args.keep_float.iter().cloned().collect(),
        weights: if args.reduced_range { WeightRange::Reduced } else { WeightRange::Full },
        max_loss: args.max_loss,
        budget: Duration::from_secs(args.budget_s),
        accuracy_threshold: subject.accuracy_threshold(),
        seed,
    };
    let quantized = judged(&runtime, &subject.file, &Arc::new(dataset), &settings)?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let written = write(&quantized, &args.model, args.force)?;
    Ok(if written { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Quantises a model and says what came of it.
pub(super) fn judged(
    runtime: &Runtime,
    file: &ModelFile,
    dataset: &Arc<Dataset>,
    settings: &Settings,
) -> anyhow::Result<Quantized> {
    let quantized = quantize(runtime, file, dataset, settings, &mut |line| say!("{line}"))
        .context("the model cannot be quantised")?;
    let judgement = &quantized.judgement;
    let criterion = &judgement.criterion;
    let [low, high] = judgement.interval.map(|end| criterion.text(end));
    say!("on the {} validation pictures that nothing was chosen on:", judgement.pictures);
    say!("{:<24} {:>9} {:>9}", "", "float32", "int8");
    say!("{:<24} {:>9.4} {:>9.4}", criterion.metric, judgement.metrics[0], judgement.metrics[1]);
    say!("lost: {} (95 % interval {low} to {high})", criterion.text(judgement.loss));
    say!("on all {} validation pictures:", dataset.valid.len());
    let [float, int8] = &quantized.evaluations;
    for (name, value) in &float.metrics {
        say!("{name:<24} {value:>9.4} {:>9.4}", int8.value(name).unwrap_or(f64::NAN));
    }
    let [before, after] = quantized.speed;
    let size = |file: &ModelFile| file.bytes.len() as f64 / 1e6;
    say!("{:<24} {before:>9.1} {after:>9.1}  ({:.2} times)", "pictures/s, one session", after / before);
    say!("{:<24} {:>9.1} {:>9.1}", "MB", size(file), size(&quantized.file));
    Ok(quantized)
}

/// Writes the file unless too much is lost; whether it was written.
pub(super) fn write(quantized: &Quantized, float: &Path, force: bool) -> anyhow::Result<bool> {
    let judgement = &quantized.judgement;
    if !judgement.passes() && !force {
        let limit = judgement.criterion.text(judgement.criterion.max_loss);
        say!(
            "refused: more than {limit} of {} are lost, so nothing is written (--max-loss allows more, --force any loss, \
             --keep-float leaves layers in float32)",
            judgement.criterion.metric
        );
        return Ok(false);
    }
    let written = quantized.write_beside(float)?;
    say!("{}  sha256:{}", written.path.display(), quantized.file.digest);
    Ok(true)
}
