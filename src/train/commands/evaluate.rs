//! `evaluate`: judges a model file on the validation split of a data set.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use tch::{Device, Kind};

use super::data::{self, DataArgs};
use crate::{
    model::{ModelFile, Points, Task, Values},
    onnx::{ModelProto, OPSET_VERSION},
    train::{
        dataset::{Dataset, Target, Targets},
        evaluate::{Evaluation, Judge, evaluate},
        loader::{Loader, LoaderOptions},
        losses::LossSettings,
        network::Network,
        objective::Objective,
    },
};

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

/// Judges a model file with the interpreter, whose outputs are ONNX Runtime's to 1e-4.
#[allow(clippy::print_stdout, reason = "the output of the program")]
pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<()> {
    let file = ModelFile::read(&args.model).with_context(|| args.model.display().to_string())?;
    let model: ModelProto = prost::Message::decode(file.bytes.as_slice())?;
    let mut network = Network::new(&model.graph.unwrap_or_default(), OPSET_VERSION, Device::Cpu, Kind::Float)?;
    let task = &file.manifest.task;
    let mut dataset = data::read(&args.data, task.into(), 0)?;
    fit_vocabulary(&mut dataset, task)?;
    let rule = file.manifest.input.resize;
    let dataset = Arc::new(dataset);
    let loader = Loader::new(Arc::clone(&dataset), LoaderOptions::new(rule).of_task(task));
    let objective = Objective::new(task, &dataset, &LossSettings::default())?;
    let judge = Judge { dataset: &dataset, rule, threshold: 0.5 };
    let evaluation = evaluate(&mut network, task, &loader, &objective, &judge)?;
    println!("{:<24} {:.6}", "loss", evaluation.loss);
    for (name, value) in evaluation.metrics.iter().chain(&evaluation.details) {
        println!("{name:<24} {value:.6}");
    }
    if let Some(path) = &args.outputs {
        write_outputs(path, &dataset, task, &evaluation).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Gives the data set's targets the model's labels and their order; labels that the data set lacks have no example.
fn fit_vocabulary(dataset: &mut Dataset, task: &Task) -> anyhow::Result<()> {
    let labels = match task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => labels,
        Task::Points(Points { names, .. }) | Task::Values(Values { names, .. }) => {
            let (ours, models) = (dataset.targets.len(), names.len());
            anyhow::ensure!(
                ours == models,
                "the data set has {ours} {}, the model has {models}",
                dataset.kind().noun()
            );
            return Ok(());
        }
    };
    let mut places = Vec::new();
    for name in dataset.targets.names() {
        let place = labels.iter().position(|label| label.name == *name);
        places.push(place.with_context(|| format!("the data set has a label {name:?} that the model does not know"))?);
    }
    for example in dataset.train.iter_mut().chain(&mut dataset.valid) {
        if let Target::Labels(own) = &mut example.target {
            own.iter_mut().for_each(|label| *label = places[*label]);
        }
    }
    let names = labels.iter().map(|label| label.name.clone()).collect();
    dataset.targets = match &dataset.targets {
        Targets::SingleLabel { .. } => Targets::SingleLabel { labels: names },
        _ => Targets::MultiLabel { labels: names },
    };
    Ok(())
}

/// A CSV: file name, then the outputs in the order of the model.
fn write_outputs(path: &Path, dataset: &Dataset, task: &Task, evaluation: &Evaluation) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for (example, row) in dataset.valid.iter().zip(evaluation.outputs.chunks_exact(task.output_len())) {
        write!(file, "{}", example.file.display())?;
        for value in row {
            write!(file, ",{value}")?;
        }
        writeln!(file)?;
    }
    file.flush()
}
