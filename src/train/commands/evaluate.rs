//! `evaluate`: judges a model file on a data set.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    data::DataArgs,
    judged::{Options, SplitArg, Subject},
    tables,
};
use crate::{
    model::{Label, Task},
    output::say,
    train::{dataset::Dataset, evaluate::Evaluation, operating_points},
};

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
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
    /// Judge each picture in so many augmented views as well, and average: three quarters theirs (fastai's tta has 4).
    #[arg(long, value_name = "VIEWS", default_value_t = 0)]
    pub tta: u64,
    /// Say labels at the thresholds of this operating point.
    #[arg(long, value_name = "NAME")]
    pub operating_point: Option<String>,
    /// The threshold of accuracy_multi [default: the one of the training run].
    #[arg(long)]
    pub threshold: Option<f64>,
    /// Pictures a batch.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
    /// Write the model's outputs here: a CSV with a line for each picture.
    #[arg(long, value_name = "FILE")]
    pub outputs: Option<PathBuf>,
    /// Write every figure here, as a JSON document.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Judges a model file with the interpreter, whose outputs are ONNX Runtime's to 1e-4, or a quantised one with the latter.
pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<()> {
    let mut subject = Subject::read(&args.model)?;
    let mut task = subject.file.manifest.task.clone();
    if let Some(name) = &args.operating_point {
        task = operating_points::at(&task, name).map_err(anyhow::Error::msg)?;
    }
    let options = Options {
        split: args.split,
        batch_size: args.batch_size,
        views: args.tta,
        threshold: args.threshold,
        seed: args.seed,
    };
    let (dataset, evaluation) = subject.judge(&task, &args.data, &options)?;
    print(&task, &evaluation);
    if let Some(path) = &args.outputs {
        write_outputs(path, &dataset, &task, &evaluation).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        let document = document(args, &subject, &task, &dataset, &evaluation);
        let text = serde_json::to_string_pretty(&document)? + "\n";
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Figures of the whole split by name, then a table of the labels, then the confusion matrix.
fn print(task: &Task, evaluation: &Evaluation) {
    if evaluation.loss.is_finite() {
        say!("{:<24} {:.6}", "loss", evaluation.loss);
    }
    let labels = task.labels();
    for (name, value) in evaluation.metrics.iter().chain(&evaluation.details) {
        // Those of single labels stand in the table.
        if labels.is_empty() || !name.contains('/') {
            say!("{name:<24} {value:.6}");
        }
    }
    if !labels.is_empty() {
        tables::print_labels(labels, evaluation, matches!(task, Task::MultiLabel { .. }));
    }
    if let Some(matrix) = &evaluation.confusion {
        tables::print_confusion(labels, matrix);
    }
}

/// A CSV without a header: file name, then the outputs in the order of the model.
fn write_outputs(path: &Path, dataset: &Dataset, task: &Task, evaluation: &Evaluation) -> anyhow::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    for (example, row) in dataset.valid.iter().zip(evaluation.outputs.chunks_exact(task.output_len())) {
        let values = row.iter().map(f32::to_string);
        file.write_record(std::iter::once(example.file.display().to_string()).chain(values))?;
    }
    Ok(file.flush()?)
}

fn document(args: &EvaluateArgs, subject: &Subject, task: &Task, dataset: &Dataset, evaluation: &Evaluation) -> Value {
    let all = evaluation.metrics.iter().chain(&evaluation.details);
    let metrics: Map<String, Value> = all.map(|(name, value)| (name.clone(), json!(value))).collect();
    let label = |(label, counts): (&Label, &crate::train::metrics::Counts)| {
        let threshold = matches!(task, Task::MultiLabel { .. }).then(|| label.threshold());
        json!({"label": label.name, "threshold": threshold, "counts": counts, "matrix": counts.matrix()})
    };
    let labels: Vec<Value> = task.labels().iter().zip(&evaluation.per_label).map(label).collect();
    json!({
        "model": args.model.to_string_lossy(),
        "digest": format!("sha256:{}", subject.file.digest),
        "task": task.kind(),
        "data": dataset.fingerprint.to_string(),
        "split": format!("{:?}", args.split).to_lowercase(),
        "pictures": dataset.valid.len(),
        "views": args.tta,
        "operating_point": args.operating_point,
        "loss": evaluation.loss,
        "metrics": metrics,
        "labels": labels,
        "confusion_matrix": evaluation.confusion.as_ref().map(|matrix| &matrix.rows),
    })
}
