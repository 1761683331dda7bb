//! One ONNX Runtime session of one model.

use ort::{
    session::builder::{GraphOptimizationLevel, SessionBuilder},
    value::TensorRef,
};

use super::{InferError, MemoryAccount, Provider, Runtime, SharedModel};
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
    /// On CUDA: the largest batch that is run whole; larger ones run in parts. 1 or more.
    pub max_batch: usize,
    /// On CUDA: whether convolutions and matrix products round their inputs to TensorFloat-32 (10 bits), several times
    /// faster where the card has the units for it.
    pub tensor_float32: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let provider = Provider::Cpu;
        Self { provider, intra_threads: cores, spinning: false, arena: true, max_batch: 8, tensor_float32: true }
    }
}

/// One session: pixels in, outputs out. Blocking, one batch at a time.
///
/// On CUDA these are several of ONNX Runtime's, one for each of a few sizes of batch (powers of four): since
/// 1.20 its convolutions are planned anew whenever the size changes, about a second for MobileNetV2 on an H200
/// (<https://github.com/microsoft/onnxruntime/issues/23006>). A batch is filled up to the next size.
#[derive(Debug)]
pub struct Session {
    /// By size, the smallest first; never empty.
    sized: Vec<Fixed>,
    provider: Provider,
    input: String,
    output: String,
    frame: [i64; 3],
    output_len: usize,
    /// A batch that is filled up; kept for its memory alone.
    filled: Vec<u8>,
}

/// A session of ONNX Runtime's, for batches of one size.
#[derive(Debug)]
struct Fixed {
    /// Pictures in each batch; any number where there is none.
    batch: Option<usize>,
    session: ort::session::Session,
}

impl Session {
    /// Opens a model on its execution provider, and on no other in its place.
    ///
    /// # Errors
    /// A provider that this machine does not have, a graph that ONNX Runtime refuses, or one whose input or output is
    /// not as the manifest says.
    pub fn open(runtime: &Runtime, model: &ModelFile, options: &SessionOptions) -> Result<Self, InferError> {
        Self::open_with(runtime, model, options, None)
    }

    /// As [`Session::open`], with the weights of `shared`, which is the same model on the processor, optimised for the same
    /// options.
    ///
    /// # Errors
    /// As [`Session::open`]; also a kernel of the model's that ONNX Runtime does not let share what it packs.
    pub fn open_shared(
        runtime: &Runtime,
        model: &ModelFile,
        options: &SessionOptions,
        shared: &SharedModel,
    ) -> Result<Self, InferError> {
        Self::open_with(runtime, model, options, Some(shared))
    }

    fn open_with(
        runtime: &Runtime,
        model: &ModelFile,
        options: &SessionOptions,
        shared: Option<&SharedModel>,
    ) -> Result<Self, InferError> {
        options.provider.check_limit(model.bytes.len())?;
        let sizes = options.provider.batch_sizes(options.max_batch);
        let open = |batch| Ok(Fixed { batch, session: open_one(runtime, model, options, shared)? });
        let sized = sizes.into_iter().map(open).collect::<Result<Vec<_>, InferError>>()?;
        let manifest = &model.manifest;
        let size = manifest.input.resize.size;
        let mut opened = Self {
            sized,
            provider: options.provider,
            input: manifest.input.name.clone(),
            output: manifest.output.name.clone(),
            frame: [i64::from(size.height), i64::from(size.width), 3],
            output_len: manifest.task.output_len(),
            filled: Vec::new(),
        };
        opened.warm_up()?;
        Ok(opened)
    }

    /// Runs each size once, so that no request waits for what is planned at the first batch.
    fn warm_up(&mut self) -> Result<(), InferError> {
        for place in 0..self.sized.len() {
            if let Some(batch) = self.sized[place].batch {
                let pixels = vec![0; batch * self.picture_len()];
                self.run_on(place, &pixels).map_err(|error| self.provider.error(&error.to_string()))?;
            }
        }
        Ok(())
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
        MemoryAccount::open(self.sized.iter().map(|sized| &sized.session), self.provider)
    }

