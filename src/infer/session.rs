//! One ONNX Runtime session of one model.

use ort::{session::builder::GraphOptimizationLevel, value::TensorRef};

use super::{InferError, MemoryAccount, Provider, Runtime};
use crate::model::ModelFile;

/// How a session uses the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// What the model runs on.
    pub provider: Provider,
    /// Threads that work on one batch together; 1 or more.
    pub intra_threads: usize,
    /// Whether idle threads of the session spin, which is faster for one session and starves everything beside it.
    pub spinning: bool,
    /// Whether memory of a batch is kept for the next one, which is faster and holds what the largest batch took.
    pub arena: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { provider: Provider::Cpu, intra_threads: cores, spinning: false, arena: true }
    }
}

/// One session: pixels in, outputs out. Blocking, one batch at a time.
#[derive(Debug)]
pub struct Session {
    session: ort::session::Session,
    provider: Provider,
    input: String,
    output: String,
    frame: [i64; 3],
    output_len: usize,
}

impl Session {
    /// Opens a model on its execution provider, and on no other in its place.
    ///
    /// # Errors
    /// A provider that this machine does not have, a graph that ONNX Runtime refuses, or one whose input or output is
    /// not as the manifest says.
    pub fn open(runtime: &Runtime, model: &ModelFile, options: &SessionOptions) -> Result<Self, InferError> {
        let mut builder = ort::session::Session::builder(runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(options.intra_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(options.spinning)?
            // A pattern is one block for each size of a batch, beside which the arena keeps what it took before: nearly
            // twice the memory, and no faster.
            .with_memory_pattern(false)?
            // Weights lie outside of the arena, so that unloading a model gives their memory back whole.
            .with_config_entry("session.use_device_allocator_for_initializers", "1")?;
        builder = options.provider.register(builder, options.arena)?;
        let session =
            builder.commit_from_memory(&model.bytes).map_err(|error| options.provider.error(&error.to_string()))?;
        let manifest = &model.manifest;
        for (what, name, outlets) in
            [("input", &manifest.input.name, session.inputs()), ("output", &manifest.output.name, session.outputs())]
        {
            if !outlets.iter().any(|outlet| outlet.name() == name) {
                return Err(InferError::Contract(format!("the graph has no {what} {name:?}")));
            }
        }
        let size = manifest.input.resize.size;
        Ok(Self {
            session,
            provider: options.provider,
            input: manifest.input.name.clone(),
            output: manifest.output.name.clone(),
            frame: [i64::from(size.height), i64::from(size.width), 3],
            output_len: manifest.task.output_len(),
        })
    }

    /// The number of bytes of one picture's pixels: height × width × 3.
    pub fn picture_len(&self) -> usize {
        self.frame.iter().product::<i64>() as usize
    }

    /// The number of output elements for one picture.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// A way to see the session's memory while it runs.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub fn memory_account(&self) -> Result<MemoryAccount, InferError> {
        MemoryAccount::open(&self.session, self.provider)
    }

    /// Runs one batch: `pixels` is uint8 [N, H, W, 3], RGB, row-major. Returns N × [`Session::output_len`] elements.
    ///
    /// # Errors
    /// Pixels that are no whole number of pictures, a failure of ONNX Runtime, or an output of another size.
    pub fn run(&mut self, pixels: &[u8]) -> Result<Vec<f32>, InferError> {
        let count = pixels.len() / self.picture_len();
        if count == 0 || count * self.picture_len() != pixels.len() {
            return Err(InferError::Contract(format!(
                "{} bytes are no whole number of pictures of {} bytes",
                pixels.len(),
                self.picture_len()
            )));
        }
        let shape = [count as i64, self.frame[0], self.frame[1], self.frame[2]];
        let input = TensorRef::from_array_view((shape, pixels))?;
        let outputs = self.session.run(ort::inputs![self.input.as_str() => input])?;
        let (shape, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>()?;
        if values.len() != count * self.output_len {
            return Err(InferError::Contract(format!(
                "output {:?} has shape {shape} for {count} pictures, expected {} elements each",
                self.output, self.output_len
            )));
        }
        Ok(values.to_vec())
    }
}
