//! What a network is trained for: from a batch to its loss.

use tch::{TchError, Tensor};

use super::{
    TrainError,
    dataset::{Dataset, Example, Target},
    loader::Batch,
    losses,
    network::{Mode, Network},
};
use crate::{
    model::Task,
    onnx::head::{LOGITS, Standard},
    picture::PictureSize,
};

/// A task's loss.
///
/// The loss of values is in units of their deviations over the training split, so that none outweighs the others by
/// its unit alone.
#[derive(Clone, Debug)]
pub struct Objective {
    task: Task,
    standards: Vec<Standard>,
}

impl Objective {
    /// The loss for a task, on the scale of the data set's training split.
    pub fn new(task: &Task, dataset: &Dataset) -> Self {
        let values = if let Task::Values(values) = task { values.names.len() } else { 0 };
        let standards = (0..values).map(|place| standard(&dataset.train, place)).collect();
        Self { task: task.clone(), standards }
    }

    /// Mean and deviation of each value over the training split; empty for other tasks.
    pub fn standards(&self) -> &[Standard] {
        &self.standards
    }

    /// Runs a batch through the network: the loss, and the task's output [N, …].
    ///
    /// # Errors
    /// A graph that lacks the task's outputs, and libtorch's.
    pub fn run(
        &self,
        network: &mut Network,
        frame: PictureSize,
        batch: &Batch,
        mode: &Mode<'_>,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let (height, width) = (i64::from(frame.height), i64::from(frame.width));
        let pixels = Tensor::f_from_slice(&batch.pixels)?.f_view([-1, height, width, 3])?;
        let outputs = network.forward(&pixels, &[LOGITS, self.task.output_name()], mode)?;
        let [logits, output] =
            <[Tensor; 2]>::try_from(outputs).map_err(|_| TrainError::Recipe("the graph has no logits".into()))?;
        let loss = self.loss(&logits, &output, batch)?;
        Ok((loss, output))
    }

    fn loss(&self, logits: &Tensor, output: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let like_output = |values: &[f32]| Tensor::f_from_slice(values)?.f_view(output.size().as_slice());
        let targets = like_output(&batch.targets)?;
        match &self.task {
            Task::MultiLabel { .. } => losses::multi_label(logits, &targets),
            Task::SingleLabel { .. } => losses::single_label(logits, &targets),
            Task::Points(_) => losses::squared_error(output, &targets, &like_output(&batch.mask)?),
            Task::Values(_) => {
                let deviations: Vec<f32> = self.standards.iter().map(|standard| standard.deviation).collect();
                let deviations = Tensor::f_from_slice(&deviations)?;
                let (output, targets) = (output.f_div(&deviations)?, targets.f_div(&deviations)?);
                losses::squared_error(&output, &targets, &like_output(&batch.mask)?)
            }
        }
    }
}

/// Mean and deviation of the known values at a place; deviation 1 where they do not differ.
fn standard(examples: &[Example], place: usize) -> Standard {
    let known: Vec<f64> = examples
        .iter()
        .filter_map(|example| match &example.target {
            Target::Values(values) => values.get(place).copied().flatten(),
            Target::Labels(_) | Target::Points(_) => None,
        })
        .collect();
    let count = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / count;
    let deviation = (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    Standard { mean: mean as f32, deviation: if deviation > 0.0 { deviation as f32 } else { 1.0 } }
}
