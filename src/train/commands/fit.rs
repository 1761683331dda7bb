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
    quantize::{judged, write},
    stop, tables,
};
use crate::{
    infer::Runtime,
    model::{Task, name_of},
    output::say,
    thresholds::OperatingPoint,
    train::{
        TrainError,
        dataset::Dataset,
        evaluate::Evaluation,
        learner::{Companions, Learner, Outcome},
        lr_find::suggest,
        observer::Many,
        operating_points,
        progress::Progress,
        quantize,
        recipe::Recipe,
        report::{self, Events, ReportInputs},
        run_folder::{RunFolder, RunRecord},
        save::{SaveSettings, Saved, check_servable, save},
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
    /// Leave scores as the network gives them, instead of calibrating them on the validation split.
    #[arg(long)]
    pub no_calibrate: bool,
    /// Thresholds under a name, beside `balanced=f1`, `precise=precision:.9` and `sensitive=recall:.9` or in place of
    /// one of them: NAME=GOAL, a goal being f1, f2, f0.5, precision:.95, recall:.8 and the like.
    #[arg(long = "operating-point", value_name = "NAME=GOAL")]
    pub operating_points: Vec<OperatingPoint>,
    /// Write the model's INT8 form beside it, as `quantize` does with its defaults; one that loses too much is not
    /// written, and that is said.
    #[arg(long)]
    pub int8: bool,
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

fn start(args: &NewRunArgs) -> anyhow::Result<ExitCode> {
    name_of(&args.out).map_err(|reason| anyhow::anyhow!("--out: {reason}"))?;
    check_folders(args)?;
    let mut recipe = args.learn.recipe();
    let ready = prepare(args, &recipe)?;
    let mut learner = ready.learner(args, &recipe)?;
    args.learn.settle_precision(&mut learner, &mut recipe);
    if args.learn.lr == LearningRate::Auto {
        let curve = learner.lr_find(&recipe.plan(learner.group_count()))?;
        let found = suggest(&curve).context("the learning-rate finder's run is too short: give --lr a number")?;
        recipe.learning_rate = found.valley;
        say!("learning rate {:.2e}, the valley that the learning-rate finder found", found.valley);
        learner.set_learning_rate(found.valley);
    }
    let folder = match &args.run_folder {
        Some(folder) => RunFolder::create(folder)?,
        None => RunFolder::create_next(&args.out)?,
    };
    folder.write(&RunRecord::new(&recipe, ready.dataset.fingerprint)?)?;
    say!("run {}", folder.path().display());
    go(args, &recipe, Run { folder, ready, learner })
}

fn resume(path: &Path) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open(path)?;
    let record = folder.read()?;
    if let Some(model) = &record.model {
        say!("the run is finished: {}", model.display());
        return Ok(ExitCode::SUCCESS);
    }
    // The command's paths are relative to where it was given.
    std::env::set_current_dir(&record.working_folder)
        .with_context(|| format!("cannot go to {}, where the run was started", record.working_folder.display()))?;
    let cli = Cli::try_parse_from(&record.command).context("the run's command is not one of this build")?;
    let Command::Fit(FitArgs::New(args)) = &cli.command else {
        anyhow::bail!("{} does not hold a run of fit", path.display());
    };
    let ready = prepare(args, &record.recipe)?;
    let mut learner = ready.learner(args, &record.recipe)?;
    // A run that was killed before its first checkpoint starts again, and comes to the same weights.
    if folder.checkpoint().exists() {
        learner.resume(&folder.checkpoint(), &record.recipe.plan(learner.group_count()))?;
    } else {
        anyhow::ensure!(
            ready.dataset.fingerprint == record.data,
            "{}: the data set changed since the run was started; resume with what it was, or start a new run",
            path.display()
        );
        say!("there is no checkpoint yet: the run starts from its beginning");
    }
    go(args, &record.recipe, Run { folder, ready, learner })
}

/// Runs and versions are numbered folders both: in one folder they would be taken for each other.
fn check_folders(args: &NewRunArgs) -> anyhow::Result<()> {
    let runs = match &args.run_folder {
        Some(folder) => std::path::absolute(folder)?.parent().map(Path::to_owned),
        None => Some(std::path::absolute(RunFolder::runs_of(&args.out))?),
    };
    anyhow::ensure!(
        runs != Some(std::path::absolute(&args.out)?),
        "{} is where the folders of runs lie: give --out another folder, such as models/NAME, or --run-folder",
        args.out.display()
    );
    Ok(())
}

/// What a run needs beside its learner.
struct Ready {
    runtime: Runtime,
    dataset: Arc<Dataset>,
    /// What the user was told about the data.
    notes: Vec<String>,
    task: Task,
}

/// What would fail at the end has to fail before hours of training.
fn prepare(args: &NewRunArgs, recipe: &Recipe) -> anyhow::Result<Ready> {
    recipe.validate().map_err(TrainError::Recipe)?;
    let runtime = Runtime::load(None)?;
    try_to_write(&args.out)?;
    let (dataset, notes) = data::read_with_notes(&args.data, args.learn.targets.task.into(), args.learn.seed)?;
    let task = args.learn.task_of(&dataset)?;
    Ok(Ready { runtime, dataset: Arc::new(dataset), notes, task })
}

impl Ready {
    fn learner(&self, args: &NewRunArgs, recipe: &Recipe) -> Result<Learner, TrainError> {
        let resources = args.learn.resources();
        let learner = Learner::new(Arc::clone(&self.dataset), self.task.clone(), recipe.clone(), resources)?;
        check_servable(&learner, &self.runtime)?;
        Ok(learner)
    }
}

/// A run that is ready to go.
struct Run {
    folder: RunFolder,
    ready: Ready,
    learner: Learner,
}

/// Trains from where the learner stands, and finishes the run unless it is stopped.
fn go(args: &NewRunArgs, recipe: &Recipe, mut run: Run) -> anyhow::Result<ExitCode> {
    run.learner.notes().iter().for_each(|note| say!("note: {note}"));
    let plan = recipe.plan(run.learner.group_count());
    let checkpoint = run.folder.checkpoint();
    let stop = stop::on_signal().context("cannot listen for Ctrl-C")?;
    let mut progress = Progress::new();
    let mut events = Events::create(run.folder.path(), run.learner.progress().steps.len() as u64)
        .with_context(|| format!("cannot write into {}", run.folder.path().display()))?;
    let mut observer = Many(vec![&mut progress, &mut events]);
    let mut companions = Companions { observer: &mut observer, checkpoint: Some(&checkpoint), stop: Some(&stop) };
    let saved = || if checkpoint.exists() { run.folder.how_to_resume() } else { "nothing was saved yet".to_owned() };
    let outcome = run.learner.fit(&plan, &mut companions).with_context(saved)?;
    // A run is worth more than its events.
    if let Err(error) = events.finish() {
        say!("note: the events for TensorBoard are not complete: {error}");
    }
    match outcome {
        Outcome::Stopped => {
            say!("stopped; {}", run.folder.how_to_resume());
            Ok(ExitCode::from(STOPPED))
        }
        Outcome::Finished(evaluation) => {
            let saved = write_model(args, &mut run, *evaluation).with_context(|| run.folder.how_to_resume())?;
            finish(args, run, &saved)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes the model file, and says so in the run's record.
fn write_model(args: &NewRunArgs, run: &mut Run, evaluation: Evaluation) -> anyhow::Result<Saved> {
    let settings = SaveSettings {
        fit: operating_points::Settings {
            calibrate: !args.no_calibrate,
            points: OperatingPoint::standard_and(&args.operating_points),
        },
        golden_pictures: if args.golden_from_data { Some(golden_from(&run.ready.dataset)?) } else { None },
    };
    let saved = save(&mut run.learner, evaluation, settings, &run.ready.runtime, &args.out)?;
    tables::print_fitted(&saved.fitted);
    run.folder.write(&RunRecord { model: Some(saved.path.clone()), ..run.folder.read()? })?;
    Ok(saved)
}

/// Writes the report of a finished run, and the INT8 form where it is wanted. Whatever becomes of them, there is nothing to
/// resume.
fn finish(args: &NewRunArgs, run: Run, saved: &Saved) -> anyhow::Result<()> {
    let model = saved.path.display();
    run.folder.drop_checkpoint().with_context(|| format!("{model} is written, but the run's checkpoint stays"))?;
    let record = run.folder.read()?;
    let notes = [run.ready.notes.as_slice(), run.learner.notes(), &saved.fitted.notes].concat();
    let name = args.out.file_name().unwrap_or_default().display();
    let inputs = ReportInputs {
        title: &format!("{name} {}", saved.version),
        command: &record.command,
        working_folder: &record.working_folder,
        settings: &serde_json::to_value(run.learner.recipe())?,
        seed: run.learner.recipe().seed,
        tool: &record.tool,
        history: &run.learner.progress().epochs,
        steps: &run.learner.progress().steps,
        dataset: &run.ready.dataset,
        task: &saved.file.manifest.task,
        rule: run.learner.recipe().resize,
        evaluation: &saved.fitted.evaluation,
        notes: &notes,
    };
    report::write(run.folder.path(), &inputs)
        .with_context(|| format!("the model is written to {model}, but its report is not"))?;
    say!("{}", run.folder.path().join("report.html").display());
    say!("{model}  {:.1} MB  sha256:{}", saved.file.bytes.len() as f64 / 1e6, saved.file.digest);
    if args.int8 {
        let recipe = run.learner.recipe();
        let settings = quantize::Settings {
            accuracy_threshold: recipe.accuracy_threshold,
            seed: recipe.seed,
            ..quantize::Settings::default()
        };
        judged(&run.ready.runtime, &saved.file, &run.ready.dataset, &settings)
            .and_then(|quantized| write(&quantized, &saved.path, false))
            .with_context(|| {
                let data = args.data.data.display();
                format!(
                    "{model} is written, but has no INT8 form; `tagpoint-train quantize {model} --data {data}`, with the run's \
                     other flags for its data, makes one"
                )
            })?;
    }
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
