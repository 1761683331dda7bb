//! `fit`: fine-tunes on a data set and writes a model file, in a run that can be stopped and resumed.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser as _};

use super::{
    Cli, Command,
    data::{self, DataArgs},
    learn_args::{LearnArgs, LearningRate},
    stop,
};
use crate::{
    infer::Runtime,
    model::{Label, Task, next_version},
    train::{
        TrainError,
        dataset::Dataset,
        evaluate::{Evaluation, score_table},
        learner::{Companions, Learner, Outcome},
        lr_find::suggest,
        progress::Progress,
        recipe::Recipe,
        run_folder::{RunFolder, RunRecord},
        save::{Description, assemble_and_check},
        thresholds::best_thresholds,
    },
};

/// Golden pictures that `--golden-from-data` chooses from.
const GOLDEN_CANDIDATES: usize = 64;
/// What a run that was stopped answers its shell: that of a program ended by Ctrl-C.
const STOPPED: u8 = 130;

/// Options of `fit`.
#[derive(Debug)]
pub enum FitArgs {
    /// A new run.
    New(Box<NewRunArgs>),
    /// The folder of a run to go on with.
    Resume(PathBuf),
}

/// The flag of [`FitArgs::Resume`].
const RESUME: &str = "resume";

// By hand, because a derived flag cannot stand in for all that are required.
impl Args for FitArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        NewRunArgs::augment_args(command).arg(
            Arg::new(RESUME)
                .long(RESUME)
                .exclusive(true)
                .value_name("RUN")
                .value_parser(clap::value_parser!(PathBuf))
                .help(
                    "Go on with a run that was stopped or killed, from its folder; every other option is what it was",
                ),
        )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FitArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.get_one::<PathBuf>(RESUME) {
            Some(folder) => Ok(Self::Resume(folder.clone())),
            None => NewRunArgs::from_arg_matches(matches).map(|args| Self::New(Box::new(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Options of a new run.
#[derive(Debug, Args)]
pub struct NewRunArgs {
    /// The model's folder, such as models/scenes; the version below it is the next free one.
    #[arg(long)]
    pub out: PathBuf,
    /// The folder for the run's record, checkpoint and report [default: runs/MODEL/NUMBER].
    #[arg(long)]
    pub run_folder: Option<PathBuf>,
    /// Take the golden samples from the validation pictures; they are stored in the model file.
    #[arg(long)]
    pub golden_from_data: bool,
    /// The data set.
    #[command(flatten)]
    pub data: DataArgs,
    /// What to learn, and how.
    #[command(flatten)]
    pub learn: LearnArgs,
}

/// Fine-tunes and writes `<out>/<next version>/model.onnx`.
pub(super) fn run(args: &FitArgs) -> anyhow::Result<ExitCode> {
    match args {
        FitArgs::New(args) => start(args),
        FitArgs::Resume(folder) => resume(folder),
    }
}

#[allow(clippy::print_stdout, reason = "the output of the program")]
fn start(args: &NewRunArgs) -> anyhow::Result<ExitCode> {
    let mut recipe = args.learn.recipe();
    let (runtime, dataset, task) = prepare(args, &recipe)?;
    let mut learner = Learner::new(Arc::clone(&dataset), task.clone(), recipe.clone(), args.learn.workers())?;
    if args.learn.lr == LearningRate::Auto {
        let curve = learner.lr_find(&recipe.plan(learner.group_count()))?;
        let found = suggest(&curve).context("the learning-rate finder's run is too short: give --lr a number")?;
        recipe.learning_rate = found.valley;
        println!("learning rate {:.2e}, the valley that the learning-rate finder found", found.valley);
        learner = Learner::new(Arc::clone(&dataset), task.clone(), recipe.clone(), args.learn.workers())?;
    }
    learner.notes().iter().for_each(|note| println!("note: {note}"));
    let folder = match &args.run_folder {
        Some(folder) => RunFolder::create(folder)?,
        None => RunFolder::create_next(&args.out)?,
    };
    folder.write(&RunRecord::new(&recipe, dataset.fingerprint)?)?;
    println!("run {}", folder.path().display());
    go(args, &recipe, Run { folder, runtime, dataset, task, learner })
}

#[allow(clippy::print_stdout, reason = "the output of the program")]
fn resume(path: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(path)?;
    let record = folder.read()?;
    if let Some(model) = &record.model {
        println!("the run is finished: {}", model.display());
        return Ok(ExitCode::SUCCESS);
    }
    // The command's paths are relative to where it was given.
    std::env::set_current_dir(&record.working_folder)
        .with_context(|| format!("cannot go to {}, where the run was started", record.working_folder.display()))?;
    let cli = Cli::try_parse_from(&record.command).context("the run's command is not one of this build")?;
    let Command::Fit(FitArgs::New(args)) = &cli.command else {
        anyhow::bail!("{} does not hold a run of fit", path.display());
    };
    let (runtime, dataset, task) = prepare(args, &record.recipe)?;
    let mut learner = Learner::new(Arc::clone(&dataset), task.clone(), record.recipe.clone(), args.learn.workers())?;
    // A run that was killed before its first checkpoint starts again, and comes to the same weights.
    if folder.checkpoint().exists() {
        learner.resume(&folder.checkpoint(), &record.recipe.plan(learner.group_count()))?;
    } else {
        println!("there is no checkpoint yet: the run starts from its beginning");
    }
    go(args, &record.recipe, Run { folder, runtime, dataset, task, learner })
}

/// A run that is ready to go.
struct Run {
    folder: RunFolder,
    runtime: Runtime,
    dataset: Arc<Dataset>,
    task: Task,
    learner: Learner,
}

/// What would fail at the end has to fail before hours of training.
fn prepare(args: &NewRunArgs, recipe: &Recipe) -> anyhow::Result<(Runtime, Arc<Dataset>, Task)> {
    recipe.validate().map_err(TrainError::Recipe)?;
    let runtime = Runtime::load(None)?;
    try_to_write(&args.out)?;
    let dataset = data::read(&args.data, args.learn.task.into(), args.learn.seed)?;
    let task = args.learn.task_of(&dataset)?;
    Ok((runtime, Arc::new(dataset), task))
}

/// Trains from where the learner stands, and finishes the run unless it is stopped.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn go(args: &NewRunArgs, recipe: &Recipe, mut run: Run) -> anyhow::Result<ExitCode> {
    let plan = recipe.plan(run.learner.group_count());
    let checkpoint = run.folder.checkpoint();
    let stop = stop::on_signal().context("cannot listen for Ctrl-C")?;
    let mut progress = Progress::new();
    let mut companions = Companions { observer: &mut progress, checkpoint: Some(&checkpoint), stop: Some(&stop) };
    let saved = || if checkpoint.exists() { run.folder.how_to_resume() } else { "nothing was saved yet".to_owned() };
    match run.learner.fit(&plan, &mut companions).with_context(saved)? {
        Outcome::Stopped => {
            println!("stopped; {}", run.folder.how_to_resume());
            Ok(ExitCode::from(STOPPED))
        }
        Outcome::Finished(evaluation) => {
            let resume = run.folder.how_to_resume();
            finish(args, recipe, run, &evaluation).context(resume)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Fits thresholds, writes the model file and says so in the run's record.
#[allow(clippy::print_stdout, reason = "the output of the program")]
fn finish(args: &NewRunArgs, recipe: &Recipe, mut run: Run, evaluation: &Evaluation) -> anyhow::Result<()> {
    let task = with_thresholds(run.task, evaluation, &run.dataset);
    print_labels(&task, evaluation);
    let description = Description {
        task,
        metrics: Description::metrics_of(evaluation),
        data: run.dataset.fingerprint,
        pictures: (run.dataset.train.len() as u64, run.dataset.valid.len() as u64),
        base_weights: run.learner.base_weights(),
        golden_pictures: if args.golden_from_data { Some(golden_from(&run.dataset)?) } else { None },
    };
    let graph = run.learner.graph()?;
    let file = assemble_and_check(run.learner.network(), graph, recipe, description, &run.runtime)?;
    let version = next_version(&args.out).with_context(|| format!("cannot list {}", args.out.display()))?;
    let path = args.out.join(version.to_string()).join("model.onnx");
    file.write(&path)?;
    let record = run.folder.read()?;
    run.folder.write(&RunRecord { model: Some(path.clone()), ..record })?;
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
