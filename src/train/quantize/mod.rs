//! From a trained float32 model to its INT8 form, which is judged before it is written.
//!
//! In reading order: `collect` gathers activations over training pictures; `lab` makes quantised graphs and runs them;
//! `search` chooses, on one half of the validation pictures, the method of calibration and the layers that stay in
//! float32; `criterion` judges on the other half; `save` records what was done and writes the file.

mod collect;
mod criterion;
mod lab;
mod pictures;
mod save;
mod search;
mod speed;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use self::{
    criterion::Rows,
    lab::Lab,
    pictures::{Pictures, calibration_examples, halves},
};
pub use self::{
    criterion::{Criterion, Judgement},
    save::Written,
};
use super::{
    TrainError,
    dataset::Dataset,
    evaluate::{Evaluation, Judge},
};
use crate::{
    infer::{GoldenError, InferError, Runtime, Session, SessionOptions},
    model::{ModelError, ModelFile},
    onnx::{
        OnnxError,
        quantize::{Method, WeightRange},
    },
};

/// How a model is quantised.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The methods that are tried.
    pub methods: Vec<Method>,
    /// Training pictures that calibrate.
    pub pictures: usize,
    /// Layers that stay in float32 whatever is measured, by their nodes' names.
    pub in_float: BTreeSet<String>,
    /// How large weights may be.
    pub weights: WeightRange,
    /// What may be lost, in the criterion's own measure; its default where none is given.
    pub max_loss: Option<f64>,
    /// How long layers may be tried in float32.
    pub budget: Duration,
    /// The threshold of `accuracy_multi`.
    pub accuracy_threshold: f64,
    /// Draws calibration pictures, halves and the bootstrap.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            methods: Method::ALL.to_vec(),
            pictures: 256,
            in_float: BTreeSet::new(),
            weights: WeightRange::Full,
            max_loss: None,
            budget: Duration::from_secs(300),
            accuracy_threshold: 0.5,
            seed: 0,
        }
    }
}

/// Why a model has no INT8 form.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The graph cannot be rewritten.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime failed.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A picture cannot be read any more, or another of the trainer's errors.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The golden samples cannot be run.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The file cannot be assembled or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model or the data set is not fit for it.
    #[error("{0}")]
    Unfit(String),
}

/// A model's outputs under ONNX Runtime on the validation split, [pictures, output elements].
///
/// # Errors
/// A picture that cannot be read any more, and failures of ONNX Runtime.
pub fn outputs(runtime: &Runtime, file: &ModelFile, dataset: &Dataset) -> Result<Vec<f32>, QuantizeError> {
    let pictures = Pictures::new(dataset, dataset.valid.clone(), file.manifest.input.resize);
    pictures.outputs(&mut Session::open(runtime, file, &SessionOptions::default())?)
}

/// A quantised model, judged but not written yet.
#[derive(Debug)]
pub struct Quantized {
    /// What was lost on the half of the validation pictures that nothing was chosen on.
    pub judgement: Judgement,
    /// The whole validation split, by either precision.
    pub evaluations: [Evaluation; 2],
    /// Pictures a second of one session, one picture at a time: float32, INT8.
    pub speed: [f64; 2],
    /// The model file.
    pub file: ModelFile,
}

/// Quantises a model on a data set whose labels are in the model's order; `say` gets a line for each step.
///
/// # Errors
/// A model or data set that is not fit for it, and failures of ONNX Runtime. A model that loses too much is no error:
/// see [`Judgement::passes`].
pub fn quantize(
    runtime: &Runtime,
    float: &ModelFile,
    dataset: &Arc<Dataset>,
    settings: &Settings,
    say: &mut dyn FnMut(String),
) -> Result<Quantized, QuantizeError> {
    let manifest = &float.manifest;
    let rule = manifest.input.resize;
    let criterion = Criterion::of(&manifest.task, settings.max_loss);
    let mut lab = Lab::open(runtime, float, settings.weights)?;
    lab.check_names(&settings.in_float)?;
    let calibration = calibration_examples(dataset, settings.pictures, settings.seed);
    if calibration.is_empty() {
        return Err(QuantizeError::Unfit("calibration needs one training picture at least".into()));
    }
    let pictures = Pictures::new(dataset, calibration, rule);
    lab.histograms = collect::collect(&lab, &pictures)?;
    say(format!("calibrated on {} training pictures, {} activations", pictures.len(), lab.histograms.len()));

    let [choosing, judging] = halves(dataset, settings.seed)?.map(|half| Pictures::new(dataset, half, rule));
    let chosen = search::search(&lab, &choosing, &criterion, settings, say)?;

    let graph = lab.quantised(chosen.method, &chosen.in_float)?;
    let file = save::assemble(&lab, graph, settings.seed)?;
    let mut sessions = [lab.open_file(float)?, lab.open_file(&file)?];
    let speed = speed::measure(&mut sessions, &choosing)?;
    let [in_float, in_bytes] = &mut sessions;
    let judged = [judging.outputs(in_float)?, judging.outputs(in_bytes)?];
    let rows = judged.each_ref().map(|outputs| Rows::of(&manifest.task, outputs, judging.examples(), &rule));
    let judgement = criterion.judge(&rows, settings.seed)?;

    let whole = Pictures::new(dataset, dataset.valid.clone(), rule);
    let judge = Judge { dataset, rule, threshold: settings.accuracy_threshold };
    let evaluate = |outputs| Evaluation::of(&manifest.task, outputs, f64::NAN, &judge);
    let evaluations = [evaluate(whole.outputs(in_float)?), evaluate(whole.outputs(in_bytes)?)];
    let done = save::Done { chosen: &chosen, judgement: &judgement, evaluations: &evaluations, settings };
    let file = save::describe(&lab, &file, dataset, &done)?;
    Ok(Quantized { judgement, evaluations, speed, file })
}
