//! From a trained network to a model file that has proved itself under ONNX Runtime.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use prost::Message as _;
use tch::{Device, Kind, Tensor, no_grad};

use super::{
    TOOL, TrainError,
    backbone::Backbone,
    evaluate::{Evaluation, Judge},
    learner::Learner,
    network::{Mode, Network},
    now,
    operating_points::{self, Fitted},
    recipe::Recipe,
};
use crate::{
    drift,
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden, choose_golden, draw_pictures},
    model::{
        Digest, Golden, InputSpec, Manifest, ModelFile, ModelVersion, OutputSpec, Provenance, SCHEMA_VERSION,
        ScoreReference, Task, next_version,
    },
    onnx::{
        SourceGraph,
        trust::{self, TrustLimits},
    },
    picture::{Limits, Picture, ResizeRule},
};

/// Golden pictures that are drawn, of which a few are kept.
const DRAWN: u64 = 64;

/// What is recorded as the files' producer.
const PRODUCER: (&str, &str) = ("tagpoint-train", env!("CARGO_PKG_VERSION"));

/// How a trained network becomes a model.
#[derive(Clone, Debug, Default)]
pub struct SaveSettings {
    /// Whether to calibrate, and which operating points to fit.
    pub fit: operating_points::Settings,
    /// Golden pictures, encoded; drawn ones where there are none.
    pub golden_pictures: Option<Vec<Vec<u8>>>,
}

/// A model that was written.
#[derive(Debug)]
pub struct Saved {
    /// The file.
    pub path: PathBuf,
    /// Its version, which is its folder.
    pub version: ModelVersion,
    /// What stands in it.
    pub file: ModelFile,
    /// The calibration and the thresholds that were fitted.
    pub fitted: Fitted,
}

/// Fits calibration and thresholds on the learner's last evaluation, proves the model under ONNX Runtime, and writes
/// `out`/NEXT-VERSION/model.onnx.
///
/// # Errors
/// As [`assemble_and_check`], and what the file system says.
pub fn save(
    learner: &mut Learner,
    evaluation: Evaluation,
    settings: SaveSettings,
    runtime: &Runtime,
    out: &Path,
) -> Result<Saved, TrainError> {
    let recipe = learner.recipe();
    let dataset = learner.dataset();
    let judge = Judge { dataset, rule: recipe.resize, threshold: recipe.accuracy_threshold };
    let fitted = operating_points::fit(learner.task(), evaluation, &judge, &settings.fit);
    let mut source = learner.graph()?;
    fitted.calibrate(&mut source.graph)?;
    // Golden outputs are those of the graph that is written.
    let mut network = Network::new(&source.graph, source.opset, Device::Cpu, Kind::Float)?;
    let description = Description {
        task: fitted.task.clone(),
        metrics: Description::metrics_of(&fitted.evaluation),
        score_reference: drift::reference(&fitted.task, &fitted.evaluation.outputs),
        data: dataset.fingerprint,
        pictures: (dataset.train.len() as u64, dataset.valid.len() as u64),
        base_weights: learner.base_weights(),
        golden_pictures: settings.golden_pictures,
    };
    let file = assemble_and_check(&mut network, source, recipe, description, runtime)?;
    let (version, path) =
        next_version(out).map_err(|source| TrainError::Io { path: out.display().to_string(), source })?;
    file.write(&path)?;
    Ok(Saved { path, version, file, fitted })
}

/// Sees that the server would take what a learner on an exported backbone is going to write, so that training is not in
/// vain: the graph as it is now may reach ONNX Runtime, which opens it.
///
/// # Errors
/// What the server or ONNX Runtime would refuse.
pub fn check_servable(learner: &Learner, runtime: &Runtime) -> Result<(), TrainError> {
    let Backbone::File(path) = &learner.recipe().architecture else { return Ok(()) };
    let refused = |reason: &dyn std::fmt::Display| TrainError::Backbone {
        path: path.display().to_string(),
        reason: format!("a model that is trained from it would not be served: {reason}"),
    };
    let source = learner.graph()?;
    let description = Description {
        task: learner.task().clone(),
        metrics: BTreeMap::new(),
        score_reference: None,
        data: learner.dataset().fingerprint,
        pictures: (0, 0),
        base_weights: learner.base_weights(),
        golden_pictures: None,
    };
    let manifest = manifest(learner.recipe(), &source.origin, description, Golden::default());
    let bytes = source.into_model(PRODUCER).encode_to_vec();
    let limits = TrustLimits::default();
    trust::decode(&bytes, &limits).and_then(|model| trust::check(&model, &limits)).map_err(|error| refused(&error))?;
    let file = ModelFile { bytes, digest: Digest::of(&[]), manifest };
    Session::open(runtime, &file, &SessionOptions::default()).map_err(|error| refused(&error))?;
    Ok(())
}

