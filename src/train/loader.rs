//! Batches, prepared on worker threads a bounded number ahead.
//!
//! Batch b is worker b mod W's, and the consumer takes from the workers in turn, so neither the order nor the content
//! of the batches depends on the number of workers.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rand::seq::SliceRandom as _;
use tch::{TchError, Tensor};

use super::{
    TrainError,
    augment::{Augmentation, Drawn},
    dataset::{Dataset, Example, Target},
    frames::{Frames, frame_len},
    random::{Purpose, draws},
};
use crate::{
    model::{Task, YRange},
    picture::ResizeRule,
};

/// Batches that a worker prepares ahead of the consumer.
const AHEAD: usize = 2;

/// How batches are made.
#[derive(Clone, Debug)]
pub struct LoaderSettings {
    /// How pictures become frames.
    pub rule: ResizeRule,
    /// Pictures a batch.
    pub batch_size: usize,
    /// Decides shuffling and augmentation.
    pub seed: u64,
    /// What happens to training pictures.
    pub augmentation: Augmentation,
    /// Threads that prepare batches; 1 or more.
    pub workers: usize,
    /// Bytes of decoded frames that are kept in memory, over both splits.
    pub cache_bytes: usize,
}

/// Makes batches of a data set.
#[derive(Clone, Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    workers: usize,
}

/// What the workers read.
#[derive(Debug)]
struct Shared {
    dataset: Dataset,
    targets: TargetShape,
    settings: LoaderSettings,
    train_frames: Frames,
    valid_frames: Frames,
}

/// What a picture's target looks like to the loss.
#[derive(Clone, Debug)]
enum TargetShape {
    Labels(usize),
    Points { count: usize, flip_pairs: Vec<(usize, usize)>, y_range: YRange },
}

/// One batch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// [B, H, W, 3], 0…255.
    pixels: Vec<f32>,
    /// [B, L], 0 or 1; or [B, K, 2], −1…1 being the frame.
    targets: Vec<f32>,
    /// [B, K, 2]: 1 where a coordinate counts, else 0. Empty for labels.
    mask: Vec<f32>,
    /// The pictures' places in their split.
    pub items: Vec<u64>,
    /// H, W, 3.
    frame: [i64; 3],
    /// What follows B in the targets' shape.
    target_shape: Vec<i64>,
}

impl Batch {
    /// float32 [B, H, W, 3], 0…255.
    ///
    /// # Errors
    /// libtorch's, where memory runs out.
    pub fn pixels(&self) -> Result<Tensor, TchError> {
        let [height, width, channels] = self.frame;
        Tensor::f_from_slice(&self.pixels)?.f_view([-1, height, width, channels])
    }

    /// float32 [B, L] or [B, K, 2].
    ///
    /// # Errors
    /// As [`Batch::pixels`].
    pub fn targets(&self) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(&self.targets)?.f_view(self.shape().as_slice())
    }

    /// float32 [B, K, 2]; points only.
    ///
    /// # Errors
    /// As [`Batch::pixels`].
    pub fn mask(&self) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(&self.mask)?.f_view(self.shape().as_slice())
    }

    fn shape(&self) -> Vec<i64> {
        std::iter::once(-1).chain(self.target_shape.iter().copied()).collect()
    }
}

impl Loader {
    /// A loader for a data set and its task.
    pub fn new(dataset: Dataset, task: &Task, settings: LoaderSettings) -> Self {
        let targets = match task {
            Task::Points(points) => TargetShape::Points {
                count: points.names.len(),
                flip_pairs: points.flip_pairs.clone(),
                y_range: points.y_range,
            },
            _ => TargetShape::Labels(task.output_len()),
        };
        let train_bytes = settings.cache_bytes.min(dataset.train.len() * frame_len(&settings.rule));
        let train_frames = Frames::new(settings.rule, dataset.train.len(), train_bytes);
        let valid_frames = Frames::new(settings.rule, dataset.valid.len(), settings.cache_bytes - train_bytes);
        let workers = settings.workers.max(1);
        Self { shared: Arc::new(Shared { dataset, targets, settings, train_frames, valid_frames }), workers }
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.shared.dataset
    }

    /// How pictures become frames.
    pub fn rule(&self) -> &ResizeRule {
        &self.shared.settings.rule
    }

    /// Batches of a training epoch: the last short one is dropped, unless it is the only one.
    pub fn steps_per_epoch(&self) -> usize {
        (self.shared.dataset.train.len() / self.shared.settings.batch_size).max(1)
    }

    /// The batches of training epoch `epoch`, shuffled and augmented.
    pub fn train_epoch(&self, epoch: u64) -> Batches {
        let mut order: Vec<u64> = (0..self.shared.dataset.train.len() as u64).collect();
        order.shuffle(&mut draws(self.shared.settings.seed, Purpose::Shuffle, epoch, 0));
        let size = self.shared.settings.batch_size;
        let batches = order.chunks(size).take(self.steps_per_epoch()).map(<[u64]>::to_vec).collect();
        self.start(batches, Some(epoch))
    }

