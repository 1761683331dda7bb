//! The INT8 file: the float32 model's manifest with golden samples, metrics, validation scores and provenance of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use prost::Message as _;
use serde_json::{Value, json};

use super::{Judgement, QuantizeError, Quantized, Settings, lab::Lab, search::Chosen};
use crate::{
    drift,
    infer::{Tolerance, check_golden, choose_golden, draw_pictures, golden_outputs},
    model::{Golden, GoldenSample, INT8_FILE, Manifest, ModelFile},
    onnx::{GraphProto, ModelProto, quantize::WeightRange},
    train::{TOOL, TrainError, dataset::Dataset, evaluate::Evaluation, now, save::Description},
};

/// Golden pictures that are drawn where the float32 model has none.
const DRAWN: u64 = 64;

/// An INT8 file that was written.
#[derive(Debug)]
pub struct Written {
    /// Beside the float32 file.
    pub path: PathBuf,
}

/// What was done, for the record.
pub(super) struct Done<'a> {
    pub(super) chosen: &'a Chosen,
    pub(super) judgement: &'a Judgement,
    pub(super) evaluations: &'a [Evaluation; 2],
    pub(super) settings: &'a Settings,
}

/// The quantised graph as a model file whose golden outputs are its own.
pub(super) fn assemble(lab: &Lab<'_>, graph: GraphProto, seed: u64) -> Result<ModelFile, QuantizeError> {
    let float = &lab.float.manifest;
    let mut session = lab.session(graph.clone())?;
    let rule = &float.input.resize;
    let golden = if float.golden.samples.is_empty() {
        let pictures = draw_pictures(seed, DRAWN).map_err(|error| TrainError::GoldenPicture(error.to_string()))?;
        choose_golden(&pictures, &golden_outputs(&mut session, rule, &pictures)?)
    } else {
        let decode = |sample: &GoldenSample| BASE64.decode(&sample.picture);
        let pictures: Vec<Vec<u8>> = float
            .golden
            .samples
            .iter()
            .map(decode)
            .collect::<Result<_, _>>()
            .map_err(|error| TrainError::GoldenPicture(error.to_string()))?;
        let outputs = golden_outputs(&mut session, rule, &pictures)?;
        let samples = float.golden.samples.iter().zip(outputs);
        let own = samples.map(|(sample, output)| GoldenSample { picture: sample.picture.clone(), output });
        Golden { samples: own.collect() }
    };
    let manifest = Manifest { golden, ..float.clone() };
    Ok(ModelFile::assemble(lab.model(graph), manifest)?)
}

/// The same file with its record, checked as a server checks it.
pub(super) fn describe(
    lab: &Lab<'_>,
    file: &ModelFile,
    dataset: &Dataset,
    done: &Done<'_>,
) -> Result<ModelFile, QuantizeError> {
    let mut manifest = file.manifest.clone();
    let of = |evaluation: &Evaluation| -> BTreeMap<String, f64> { Description::metrics_of(evaluation) };
    let [float, int8] = done.evaluations;
    // Both of the same pictures in the same run.
    manifest.metrics = [("fp32".to_owned(), of(float)), ("int8".to_owned(), of(int8))].into();
    manifest.score_reference = drift::reference(&manifest.task, &int8.outputs);
    let provenance = &mut manifest.provenance;
    if !provenance.settings.is_object() {
        provenance.settings = json!({});
    }
    provenance.settings["int8"] = record(lab, dataset, done);
    provenance.tool = TOOL.to_owned();
    provenance.created = now();
    let model = ModelProto::decode(file.bytes.as_slice()).map_err(crate::onnx::OnnxError::from)?;
    let file = ModelFile::parse(ModelFile::assemble(model, manifest)?.bytes)?;
    check_golden(&mut lab.open_file(&file)?, &file.manifest, Tolerance::INT8)?;
    Ok(file)
}

fn record(lab: &Lab<'_>, dataset: &Dataset, done: &Done<'_>) -> Value {
    let Done { chosen, judgement, settings, .. } = done;
    let noise: BTreeMap<String, f64> =
        chosen.noise.iter().map(|(method, noise)| (method.to_string(), *noise)).collect();
    json!({
        "model": lab.float.digest.to_string(),
        "data": dataset.fingerprint.to_string(),
        "seed": settings.seed,
        "calibration": {
            "method": chosen.method.to_string(),
            "pictures": settings.pictures.min(dataset.train.len()),
            "noise": noise,
        },
        "weights": match settings.weights {
            WeightRange::Full => "full",
            WeightRange::Reduced => "reduced",
        },
        "layers": chosen.layers,
        "in_float32": chosen.in_float,
        "judged": {
            "metric": judgement.criterion.metric,
            "relative": judgement.criterion.is_relative,
            "pictures": judgement.pictures,
            "fp32": judgement.metrics[0],
            "int8": judgement.metrics[1],
            "loss": judgement.loss,
            "interval_95": judgement.interval,
            "max_loss": judgement.criterion.max_loss,
        },
    })
}

impl Quantized {
    /// Where a model's INT8 file lies.
    pub fn path_beside(float: &Path) -> PathBuf {
        float.with_file_name(INT8_FILE)
    }

    /// Writes the file beside the float32 one, whole or not at all; one that is there already stays.
    ///
    /// # Errors
    /// A file that is there already, and what the file system says.
    pub fn write_beside(&self, float: &Path) -> Result<Written, QuantizeError> {
        let path = Self::path_beside(float);
        self.file.write_new(&path)?;
        Ok(Written { path })
    }
}
