//! `tagpoint predict`: what the server would answer, without one.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Selection, Threshold, answer},
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{ModelFile, list_versions},
    picture::{Limits, Picture},
};

/// The flags of `tagpoint predict`.
#[derive(Args, Clone, Debug)]
pub struct PredictArgs {
    /// A model file, or a model's name in the models folder
    pub model: String,
    /// Pictures
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Folder of NAME/VERSION/model.onnx
    #[arg(long, env = "TAGPOINT_MODELS", value_name = "DIR", default_value = "models")]
    pub models: PathBuf,
    /// Every label, whatever its score
    #[arg(long)]
    pub all: bool,
    /// One threshold for every label
    #[arg(long, value_name = "SCORE")]
    pub threshold: Option<Threshold>,
    /// The operating point whose thresholds hold
    #[arg(long, value_name = "NAME")]
    pub operating_point: Option<String>,
    /// At most so many labels
    #[arg(long, value_name = "N")]
    pub top_k: Option<std::num::NonZeroUsize>,
}

/// Runs `tagpoint predict`: a line of JSON for each picture, as the server's answer to a form has it.
///
/// # Errors
/// A model that cannot be opened or fails its golden check; pictures without an answer, once the others are answered.
pub fn run(args: &PredictArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let path = model_path(args)?;
    let file = ModelFile::read(&path).with_context(|| path.display().to_string())?;
    let mut session = Session::open(&Runtime::load(None)?, &file, &SessionOptions::default())?;
    check_golden(&mut session, &file.manifest, Tolerance::of(&file)).context("golden check failed")?;
    let selection = Selection {
        all: args.all,
        threshold: args.threshold,
        operating_point: args.operating_point.clone(),
        top_k: args.top_k,
        labels: None,
    };
    let mut failed = 0;
    for picture in &args.files {
        let line = predict(&mut session, &file, picture, &selection).unwrap_or_else(|error| {
            failed += 1;
            json!({"file": picture.display().to_string(), "error": format!("{error:#}")}).to_string()
        });
        writeln!(out, "{line}")?;
    }
    if failed > 0 {
        bail!("{failed} of {} pictures have no answer", args.files.len());
    }
    Ok(())
}

/// The file itself, or the highest version of a model by name.
fn model_path(args: &PredictArgs) -> anyhow::Result<PathBuf> {
    let path = Path::new(&args.model);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let shown = args.models.display();
    let folders = list_versions(&args.models).with_context(|| format!("the models folder {shown} cannot be read"))?;
    let named = folders.into_iter().rfind(|folder| folder.name.as_str() == args.model);
    let missing = || format!("{:?} is neither a file nor a model in {shown}", args.model);
    Ok(named.with_context(missing)?.file)
}

fn predict(session: &mut Session, model: &ModelFile, path: &Path, selection: &Selection) -> anyhow::Result<String> {
    let rule = model.manifest.input.resize;
    let bytes = std::fs::read(path)?;
    let (pixels, original) = Picture::frame(&bytes, &Limits::default(), &rule)?;
    let output = session.run(&pixels)?;
    let answer = answer(&model.manifest.task, &rule, original, &output, selection)?;
    let size = json!({"width": original.width, "height": original.height});
    Ok(serde_json::to_string(&Line { file: path.display().to_string(), picture: size, answer })?)
}

/// One picture's answer. Written as it is: by way of a JSON value, its float32 numbers would become float64.
#[derive(Serialize)]
struct Line {
    file: String,
    picture: Value,
    #[serde(flatten)]
    answer: Answer,
}