    /// Runs one batch: `pixels` is uint8 [N, H, W, 3], RGB, row-major. Returns N × [`Session::output_len`] elements.
    ///
    /// # Errors
    /// Pixels that are no whole number of pictures, a failure of ONNX Runtime, or an output of another size.
    pub fn run(&mut self, pixels: &[u8]) -> Result<Vec<f32>, InferError> {
        let picture = self.picture_len();
        let count = pictures_in(pixels, picture)?;
        let Some(largest) = self.sized.last().and_then(|sized| sized.batch) else { return self.run_on(0, pixels) };
        let mut values = Vec::with_capacity(count * self.output_len);
        for part in pixels.chunks(largest * picture) {
            values.extend(self.run_filled(part)?);
        }
        Ok(values)
    }

    /// Runs no more pictures than the largest size, in the smallest that holds them.
    fn run_filled(&mut self, pixels: &[u8]) -> Result<Vec<f32>, InferError> {
        let count = pixels.len() / self.picture_len();
        let place = self.sized.partition_point(|sized| sized.batch.is_some_and(|batch| batch < count));
        let bytes = self.sized[place].batch.unwrap_or(count) * self.picture_len();
        if bytes == pixels.len() {
            return self.run_on(place, pixels);
        }
        let mut filled = std::mem::take(&mut self.filled);
        filled.clear();
        filled.extend_from_slice(pixels);
        filled.resize(bytes, 0);
        let values = self.run_on(place, &filled);
        self.filled = filled;
        let mut values = values?;
        values.truncate(count * self.output_len);
        Ok(values)
    }

    fn run_on(&mut self, place: usize, pixels: &[u8]) -> Result<Vec<f32>, InferError> {
        let count = pixels.len() / self.picture_len();
        let shape = [count as i64, self.frame[0], self.frame[1], self.frame[2]];
        let input = TensorRef::from_array_view((shape, pixels))?;
        let outputs = self.sized[place].session.run(ort::inputs![self.input.as_str() => input])?;
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

/// How many pictures of so many bytes the pixels are.
pub(super) fn pictures_in(pixels: &[u8], picture: usize) -> Result<usize, InferError> {
    let bytes = pixels.len();
    if bytes == 0 || !bytes.is_multiple_of(picture) {
        return Err(InferError::Contract(format!("{bytes} bytes are no whole number of pictures of {picture} bytes")));
    }
    Ok(bytes / picture)
}

fn open_one(
    runtime: &Runtime,
    model: &ModelFile,
    options: &SessionOptions,
    shared: Option<&SharedModel>,
) -> Result<ort::session::Session, InferError> {
    let builder = builder(runtime, options)?;
    let session = match shared {
        Some(shared) => shared.open(builder)?,
        None => builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .commit_from_memory(&model.bytes)
            .map_err(|error| options.provider.error(&error.to_string()))?,
    };
    let manifest = &model.manifest;
    for (what, name, outlets) in
        [("input", &manifest.input.name, session.inputs()), ("output", &manifest.output.name, session.outputs())]
    {
        if !outlets.iter().any(|outlet| outlet.name() == name) {
            return Err(InferError::Contract(format!("the graph has no {what} {name:?}")));
        }
    }
    Ok(session)
}

/// What all sessions have, but for how much of the graph is optimised.
pub(super) fn builder(runtime: &Runtime, options: &SessionOptions) -> Result<SessionBuilder, InferError> {
    let builder = ort::session::Session::builder(runtime.environment())?
        .with_intra_threads(options.intra_threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(options.spinning)?
        // A pattern is one block for each size of a batch, beside which the arena keeps what it took before: nearly
        // twice the memory, and no faster.
        .with_memory_pattern(false)?
        // Weights lie outside of the arena, so that unloading a model gives their memory back whole.
        .with_config_entry("session.use_device_allocator_for_initializers", "1")?
        // Work is shared out in smaller pieces towards its end, so that a thread which something else has interrupted keeps
        // the others waiting for less; 4 as ONNX Runtime recommends.
        .with_config_entry("session.dynamic_block_base", "4")?;
    options.provider.register(builder, options)
}
