//! `inspect`: what is in a model file, or in any other ONNX file.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use prost::Message as _;
use serde_json::{Value, json};

use crate::{
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden},
    model::{Digest, Label, Manifest, ModelError, ModelFile, Task},
    onnx::{
        GraphProto, ModelProto,
        calibrate::{self, Calibration},
        cut::find_cut,
        proto::{DataType, DimensionValue, TypeValue, ValueInfoProto},
    },
    output::say,
    train::network::Network,
};

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The ONNX file; it need not be one of ours.
    pub model: PathBuf,
    /// Run the golden samples through ONNX Runtime.
    #[arg(long)]
    pub check: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// What was found in a file.
struct Found {
    digest: Digest,
    bytes: usize,
    model: ModelProto,
    /// None where the file is not one of ours.
    manifest: Option<Manifest>,
}

/// Prints what is in the file.
pub(super) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let path = args.model.display().to_string();
    let bytes = std::fs::read(&args.model).with_context(|| path.clone())?;
    let model = ModelProto::decode(bytes.as_slice()).with_context(|| format!("{path}: not an ONNX file"))?;
    let found = |manifest| Found { digest: Digest::of(&bytes), bytes: bytes.len(), model, manifest };
    let (found, file) = match ModelFile::parse(bytes.clone()) {
        Ok(file) => (found(Some(file.manifest.clone())), Some(file)),
        Err(ModelError::NoManifest) => (found(None), None),
        Err(error) => return Err(error).context(path),
    };
    let check = args.check.then(|| golden_check(file.as_ref()));
    if args.json {
        let mut document = found.document();
        document["golden_check"] = json!(check.as_ref().map(|result| match result {
            Ok(text) => text.clone(),
            Err(error) => format!("{error:#}"),
        }));
        say!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        say!("{:<14} {path}", "file");
        found.print();
        if let Some(Ok(text)) = &check {
            line("golden check", text);
        }
    }
    check.map_or(Ok(()), |result| result.map(drop))
}

fn golden_check(file: Option<&ModelFile>) -> anyhow::Result<String> {
    let file = file.context("the file has no manifest, so it has no golden samples to check")?;
    let tolerance = Tolerance::of(file);
    let mut session = Session::open(&Runtime::load(None)?, file, &SessionOptions::default())?;
    check_golden(&mut session, &file.manifest, tolerance).context("golden check failed")?;
    let size =
        if matches!(file.manifest.task, Task::Values(_)) { ", or of their size where that is above 1," } else { "" };
    Ok(format!("passed, within {:e} of the outputs{size} that the model gave when it was made", tolerance.0))
}

fn line(what: &str, text: impl std::fmt::Display) {
    say!("{what:<14} {text}");
}

impl Found {
    fn graph(&self) -> GraphProto {
        self.model.graph.clone().unwrap_or_default()
    }

    fn print(&self) {
        let graph = self.graph();
        line("size", format!("{:.1} MB, sha256:{}", self.bytes as f64 / 1e6, self.digest));
        if let Some(manifest) = &self.manifest {
            print_manifest(manifest);
        }
        // In old files every initializer is an input too.
        let is_initializer = |name: &str| graph.initializer.iter().any(|tensor| tensor.name() == name);
        for input in graph.input.iter().filter(|input| !is_initializer(input.name())) {
            line("input", shape(input));
        }
        graph.output.iter().for_each(|output| line("output", shape(output)));
        let sets: Vec<String> =
            self.model.opset_import.iter().map(|set| format!("{} {}", domain(set.domain()), set.version())).collect();
        line("operator set", format!("{}, IR version {}", sets.join(", "), self.model.ir_version()));
        line("made by", format!("{} {}", self.model.producer_name(), self.model.producer_version()));
        line("parameters", format!("{:.2} million", parameters(&graph) as f64 / 1e6));
        let operators: Vec<String> =
            operators(&graph).into_iter().map(|(name, count)| format!("{count} {name}")).collect();
        line("operators", operators.join(", "));
        let unknown = unknown(&graph);
        if !unknown.is_empty() {
            line("not trainable", format!("training does not know {}", unknown.join(", ")));
        }
        if let Ok(Some(calibration)) = calibrate::find(&graph) {
            line("calibration", calibration_text(&calibration));
        }
        if self.manifest.is_none() {
            line("manifest", "none: not one of our models (`tagpoint import` makes it one that can be served)");
            match find_cut(&graph) {
                Ok(cut) => line("cut", cut_text(&cut.features, cut.channels, cut.pools)),
                Err(error) => line("cut", error),
            }
        }
    }

