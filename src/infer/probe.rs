//! Looking at what a graph computes on its way: a session whose outputs are all of float32, of any shape and number.

use ort::{session::builder::GraphOptimizationLevel, value::TensorRef};
use prost::Message as _;

use super::{InferError, Runtime, SessionOptions, session::pictures_in};
use crate::{model::InputSpec, onnx::ModelProto};

/// Runs a graph for every output that it has.
#[derive(Debug)]
pub struct Probe {
    session: ort::session::Session,
    input: String,
    frame: [i64; 3],
}

impl Probe {
    /// Opens a graph whose input is that of a model.
    ///
    /// # Errors
    /// A graph that ONNX Runtime refuses.
    pub fn open(
        runtime: &Runtime,
        model: &ModelProto,
        input: &InputSpec,
        options: &SessionOptions,
    ) -> Result<Self, InferError> {
        let session = ort::session::Session::builder(runtime.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(options.intra_threads)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(options.spinning)?
            .commit_from_memory(&model.encode_to_vec())?;
        let size = input.resize.size;
        let frame = [i64::from(size.height), i64::from(size.width), 3];
        Ok(Self { session, input: input.name.clone(), frame })
    }

    /// Runs a batch, uint8 [N, H, W, 3], RGB, and hands all outputs over by name, row-major.
    ///
    /// # Errors
    /// Pixels that are no whole number of pictures, a failure of ONNX Runtime, and outputs that are not float32.
    pub fn run(&mut self, pixels: &[u8], take: impl FnOnce(Vec<(&str, &[f32])>)) -> Result<(), InferError> {
        let picture = self.frame.iter().product::<i64>() as usize;
        let count = pictures_in(pixels, picture)?;
        let shape = [count as i64, self.frame[0], self.frame[1], self.frame[2]];
        let input = TensorRef::from_array_view((shape, pixels))?;
        let outputs = self.session.run(ort::inputs![self.input.as_str() => input])?;
        let mut values = Vec::new();
        for name in outputs.keys() {
            values.push((name, outputs[name].try_extract_tensor::<f32>()?.1));
        }
        take(values);
        Ok(())
    }
}
