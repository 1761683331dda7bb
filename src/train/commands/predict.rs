//! `predict`: answers for pictures on ONNX Runtime, as the server would.

mod lines;
mod pictures;

use std::{
    io::{BufWriter, Write},
    num::NonZeroUsize,
    path::PathBuf,
    sync::mpsc::sync_channel,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use self::{lines::Lines, pictures::Decoded};
use crate::{
    answer::{Selection, Threshold, answer},
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{ModelFile, Task},
    output::Answering,
    train::{operating_points, tta::TestTime},
};

/// Batches that may be decoded ahead of the model.
const AHEAD: usize = 2;

/// Options of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// The model file.
    pub model: PathBuf,
    /// Pictures, and folders that are searched for pictures.
    #[arg(required_unless_present = "list")]
    pub pictures: Vec<PathBuf>,
    /// A file with a picture's path on each line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Where to write [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// A line for each picture as JSON or CSV [default: by the name of --out, else jsonl].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Name the labels that reach the thresholds of this operating point [default: balanced].
    #[arg(long, value_name = "NAME")]
    pub operating_point: Option<String>,
    /// One threshold for every label, instead of its own.
    #[arg(long)]
    pub threshold: Option<Threshold>,
    /// At most so many labels, the best ones.
    #[arg(long)]
    pub top_k: Option<NonZeroUsize>,
    /// Every label, whatever its score.
    #[arg(long)]
    pub all: bool,
    /// Judge each picture in so many augmented views as well, and average.
    #[arg(long, value_name = "VIEWS", default_value_t = 0)]
    pub tta: u64,
    /// Pictures that run through the model together.
    #[arg(long, default_value_t = NonZeroUsize::MIN.saturating_add(15))]
    pub batch_size: NonZeroUsize,
    /// Threads for the model, and as many for decoding [default: one for each core].
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// An object for each picture: `file`, and its answer as the server gives it or `error`.
    Jsonl,
    /// A table: file, the labels' names and every score, or points in pixels, or values; and the error.
    Csv,
}

/// Answers for every picture, in order; the error that it ends with says how many could not be answered.
pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let file = ModelFile::read(&args.model).with_context(|| args.model.display().to_string())?;
    let mut task = file.manifest.task.clone();
    if let Some(name) = &args.operating_point {
        task = operating_points::at(&task, name).map_err(anyhow::Error::msg)?;
    }
    let threads = args.threads.map_or_else(|| SessionOptions::default().intra_threads, NonZeroUsize::get);
    let options = SessionOptions { intra_threads: threads, ..SessionOptions::default() };
    let mut model = Model { session: Session::open(&Runtime::load(None)?, &file, &options)?, test_time: None };
    check_golden(&mut model.session, &file.manifest, Tolerance::of(&file)).context("golden check failed")?;
    if args.tta > 0 {
        model.test_time = Some(TestTime::of(&file.manifest, args.tta, 0));
    }
    let paths = pictures::paths(&args.pictures, args.list.as_deref())?;
    let selection = Selection { all: args.all, threshold: args.threshold, top_k: args.top_k, ..Selection::default() };
    let mut lines = Lines::start(writer(args)?, format(args), &task)?;

    let rule = file.manifest.input.resize;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (sender, batches) = sync_channel(AHEAD);
    let (mut answered, mut failed) = (0_u64, 0_u64);
    std::thread::scope(|scope| {
        let paths = &paths;
        scope.spawn(move || {
            for chunk in paths.chunks(args.batch_size.get()) {
                // Nobody takes them any more where writing has failed.
                if sender.send(pool.install(|| pictures::decode(chunk, &rule))).is_err() {
                    return;
                }
            }
        });
        for batch in batches {
            let mut outputs = model.run(&task, &batch, answered + failed)?;
            for picture in batch {
                match picture.frame {
                    Ok(frame) => {
                        let output = outputs.next().context("the model gave too few outputs")?;
                        let answer = answer(&task, &rule, frame.original, &output, &selection)?;
                        lines.answer(&picture.path, frame.original, &answer, &output)?;
                        answered += 1;
                    }
                    Err(reason) => {
                        lines.error(&picture.path, &reason)?;
                        failed += 1;
                    }
                }
            }
        }
        anyhow::Ok(())
    })?;
    lines.finish()?;
    anyhow::ensure!(failed == 0, "{failed} of {} pictures have no answer: their lines say why", answered + failed);
    Ok(())
}

/// The session, and how pictures are augmented for it.
struct Model {
    session: Session,
    test_time: Option<TestTime>,
}

impl Model {
    /// The outputs of the pictures that have a frame; `place` is that of the batch's first picture.
    fn run(
        &mut self,
        task: &Task,
        batch: &[Decoded],
        place: u64,
    ) -> anyhow::Result<impl Iterator<Item = Vec<f32>> + use<>> {
        let mut pixels = Vec::with_capacity(batch.len() * self.session.picture_len());
        let (mut items, mut size) = (Vec::new(), None);
        for (item, picture) in (place..).zip(batch) {
            if let Ok(frame) = &picture.frame {
                pixels.extend_from_slice(&frame.pixels);
                items.push(item);
                size = Some(frame.size);
            }
        }
        let mut outputs = if items.is_empty() { Vec::new() } else { self.session.run(&pixels)? };
        if let (Some(test_time), Some(size)) = (&self.test_time, size) {
            let views = test_time.mean_over_views(task, size, &pixels, &items, |pixels| self.session.run(pixels))?;
            outputs = TestTime::blend(&outputs, &views);
        }
        let length = task.output_len();
        Ok(outputs.chunks_exact(length).map(<[f32]>::to_vec).collect::<Vec<_>>().into_iter())
    }
}

fn format(args: &PredictArgs) -> FormatArg {
    let is_csv = args.out.as_ref().and_then(|path| path.extension()).is_some_and(|extension| extension == "csv");
    args.format.unwrap_or(if is_csv { FormatArg::Csv } else { FormatArg::Jsonl })
}

fn writer(args: &PredictArgs) -> anyhow::Result<Box<dyn Write>> {
    Ok(match &args.out {
        Some(path) => Box::new(BufWriter::new(
            std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(Answering)),
    })
}
