//! What a network is trained for: from a batch to its loss.

use tch::{TchError, Tensor};

use super::{
    TrainError,
    dataset::{Dataset, Example, Target},
    loader::Batch,
    losses::{Difference, LossSettings, TaskLoss},
    network::{Mode, Network, uploaded},
};
use crate::{
    model::Task,
    onnx::head::{LOGITS, Standard},
    picture::PictureSize,
};

/// A batch on its way into a network.
#[derive(Debug)]
pub struct Fed {
    /// Targets, and pixels where there are no features.
    pub batch: Batch,
    /// The tensor of the graph that the head takes from the body, and its value for the batch, [N, elements]; the head
    /// alone runs then.
    pub features: Option<(String, Tensor)>,
}

impl From<Batch> for Fed {
    fn from(batch: Batch) -> Self {
        Self { batch, features: None }
    }
}

/// A task's loss.
///
/// The loss of values is in units of their deviations over the training split, so that none outweighs the others by
/// its unit alone.
#[derive(Clone, Debug)]
pub struct Objective {
    task: Task,
    loss: TaskLoss,
    standards: Vec<Standard>,
}

impl Objective {
    /// The chosen loss for a task, on the scale of the data set's training split.
    ///
    /// # Errors
    /// A loss that does not suit the task.
    pub fn new(task: &Task, dataset: &Dataset, settings: &LossSettings) -> Result<Self, TrainError> {
        let loss = settings.for_task(task, dataset.train.len() as u64).map_err(TrainError::Recipe)?;
        Ok(Self { task: task.clone(), loss, standards: standards(task, dataset) })
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
        fed: &Fed,
        mode: &Mode<'_>,
    ) -> Result<(Tensor, Tensor), TrainError> {
        let wanted = [LOGITS, self.task.output_name()];
        let outputs = match &fed.features {
            Some((name, features)) => network.run([(name.clone(), features.shallow_clone())].into(), &wanted, mode)?,
            None => network.forward(&fed.batch.image(frame)?, &wanted, mode)?,
        };
        let [logits, output] =
            <[Tensor; 2]>::try_from(outputs).map_err(|_| TrainError::Recipe("the graph has no logits".into()))?;
        let loss = self.loss(&logits, &output, &fed.batch)?;
        Ok((loss, output))
    }

    fn loss(&self, logits: &Tensor, output: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let like_output = |values: &[f32]| {
            uploaded(&Tensor::f_from_slice(values)?.f_view(output.size().as_slice())?, output.device())
        };
        let targets = like_output(&batch.targets)?;
        match &self.loss {
            TaskLoss::Labels(loss) => loss.of(logits, &targets),
            TaskLoss::Differences(loss) => self.difference(*loss, output, &targets, &like_output(&batch.mask)?),
        }
    }

    fn difference(
        &self,
        loss: Difference,
        output: &Tensor,
        targets: &Tensor,
        mask: &Tensor,
    ) -> Result<Tensor, TchError> {
        if self.standards.is_empty() {
            return loss.of(output, targets, mask);
        }
        let deviations: Vec<f32> = self.standards.iter().map(|standard| standard.deviation).collect();
        let deviations = uploaded(&Tensor::f_from_slice(&deviations)?, output.device())?;
        loss.of(&output.f_div(&deviations)?, &targets.f_div(&deviations)?, mask)
    }
}

/// Mean and deviation of each value of a task over the training split; none for other tasks.
pub fn standards(task: &Task, dataset: &Dataset) -> Vec<Standard> {
    let values = if let Task::Values(values) = task { values.names.len() } else { 0 };
    (0..values).map(|place| standard(&dataset.train, place)).collect()
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