/// What a model file says beside its graph.
#[derive(Debug)]
pub struct Description {
    /// The task, thresholds fitted.
    pub task: Task,
    /// The validation metrics.
    pub metrics: BTreeMap<String, f64>,
    /// The validation scores, as the file's graph gives them.
    pub score_reference: Option<ScoreReference>,
    /// The data set's fingerprint.
    pub data: Digest,
    /// Pictures in the training and in the validation split.
    pub pictures: (u64, u64),
    /// The weight file's digest.
    pub base_weights: Option<Digest>,
    /// Golden pictures, encoded; drawn ones where there are none.
    pub golden_pictures: Option<Vec<Vec<u8>>>,
}

/// Assembles the model file and runs its golden samples through ONNX Runtime.
///
/// The golden outputs are the interpreter's, so the check also proves that the trainer and ONNX Runtime agree.
///
/// # Errors
/// A model that ONNX Runtime refuses or answers differently by more than 1e-3.
pub fn assemble_and_check(
    network: &mut Network,
    source: SourceGraph,
    recipe: &Recipe,
    description: Description,
    runtime: &Runtime,
) -> Result<ModelFile, TrainError> {
    let golden = golden_samples(network, &description, &recipe.resize, recipe.seed)?;
    let manifest = manifest(recipe, &source.origin, description, golden);
    // Read as the server will read it: what it refuses is not written.
    let file = ModelFile::parse(ModelFile::assemble(source.into_model(PRODUCER), manifest)?.bytes)?;
    let mut session = Session::open(runtime, &file, &SessionOptions::default())?;
    check_golden(&mut session, &file.manifest, Tolerance::FLOAT32)?;
    Ok(file)
}

fn manifest(recipe: &Recipe, origin: &str, description: Description, golden: Golden) -> Manifest {
    let Description { task, metrics, score_reference, data, pictures, base_weights, .. } = description;
    Manifest {
        schema_version: SCHEMA_VERSION,
        input: InputSpec { name: "image".to_owned(), resize: recipe.resize },
        output: OutputSpec { name: task.output_name().to_owned() },
        task,
        // `ModelFile::assemble` sets the graph's.
        graph_digest: Digest::of(&[]),
        golden,
        metrics: [("fp32".to_owned(), metrics)].into(),
        score_reference,
        provenance: Provenance {
            architecture: origin.to_owned(),
            base_weights,
            data: Some(data),
            train_pictures: pictures.0,
            valid_pictures: pictures.1,
            settings: recipe.for_manifest(),
            tool: TOOL.to_owned(),
            created: now(),
        },
    }
}

/// The samples whose outputs lie farthest apart.
fn golden_samples(
    network: &mut Network,
    description: &Description,
    rule: &ResizeRule,
    seed: u64,
) -> Result<Golden, TrainError> {
    let drawn;
    let pictures = match &description.golden_pictures {
        Some(pictures) => pictures,
        None => {
            drawn = draw_pictures(seed, DRAWN).map_err(|error| TrainError::GoldenPicture(error.to_string()))?;
            &drawn
        }
    };
    let mut outputs = Vec::with_capacity(pictures.len());
    for bytes in pictures {
        outputs.push(output_of(network, description.task.output_name(), rule, bytes)?);
    }
    Ok(choose_golden(pictures, &outputs))
}

/// The interpreter's output for one encoded picture.
pub(super) fn output_of(
    network: &mut Network,
    output: &str,
    rule: &ResizeRule,
    bytes: &[u8],
) -> Result<Vec<f32>, TrainError> {
    let (pixels, _) = Picture::frame(bytes, &Limits::default(), rule)
        .map_err(|error| TrainError::GoldenPicture(error.to_string()))?;
    let shape = [1, i64::from(rule.size.height), i64::from(rule.size.width), 3];
    let image = Tensor::from_slice(&pixels).f_view(shape)?;
    let outputs = no_grad(|| network.forward(&image, &[output], &Mode::Evaluate))?;
    Ok(super::network::to_f32(&outputs[0])?)
}

impl Description {
    /// The metrics of an evaluation, loss included.
    pub fn metrics_of(evaluation: &Evaluation) -> BTreeMap<String, f64> {
        let shown = evaluation.metrics.iter().chain(&evaluation.details).map(|(name, value)| (name.clone(), *value));
        std::iter::once(("loss".to_owned(), evaluation.loss)).chain(shown).filter(|(_, v)| v.is_finite()).collect()
    }
}
