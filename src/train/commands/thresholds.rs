//! `thresholds`: shows a model's operating points, or fits them anew and writes the next version.

use std::path::PathBuf;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use serde_json::json;

use super::{
    data::DataArgs,
    judged::{Options, SplitArg, Subject},
    tables,
};
use crate::{
    drift,
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{Label, ModelFile, Task, name_of, next_version},
    onnx::{calibrate, head::LOGITS, quantize::is_quantised},
    output::say,
    thresholds::{LabelThreshold, OperatingPoint, Outcome},
    train::{
        dataset::Dataset,
        evaluate::{Judge, score_table},
        metrics::{ScoreTable, judge},
        operating_points::{self, Fitted, Settings},
        save::{Description, output_of},
    },
};

/// Options of `thresholds`.
#[derive(Debug, Args)]
pub struct ThresholdsArgs {
    /// The model file.
    pub model: PathBuf,
    /// The table and its pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// Which pictures.
    #[arg(long, value_enum, default_value_t = SplitArg::Valid)]
    pub split: SplitArg,
    /// Draws the split of --valid-pct [default: that of the model's run].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Show the model's operating points as they are, and what they are worth on the data set; write nothing.
    #[arg(long, conflicts_with_all = ["out", "operating_points", "calibrate"])]
    pub show: bool,
    /// The model's folder, such as models/scenes: the fitted model becomes its next version.
    #[arg(long, required_unless_present = "show")]
    pub out: Option<PathBuf>,
    /// As of fit: NAME=GOAL, beside or in place of `balanced=f1`, `precise=precision:.9` and `sensitive=recall:.9`.
    #[arg(long = "operating-point", value_name = "NAME=GOAL")]
    pub operating_points: Vec<OperatingPoint>,
    /// Fit the calibration anew too; without it the model's own stays.
    #[arg(long)]
    pub calibrate: bool,
    /// Pictures a batch.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
}

/// Shows or fits.
pub(super) fn run(args: &ThresholdsArgs) -> anyhow::Result<()> {
    let mut subject = Subject::read(&args.model)?;
    let task = subject.file.manifest.task.clone();
    let Task::MultiLabel { labels } = &task else {
        anyhow::ensure!(
            matches!(task, Task::SingleLabel { .. }) && args.calibrate,
            "thresholds are for multi-label models, and this model answers {} (--calibrate fits the temperature of a \
             single-label model)",
            task.kind()
        );
        return fit(args, &mut subject, &task);
    };
    if !args.show {
        return fit(args, &mut subject, &task);
    }
    let (dataset, evaluation) = subject.judge(&task, &args.data, &options(args))?;
    let table = score_table(&evaluation.outputs, &dataset.valid, labels.len());
    tables::print_thresholds(labels, &worth(labels, &table));
    Ok(())
}

fn options(args: &ThresholdsArgs) -> Options {
    Options { split: args.split, batch_size: args.batch_size, views: 0, threshold: None, seed: args.seed }
}

/// What the labels' thresholds are worth on these scores, by operating point.
fn worth(labels: &[Label], table: &ScoreTable) -> Vec<(String, Vec<LabelThreshold>)> {
    let names: Vec<String> = labels.first().map(|label| label.thresholds.keys().cloned().collect()).unwrap_or_default();
    let of = |name: String| {
        let thresholds: Vec<f32> =
            labels.iter().map(|label| label.thresholds.get(&name).copied().unwrap_or(f32::NAN)).collect();
        let judged = thresholds.iter().zip(judge(table, &thresholds).per_label);
        let worth = judged.map(|(&threshold, counts)| LabelThreshold { threshold, counts, outcome: Outcome::Reached });
        (name, worth.collect())
    };
    names.into_iter().map(of).collect()
}

/// Fits on the data set, shows the result, and writes the next version.
fn fit(args: &ThresholdsArgs, subject: &mut Subject, task: &Task) -> anyhow::Result<()> {
    let out = args.out.as_ref().context("give the model's folder with --out")?;
    name_of(out).map_err(|reason| anyhow::anyhow!("--out: {reason}"))?;
    anyhow::ensure!(
        !is_quantised(subject.graph()),
        "thresholds are fitted on the float32 model, whose next version can then be quantised"
    );
    if args.calibrate {
        let mut tensors = subject.graph().node.iter().flat_map(|node| &node.output);
        anyhow::ensure!(
            tensors.any(|tensor| tensor == LOGITS),
            "the model gives scores without logits (--activation none), so there is nothing to calibrate: leave --calibrate \
             out"
        );
        calibrate::remove(subject.graph());
    }
    let runtime = Runtime::load(None)?;
    let (dataset, evaluation) = subject.judge(task, &args.data, &options(args))?;
    let rule = subject.file.manifest.input.resize;
    let judge = Judge { dataset: &dataset, rule, threshold: subject.accuracy_threshold() };
    let points = OperatingPoint::standard_and(&args.operating_points);
    let fitted = operating_points::fit(
        task,
        evaluation,
        &judge,
        &Settings { calibrate: args.calibrate, points: points.clone() },
    );
    if let Task::MultiLabel { labels } = &fitted.task {
        let table = score_table(&fitted.evaluation.outputs, &dataset.valid, labels.len());
        tables::print_thresholds(labels, &worth(labels, &table));
    }
    fitted.notes.iter().for_each(|note| say!("note: {note}"));
    fitted.calibrate(subject.graph())?;
    let file = next(args, subject, &fitted, &dataset, &points)?;
    check_golden(&mut Session::open(&runtime, &file, &SessionOptions::default())?, &file.manifest, Tolerance::FLOAT32)?;
    let (_, path) = next_version(out).with_context(|| format!("cannot write into {}", out.display()))?;
    file.write(&path)?;
    say!("{}  sha256:{}", path.display(), file.digest);
    Ok(())
}

/// The model with its new thresholds and calibration. Its metrics, and the scores that drift is told by, are those of the
/// pictures that it was fitted on.
fn next(
    args: &ThresholdsArgs,
    subject: &mut Subject,
    fitted: &Fitted,
    dataset: &Dataset,
    points: &[OperatingPoint],
) -> anyhow::Result<ModelFile> {
    let mut manifest = subject.file.manifest.clone();
    manifest.task = fitted.task.clone();
    manifest.metrics.insert("fp32".to_owned(), Description::metrics_of(&fitted.evaluation));
    manifest.score_reference = drift::reference(&fitted.task, &fitted.evaluation.outputs);
    let goals: serde_json::Map<String, serde_json::Value> =
        points.iter().map(|point| (point.name.clone(), json!(point.goal.to_string()))).collect();
    if let Some(settings) = manifest.provenance.settings.as_object_mut() {
        let fitted = json!({
            "model": subject.file.digest.to_string(),
            "data": dataset.fingerprint.to_string(),
            "split": format!("{:?}", args.split).to_lowercase(),
            "calibrated": args.calibrate,
            "goals": goals,
        });
        settings.insert("operating_points".to_owned(), fitted);
    }
    if args.calibrate {
        let mut network = subject.network()?;
        for sample in &mut manifest.golden.samples {
            let picture = BASE64.decode(&sample.picture).context("a golden picture is damaged")?;
            sample.output = output_of(&mut network, &manifest.output.name, &manifest.input.resize, &picture)?;
        }
    }
    Ok(ModelFile::assemble(subject.model.clone(), manifest)?)
}
