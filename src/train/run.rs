//! The commands of `tagpoint-train`, from settings to files.

use std::{io::Write as _, num::NonZero, path::Path, sync::Arc, thread::available_parallelism};

use anyhow::Context as _;
use tch::{Device, Kind};

use super::{
    TrainError,
    command::{Cli, Command, DataArgs, EvaluateArgs, FitArgs, PointSet, TaskArg},
    dataset::{CsvTask, Dataset, Target, read_csv},
    evaluate::{Evaluation, Judge, evaluate, score_table},
    learner::Learner,
    loader::{Loader, LoaderOptions},
    network::Network,
    progress::Progress,
    save::{Description, assemble_and_check},
    shapes,
    task::{PointSettings, task_of},
    thresholds::best_thresholds,
};
use crate::{
    infer::Runtime,
    model::{Label, ModelFile, Task, YRange, next_version},
    onnx::{ModelProto, OPSET_VERSION},
};

/// Golden pictures that `--golden-from-data` chooses from.
const GOLDEN_CANDIDATES: usize = 64;

/// Runs a command.
///
/// # Errors
/// Whatever stops it, with what to do about it where that is known.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Fit(args) => fit(args),
        Command::Evaluate(args) => evaluate_file(args),
        Command::DrawShapes(args) => shapes::draw_data_set(&args.folder, args.count, args.seed)
            .with_context(|| format!("cannot draw into {}", args.folder.display())),
    }
}

/// Fine-tunes and writes `<out>/<next version>/model.onnx`.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn fit(args: &FitArgs) -> anyhow::Result<()> {
    let recipe = args.recipe();
    recipe.validate().map_err(TrainError::Recipe)?;
    // What would fail at the end has to fail before hours of training.
    let runtime = Runtime::load(None)?;
    try_to_write(&args.out)?;
    let task = match args.task {
        TaskArg::Labels => CsvTask::MultiLabel,
        TaskArg::Points => CsvTask::Points,
    };
    let dataset = read(&args.data, task, args.seed)?;
    let points = PointSettings {
        ibug68: args.point_set == Some(PointSet::Ibug68),
        flips: recipe.augmentation.flip,
        flip_pairs: args.flip_pairs.clone(),
        nme_pair: args.nme_pair.clone(),
    };
    let task = task_of(&dataset, recipe.y_range, &points)?;
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

/// Judges a model file with the interpreter, whose outputs are ONNX Runtime's to 1e-4.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn evaluate_file(args: &EvaluateArgs) -> anyhow::Result<()> {
    let file = ModelFile::read(&args.model).with_context(|| args.model.display().to_string())?;
    let model: ModelProto = prost::Message::decode(file.bytes.as_slice())?;
    let mut network = Network::new(&model.graph.unwrap_or_default(), OPSET_VERSION, Device::Cpu, Kind::Float)?;
    let task = &file.manifest.task;
    let csv_task = if matches!(task, Task::Points(_)) { CsvTask::Points } else { CsvTask::MultiLabel };
    let mut dataset = read(&args.data, csv_task, 0)?;
    fit_vocabulary(&mut dataset, task)?;
    let rule = file.manifest.input.resize;
    let dataset = Arc::new(dataset);
    let y_range = if let Task::Points(points) = task { points.y_range } else { YRange { low: -1.0, high: 1.0 } };
    let loader = Loader::new(Arc::clone(&dataset), LoaderOptions { y_range, ..LoaderOptions::new(rule) });
    let judge = Judge { dataset: &dataset, rule, threshold: 0.5 };
    let evaluation = evaluate(&mut network, task, &loader, &judge)?;
    println!("{:<24} {:.6}", "loss", evaluation.loss);
    for (name, value) in evaluation.metrics.iter().chain(&evaluation.details) {
        println!("{name:<24} {value:.6}");
    }
    if let Some(path) = &args.outputs {
        write_outputs(path, &dataset, task, &evaluation).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Reads and checks the table and every picture, and tells what a user should know.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn read(args: &DataArgs, task: CsvTask, seed: u64) -> Result<Dataset, TrainError> {
    let dataset = read_csv(&args.options(task, seed))?;
    println!(
        "{}: {} training and {} validation pictures, {} {}",
        args.data.display(),
        dataset.train.len(),
        dataset.valid.len(),
        dataset.targets.len(),
        if task == CsvTask::Points { "points" } else { "labels" },
    );
    dataset.notices().iter().for_each(|notice| println!("note: {notice}"));
    Ok(dataset)
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

/// Gives the data set's targets the model's labels and their order; labels that the data set lacks have no example.
fn fit_vocabulary(dataset: &mut Dataset, task: &Task) -> anyhow::Result<()> {
    let Task::MultiLabel { labels } = task else {
        anyhow::ensure!(
            2 * dataset.targets.len() == task.output_len(),
            "the data set has {} points, the model has {}",
            dataset.targets.len(),
            task.output_len() / 2
        );
        return Ok(());
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
    dataset.targets = super::dataset::Targets::MultiLabel { labels: labels.iter().map(|l| l.name.clone()).collect() };
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