    fn document(&self) -> Value {
        let graph = self.graph();
        let cut = find_cut(&graph).ok();
        let cut = cut.map(|cut| json!({"features": cut.features, "channels": cut.channels, "pools": cut.pools}));
        json!({
            "bytes": self.bytes,
            "digest": format!("sha256:{}", self.digest),
            "manifest": self.manifest,
            "inputs": graph.input.iter().map(shape).collect::<Vec<_>>(),
            "outputs": graph.output.iter().map(shape).collect::<Vec<_>>(),
            "operator_sets": self.model.opset_import.iter()
                .map(|set| (domain(set.domain()).to_owned(), json!(set.version())))
                .collect::<serde_json::Map<_, _>>(),
            "ir_version": self.model.ir_version(),
            "producer": [self.model.producer_name(), self.model.producer_version()],
            "parameters": parameters(&graph),
            "operators": operators(&graph),
            "not_trainable": unknown(&graph),
            "calibration": calibrate::find(&graph).ok().flatten()
                .map(|found| json!({"scales": found.scales, "shifts": found.shifts})),
            "cut": cut,
        })
    }
}

fn print_manifest(manifest: &Manifest) {
    let resize = manifest.input.resize;
    line("task", format!("{}, {} outputs", manifest.task.kind(), manifest.task.output_len()));
    line("resize", format!("{:?} to {}x{}", resize.method, resize.size.width, resize.size.height).to_lowercase());
    match &manifest.task {
        Task::MultiLabel { labels } | Task::SingleLabel { labels } => labels.iter().for_each(print_label),
        Task::Points(points) => {
            line("points", points.names.join(", "));
            line("y_range", format!("{} to {}", points.y_range.low, points.y_range.high));
            line("flip pairs", points.flip_pairs.len());
            if let Some((a, b)) = points.nme_pair {
                line("NME pair", format!("{} and {}", points.names[a], points.names[b]));
            }
        }
        Task::Values(values) => line("values", values.names.join(", ")),
    }
    for (precision, metrics) in &manifest.metrics {
        let overall = metrics.iter().filter(|(name, _)| !name.contains('/'));
        let text: Vec<String> = overall.map(|(name, value)| format!("{name} {value:.4}")).collect();
        line("metrics", format!("{precision}: {}", text.join(", ")));
    }
    let provenance = &manifest.provenance;
    line("architecture", &provenance.architecture);
    line("trained on", format!("{} pictures, judged on {}", provenance.train_pictures, provenance.valid_pictures));
    for (what, digest) in [("data", provenance.data), ("base weights", provenance.base_weights)] {
        if let Some(digest) = digest {
            line(what, format!("sha256:{digest}"));
        }
    }
    line("settings", &provenance.settings);
    line("written", format!("{} by {}", provenance.created, provenance.tool));
    line("golden", format!("{} samples", manifest.golden.samples.len()));
}

fn print_label(label: &Label) {
    let thresholds: Vec<String> =
        label.thresholds.iter().map(|(name, threshold)| format!("{name} {threshold:.3}")).collect();
    let counts = format!("{} training and {} validation pictures", label.train_count, label.valid_count);
    line("label", format!("{:<20} {counts}  {}", label.name, thresholds.join("  ")));
}

/// Name, element type and dimensions, such as `image uint8 [N, 224, 224, 3]`.
fn shape(value: &ValueInfoProto) -> String {
    let kind = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(TypeValue::Tensor(tensor)) = kind else { return format!("{} (no tensor)", value.name()) };
    let dims = tensor.shape.as_ref().map(|shape| {
        let dim = |dim: &crate::onnx::proto::Dimension| match &dim.value {
            Some(DimensionValue::Value(value)) => value.to_string(),
            Some(DimensionValue::Param(name)) => name.clone(),
            None => "?".to_owned(),
        };
        shape.dim.iter().map(dim).collect::<Vec<_>>().join(", ")
    });
    let element = format!("{:?}", tensor.elem_type()).to_lowercase();
    format!("{} {element} [{}]", value.name(), dims.unwrap_or_else(|| "?".to_owned()))
}

fn domain(name: &str) -> &str {
    if name.is_empty() { "ai.onnx" } else { name }
}

/// How often each operator is there, in alphabetical order.
fn operators(graph: &GraphProto) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        let name = match node.domain() {
            "" | "ai.onnx" => node.op_type().to_owned(),
            domain => format!("{domain}.{}", node.op_type()),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

/// Operators that the trainer cannot run.
fn unknown(graph: &GraphProto) -> Vec<String> {
    let known: Vec<&str> = Network::operators().collect();
    operators(graph).into_keys().filter(|name| !known.contains(&name.as_str())).collect()
}

/// Elements of the float initializers.
fn parameters(graph: &GraphProto) -> usize {
    let floats = graph.initializer.iter().filter(|tensor| {
        matches!(tensor.data_type(), DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double)
    });
    floats.filter_map(|tensor| tensor.element_count().ok()).sum()
}

fn calibration_text(calibration: &Calibration) -> String {
    match calibration.scales.as_slice() {
        [scale] => format!("temperature {:.3}", 1.0 / scale),
        scales => {
            let lines = scales.iter().zip(&calibration.shifts);
            let text: Vec<String> = lines.map(|(scale, shift)| format!("{scale:.3}x{shift:+.3}")).collect();
            text.join(", ")
        }
    }
}

fn cut_text(features: &str, channels: i64, pools: bool) -> String {
    let place = if pools { "before the pooling" } else { "before the classifier, without pooling" };
    format!("as a backbone it would be cut {place}, at {features:?} with {channels} channels")
}