    /// The validation split, complete and in order, as it is served.
    pub fn valid(&self) -> Batches {
        let order: Vec<u64> = (0..self.shared.dataset.valid.len() as u64).collect();
        let batches = order.chunks(self.shared.settings.batch_size).map(<[u64]>::to_vec).collect();
        self.start(batches, None)
    }

    /// Starts the workers on these batches; `epoch` is none for the validation split.
    fn start(&self, batches: Vec<Vec<u64>>, epoch: Option<u64>) -> Batches {
        let batches = Arc::new(batches);
        let receivers = (0..self.workers)
            .map(|worker| {
                let (sender, receiver) = sync_channel(AHEAD);
                let (shared, batches, workers) = (self.shared.clone(), batches.clone(), self.workers);
                thread::spawn(move || {
                    for items in batches.iter().skip(worker).step_by(workers) {
                        // The consumer has gone: the rest of the epoch is not wanted.
                        if sender.send(shared.batch(items, epoch)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        Batches { receivers, next: 0, count: batches.len(), waited: Duration::ZERO }
    }
}

/// The batches of one epoch, in order.
#[derive(Debug)]
pub struct Batches {
    /// Each worker's channel; dropping it ends the worker at its next batch.
    receivers: Vec<Receiver<Result<Batch, TrainError>>>,
    next: usize,
    count: usize,
    waited: Duration,
}

impl Batches {
    /// How long the consumer has waited for batches.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            return None;
        }
        let start = Instant::now();
        let worker = self.next % self.receivers.len();
        let batch = self.receivers[worker].recv();
        self.waited += start.elapsed();
        self.next += 1;
        Some(batch.unwrap_or_else(|_| Err(TrainError::Recipe("a thread that prepares pictures has stopped".into()))))
    }
}

impl Shared {
    fn batch(&self, items: &[u64], epoch: Option<u64>) -> Result<Batch, TrainError> {
        let size = self.settings.rule.size;
        let frame = [i64::from(size.height), i64::from(size.width), 3];
        let target_shape = match &self.targets {
            TargetShape::Labels(count) => vec![*count as i64],
            TargetShape::Points { count, .. } => vec![*count as i64, 2],
        };
        let mut batch = Batch { items: items.to_vec(), frame, target_shape, ..Batch::default() };
        batch.pixels.resize(items.len() * frame_len(&self.settings.rule), 0.0);
        for (&item, pixels) in items.iter().zip(batch.pixels.chunks_exact_mut(frame_len(&self.settings.rule))) {
            let drawn = epoch.map(|epoch| self.settings.augmentation.draw(self.settings.seed, epoch, item));
            let (split, frames) = match epoch {
                Some(_) => (&self.dataset.train, &self.train_frames),
                None => (&self.dataset.valid, &self.valid_frames),
            };
            let example = &split[item as usize];
            let source = frames.get(&self.dataset, example, item as usize)?;
            match &drawn {
                Some(drawn) => drawn.apply(&source, size, pixels, size),
                None => pixels.iter_mut().zip(source.iter()).for_each(|(to, &from)| *to = f32::from(from)),
            }
            self.push_target(example, drawn.as_ref(), &mut batch.targets, &mut batch.mask);
        }
        Ok(batch)
    }

    /// Appends an example's target, changed as its picture was.
    fn push_target(&self, example: &Example, drawn: Option<&Drawn>, targets: &mut Vec<f32>, mask: &mut Vec<f32>) {
        match (&self.targets, &example.target) {
            (TargetShape::Labels(count), Target::Labels(labels)) => {
                let first = targets.len();
                targets.resize(first + count, 0.0);
                labels.iter().for_each(|&label| targets[first + label] = 1.0);
            }
            (TargetShape::Points { flip_pairs, y_range, .. }, Target::Points(points)) => {
                for point in self.place_points(example, points, flip_pairs, drawn) {
                    let within = |value: f64| f64::from(y_range.low) < value && value < f64::from(y_range.high);
                    let kept = point.filter(|&(x, y)| within(x) && within(y));
                    let (x, y) = kept.unwrap_or_default();
                    targets.extend([x as f32, y as f32]);
                    mask.extend([if kept.is_some() { 1.0 } else { 0.0 }; 2]);
                }
            }
            // A data set's examples all have its own kind of target.
            (TargetShape::Labels(_), Target::Points(_)) | (TargetShape::Points { .. }, Target::Labels(_)) => {}
        }
    }

    /// Pixels of the original picture as −1…1 coordinates of the augmented frame.
    fn place_points(
        &self,
        example: &Example,
        points: &[Option<(f64, f64)>],
        flip_pairs: &[(usize, usize)],
        drawn: Option<&Drawn>,
    ) -> Vec<Option<(f64, f64)>> {
        let placement = self.settings.rule.placement(example.size);
        let unit = |point| self.settings.rule.size.to_unit(placement.to_model(point));
        let moved = |point| drawn.map_or(point, |drawn| drawn.map_point(point));
        let mut placed: Vec<_> = points.iter().map(|point| point.map(|point| moved(unit(point)))).collect();
        if drawn.is_some_and(Drawn::flipped) {
            flip_pairs.iter().for_each(|&(a, b)| placed.swap(a, b));
        }
        placed
    }
}
