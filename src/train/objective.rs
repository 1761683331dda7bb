//! What a network is trained for: from a batch to its loss.

use tch::{Kind, TchError, Tensor};

use super::{
    TrainError,
    dataset::{Dataset, Example, Target},
    loader::Batch,
    losses::{Difference, LossSettings, TaskLoss},
    network::{Mode, Network, uploaded},
};
use crate::{
    model::Task,
    onnx::{
        GraphProto,
        head::{LOGITS, Standard, standards_of},
    },
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

    /// The same loss on the scale of the values that a graph was trained for. A graph that confines its values to ranges
    /// does not say it: the scale stays that of the data set.
    #[must_use]
    pub fn on_scale_of(mut self, graph: &GraphProto) -> Self {
        if let Some(standards) = standards_of(graph).filter(|standards| standards.len() == self.standards.len()) {
            self.standards = standards;
        }
        self
    }

    /// Mean and deviation of each value over the training split; empty for other tasks.
    pub fn standards(&self) -> &[Standard] {
        &self.standards
    }

    /// Runs a batch through the network: the loss, the logits of labels, and the task's output [N, …].
    ///
    /// Somebody else's graph may give scores without logits: then there are none, and the loss is NaN.
    ///
    /// # Errors
    /// A graph that lacks the task's output, and libtorch's.
    pub fn run(
        &self,
        network: &mut Network,
        frame: PictureSize,
        fed: &Fed,
        mode: &Mode<'_>,
    ) -> Result<(Tensor, Option<Tensor>, Tensor), TrainError> {
        let mut wanted = vec![self.task.output_name()];
        if matches!(self.loss, TaskLoss::Labels(_)) && network.has(LOGITS) {
            wanted.push(LOGITS);
        }
        let outputs = match &fed.features {
            Some((name, features)) => network.run([(name.clone(), features.shallow_clone())].into(), &wanted, mode)?,
            None => network.forward(&fed.batch.image(frame)?, &wanted, mode)?,
        };
        let mut outputs = outputs.into_iter();
        let output = outputs.next().ok_or_else(|| TrainError::Recipe("the graph has no output".into()))?;
        let logits = outputs.next();
        let loss = self.loss(logits.as_ref(), &output, &fed.batch)?;
        Ok((loss, logits, output))
    }

    fn loss(&self, logits: Option<&Tensor>, output: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
        let like_output = |values: &[f32]| {
            uploaded(&Tensor::f_from_slice(values)?.f_view(output.size().as_slice())?, output.device())
        };
        let targets = like_output(&batch.targets)?;
        match &self.loss {
            TaskLoss::Labels(loss) => match logits {
                Some(logits) => loss.of(logits, &targets),
                None => Tensor::f_full([0; 0], f64::NAN, (Kind::Float, output.device())),
            },
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

/// Mean and deviation of the known values at a place; deviation 1 where they do not differ in float32.
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
    // The mean of equal numbers is rounded, so that their deviation is seldom 0.
    let differ = deviation > mean.abs() * f64::from(f32::EPSILON);
    Standard { mean: mean as f32, deviation: if differ { deviation as f32 } else { 1.0 } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PictureSize;

    fn of(values: &[Option<f64>]) -> Standard {
        let size = PictureSize { width: 4, height: 3 };
        let example =
            |&value: &Option<f64>| Example { file: "0.png".into(), row: 2, size, target: Target::Values(vec![value]) };
        standard(&values.iter().map(example).collect::<Vec<_>>(), 0)
    }

    #[test]
    fn values_that_do_not_differ_have_a_deviation_of_1() {
        for constant in [0.0, 0.1, -0.3, 1e9 / 3.0] {
            for count in [1, 3, 1000] {
                assert_eq!(of(&vec![Some(constant); count]).deviation, 1.0, "{count} times {constant}");
            }
        }
        assert_eq!(of(&[None]), Standard { mean: 0.0, deviation: 1.0 });
    }

    #[test]
    fn values_that_differ_have_their_own_however_far_from_0_they_lie() {
        assert_eq!(of(&[Some(1.0), None, Some(5.0)]), Standard { mean: 3.0, deviation: 2.0 });
        assert_eq!(of(&[Some(1e-9), Some(3e-9)]).deviation, 1e-9);
        assert_eq!(of(&[Some(1_700_000_000.0), Some(1_700_002_000.0)]).deviation, 1000.0);
    }
}
