//! Weights that several sessions of one model hold together.
//!
//! ONNX Runtime keeps in each session what it read from a model. Two sessions hold one copy of what is handed to both from
//! outside of the model by an initialiser's name (`AddInitializer`), and of what its kernels pack of that. By then the
//! weights have to be those that kernels read: convolutions on the processor take theirs in blocks of channels, which is the
//! work of optimisation. So the model is optimised once, and each session is opened from what came of it.

use std::sync::Arc;

use ort::{
    session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder},
    value::{DynValue, Tensor},
};
use prost::Message as _;

use super::{InferError, Runtime, SessionOptions, session};
use crate::{
    model::ModelFile,
    onnx::{GraphProto, ModelProto, NodeProto, TensorProto, proto::DataType},
};

/// Elements of a tensor from which it is shared; below, what a session holds for it is more than the tensor.
const SHARED_ELEMENTS: usize = 1024;

/// A model as ONNX Runtime optimised it for this processor, and its float32 weights apart from it.
///
/// Integer weights stay with each session: ONNX Runtime 1.31 packs those of a convolution (`QLinearConv`) where no other
/// session sees them, and refuses to be handed them from outside.
pub struct SharedModel {
    /// The whole file: a weight without its values is refused, even one that is handed over.
    bytes: Vec<u8>,
    /// By name; one for each weight, which every session refers to.
    weights: Vec<(String, Arc<DynValue>)>,
    /// What kernels made of the weights for themselves.
    packed: PrepackedWeights,
}

impl SharedModel {
    /// Optimises a model for sessions with these options on the processor.
    ///
    /// # Errors
    /// A graph that ONNX Runtime refuses, or no place for the optimised one: it is written to memory, through `/proc`.
    pub fn optimise(runtime: &Runtime, model: &ModelFile, options: &SessionOptions) -> Result<Self, InferError> {
        let bytes = optimised(runtime, model, options)?;
        let graph = ModelProto::decode(bytes.as_slice()).map_err(unreadable)?.graph.unwrap_or_default();
        let mut weights = Vec::new();
        for tensor in shared_weights(&graph) {
            let value = Tensor::from_array((tensor.dims.clone(), tensor.to_f32().map_err(unreadable)?))?;
            weights.push((tensor.name().to_owned(), Arc::new(value.into_dyn())));
        }
        Ok(Self { bytes, weights, packed: PrepackedWeights::new() })
    }

    /// Opens one of the sessions; `builder` has the options that the model was optimised for.
    pub(super) fn open(&self, builder: SessionBuilder) -> Result<ort::session::Session, InferError> {
        let mut builder =
            builder.with_optimization_level(GraphOptimizationLevel::Disable)?.with_prepacked_weights(&self.packed)?;
        for (name, value) in &self.weights {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder.commit_from_memory(&self.bytes)?)
    }
}

/// None where a node has a graph of its own, which may call something else by a weight's name.
fn shared_weights(graph: &GraphProto) -> impl Iterator<Item = &TensorProto> {
    let nested = |node: &NodeProto| node.attribute.iter().any(|it| it.g.is_some() || !it.graphs.is_empty());
    let flat = !graph.node.iter().any(nested);
    let large = |tensor: &TensorProto| tensor.element_count().is_ok_and(|count| count >= SHARED_ELEMENTS);
    graph.initializer.iter().filter(move |tensor| flat && tensor.data_type() == DataType::Float && large(tensor))
}

/// The file that ONNX Runtime makes of a model when it optimises it; it can write that to a path alone.
#[cfg(target_os = "linux")]
fn optimised(runtime: &Runtime, model: &ModelFile, options: &SessionOptions) -> Result<Vec<u8>, InferError> {
    use std::{
        fs::File,
        io::{Read as _, Seek as _},
        os::fd::AsRawFd as _,
    };

    let failed = |error: std::io::Error| InferError::OnnxRuntime(format!("no place for the optimised model: {error}"));
    // A file in memory, since a container's root may be read only.
    let file = rustix::fs::memfd_create("optimised model", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|error| failed(error.into()))?);
    let session = session::builder(runtime, options)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_optimized_model_path(format!("/proc/self/fd/{}", file.as_raw_fd()))?
        // The session is opened for the file alone.
        .with_config_entry("session.disable_prepacking", "1")?
        .commit_from_memory(&model.bytes)?;
    drop(session);
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

#[cfg(not(target_os = "linux"))]
fn optimised(_: &Runtime, _: &ModelFile, _: &SessionOptions) -> Result<Vec<u8>, InferError> {
    Err(InferError::OnnxRuntime("files in memory, which the optimised model is written to, need Linux".to_owned()))
}

fn unreadable(error: impl std::fmt::Display) -> InferError {
    InferError::OnnxRuntime(format!("the optimised model cannot be read: {error}"))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{infer::Session, onnx::proto::AttributeProto};

    #[test]
    fn sessions_that_share_give_the_same_bits_as_one_by_itself() {
        let runtime = Runtime::load(None).unwrap();
        let options = SessionOptions { intra_threads: 1, ..SessionOptions::default() };
        for (file, most) in [("model.onnx", 0.95), ("model.int8.onnx", 0.0)] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/scenes/1").join(file);
            let model = ModelFile::read(&path).unwrap();
            let mut alone = Session::open(&runtime, &model, &options).unwrap();
            let pixels: Vec<u8> = (0..2 * alone.picture_len()).map(|i| (i * 7919 % 251) as u8).collect();
            let expected = alone.run(&pixels).unwrap();

            let shared = SharedModel::optimise(&runtime, &model, &options).unwrap();
            let elements = |tensor: &DynValue| tensor.shape().num_elements();
            let bytes = shared.weights.iter().map(|(_, value)| 4 * elements(value)).sum::<usize>();
            assert!(bytes as f64 >= most * model.bytes.len() as f64, "{file}: {bytes} of {}", model.bytes.len());
            let open = || Session::open_shared(&runtime, &model, &options, &shared).unwrap();
            let (mut first, mut second) = (open(), open());
            drop(shared);
            assert_eq!(first.run(&pixels).unwrap(), expected, "{file}");
            drop(first);
            assert_eq!(second.run(&pixels).unwrap(), expected, "{file}");
        }
    }

    #[test]
    fn weights_that_a_nested_graph_could_mean_are_not_shared() {
        let weight = TensorProto::from_f32("w", &[64, 64], &[0.5; 4096]);
        let mut graph =
            GraphProto { initializer: vec![weight], node: vec![NodeProto::default()], ..GraphProto::default() };
        assert_eq!(shared_weights(&graph).count(), 1);
        graph.node[0].attribute = vec![AttributeProto { g: Some(GraphProto::default()), ..AttributeProto::default() }];
        assert_eq!(shared_weights(&graph).count(), 0);
    }
}
