//! Batches of pixels and targets, made on worker threads ahead of the training loop.
//!
//! Content and order are a function of the data set, the options and (seed, epoch) alone, never of the number of
//! workers: worker w of W makes batches w, w + W, w + 2W, … into a bounded queue of its own, and the loop takes from the
//! queues in turn.

mod batches;
mod frames;
mod targets;

use std::sync::Arc;

use rand::seq::SliceRandom as _;
use tch::{Device, TchError, Tensor};

pub use self::batches::Batches;
use self::frames::{Frames, Shape};
use super::augment::{Augmentation, Draw, Mixing, Source};
use super::dataset::{Dataset, Example};
use super::random::{Purpose, draws};
use crate::model::{Task, YRange};
use crate::picture::{Limits, PictureError, PictureSize, ResizeRule};

/// What a loader makes of a data set.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// How a picture becomes the model's pixels.
    pub resize: ResizeRule,
    /// What a picture may cost.
    pub limits: Limits,
    /// Training pictures in a batch, at least 1.
    pub batch_size: usize,
    /// Validation pictures in a batch, at least 1.
    pub valid_batch_size: usize,
    /// Draws order and augmentation.
    pub seed: u64,
    /// How training pictures are augmented.
    pub augmentation: Augmentation,
    /// How the pictures of a training batch are mixed; only where the targets are labels.
    pub mixing: Mixing,
    /// Points outside this range are masked; unused for labels.
    pub y_range: YRange,
    /// Pairs of points that change places in a mirrored picture.
    pub flip_pairs: Vec<(usize, usize)>,
    /// Worker threads and memory for pictures; the device is not used.
    pub resources: Resources,
    /// Finished batches that may wait for the loop, for each worker.
    pub prefetch: usize,
}

/// What a run may take of the machine; no batch depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// What the network runs on.
    pub device: Device,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Decoded and resized pictures are kept in memory as far as this many bytes go; the others are decoded each time.
    pub cache_bytes: u64,
}

impl Default for Resources {
    /// The processor, a worker for each core, and 2 GiB.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { device: Device::Cpu, workers, cache_bytes: 2 << 30 }
    }
}

impl LoaderOptions {
    /// Batches of 64, twice as many to validate, fastai's augmentation, nothing mixed, points up to the frame's edges, the usual resources.
    pub fn new(resize: ResizeRule) -> Self {
        Self {
            resize,
            limits: Limits::default(),
            batch_size: 64,
            valid_batch_size: 128,
            seed: 0,
            augmentation: Augmentation::default(),
            mixing: Mixing::default(),
            y_range: YRange { low: -1.0, high: 1.0 },
            flip_pairs: Vec::new(),
            resources: Resources::default(),
            prefetch: 2,
        }
    }

    /// The same, for the targets of a task: a point model's range and flip pairs.
    #[must_use]
    pub fn of_task(mut self, task: &Task) -> Self {
        if let Task::Points(points) = task {
            self.y_range = points.y_range;
            self.flip_pairs.clone_from(&points.flip_pairs);
        }
        self
    }
}

/// Pixels and targets of some pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// [B, H, W, 3], RGB.
    pub pixels: Vec<u8>,
    /// [B, L], 0 or 1 or between them where pictures are mixed; [B, K, 2] in −1…1 coordinates of the model's frame; or [B, K] values. 0 where the mask is 0.
    pub targets: Vec<f32>,
    /// Of the targets' shape: 1 for what counts and 0 for points and values that are missing and points that are out of
    /// range; empty for labels.
    pub mask: Vec<f32>,
    /// The pictures' places in their split.
    pub items: Vec<u64>,
}

impl Batch {
    /// The pixels as a tensor, [B, H, W, 3].
    ///
    /// # Errors
    /// Pixels of another size, and libtorch's.
    pub fn image(&self, size: PictureSize) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(&self.pixels)?.f_view([-1, i64::from(size.height), i64::from(size.width), 3])
    }
}

/// Why a picture that was read when the data set was checked has no pixels now.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The picture.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be decoded.
    #[error("{path}: {source}")]
    Picture {
        /// The picture.
        path: std::path::PathBuf,
        /// What the decoder says.
        source: PictureError,
    },
    /// A worker thread ended without its batch.
    #[error("a loader thread stopped before its batch was made")]
    Worker,
}

/// Which pictures a batch is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Without its first so many batches.
    Train {
        epoch: u64,
        skipped: u64,
    },
    Valid,
}

/// Makes batches of a data set at one size; another size, as progressive resizing has it, is another loader.
pub struct Loader {
    /// Shared with the worker threads of every running [`Batches`].
    work: Arc<Work>,
}

struct Work {
    options: LoaderOptions,
    dataset: Arc<Dataset>,
    train: Frames,
    valid: Frames,
}

impl Loader {
    /// A loader with an empty cache; the training split has the cache first.
    pub fn new(dataset: Arc<Dataset>, mut options: LoaderOptions) -> Self {
        options.batch_size = options.batch_size.max(1);
        options.valid_batch_size = options.valid_batch_size.max(1);
        options.resources.workers = options.resources.workers.max(1);
        let whole = options.augmentation.crop.is_some();
        let mut room = options.resources.cache_bytes;
        let shape = if whole { Shape::Whole } else { Shape::Model };
        let train = Frames::new(&dataset.train, shape, options.resize, &mut room);
        let valid = Frames::new(&dataset.valid, Shape::Model, options.resize, &mut room);
        Self { work: Arc::new(Work { options, dataset, train, valid }) }
    }

    /// The number of batches in an epoch. The last short one is dropped, unless it is the only one.
    pub fn train_batches(&self) -> usize {
        (self.work.dataset.train.len() / self.work.options.batch_size).max(1)
    }

    /// The number of batches of the validation split; the last one may be short.
    pub fn valid_batches(&self) -> usize {
        self.work.dataset.valid.len().div_ceil(self.work.options.valid_batch_size)
    }

    /// The training split, augmented, in the epoch's own order, without its first `skipped` batches.
    pub fn train_epoch(&self, epoch: u64, skipped: usize) -> Batches {
        let mut order: Vec<u64> = (0..self.work.dataset.train.len() as u64).collect();
        order.shuffle(&mut draws(self.work.options.seed, Purpose::Shuffle, epoch, 0));
        order.truncate(self.train_batches() * self.work.options.batch_size);
        order.drain(..(skipped * self.work.options.batch_size).min(order.len()));
        Batches::start(Arc::clone(&self.work), Split::Train { epoch, skipped: skipped as u64 }, order)
    }

    /// The validation split, complete, in order and as it is.
    pub fn valid(&self) -> Batches {
        let order = (0..self.work.dataset.valid.len() as u64).collect();
        Batches::start(Arc::clone(&self.work), Split::Valid, order)
    }
}

impl Work {
    /// Pictures in a batch.
    fn batch_size(&self, split: Split) -> usize {
        match split {
            Split::Train { .. } => self.options.batch_size,
            Split::Valid => self.options.valid_batch_size,
        }
    }

    /// `step` is the batch's place in its pass, from 0.
    fn batch(&self, split: Split, step: u64, items: &[u64]) -> Result<Batch, LoaderError> {
        let size = self.options.resize.size;
        let (examples, frames) = match split {
            Split::Train { .. } => (&self.dataset.train, &self.train),
            Split::Valid => (&self.dataset.valid, &self.valid),
        };
        let picture_len = 3 * size.width as usize * size.height as usize;
        let mut pixels = Vec::with_capacity(items.len() * picture_len);
        let mut batch = Batch { pixels: Vec::new(), targets: Vec::new(), mask: Vec::new(), items: items.to_vec() };
        for &item in items {
            let example = &examples[item as usize];
            let frame = frames.get(item as usize, &self.dataset.path(example), example.size, &self.options.limits)?;
            let draw = self.draw(split, item, example);
            if draw.is_none() {
                pixels.extend_from_slice(&frame.pixels);
            } else {
                let resized = frame.size != example.size;
                let start = pixels.len();
                pixels.resize(start + picture_len, 0);
                draw.apply(&Source { pixels: &frame.pixels, size: frame.size, resized }, &mut pixels[start..], size);
            }
            targets::append(example, self.dataset.targets.len(), &draw, &self.options, &mut batch);
        }
        if let (Split::Train { epoch, skipped }, true) = (split, batch.mask.is_empty())
            && let Some(mix) = self.options.mixing.draw(self.options.seed, epoch, skipped + step, items.len())
        {
            mix.apply(&mut pixels, &mut batch.targets, size);
        }
        Ok(Batch { pixels, ..batch })
    }

    fn draw(&self, split: Split, item: u64, example: &Example) -> Draw {
        let (augmentation, seed) = (&self.options.augmentation, self.options.seed);
        match split {
            _ if augmentation.is_none() => Draw::NONE,
            Split::Valid => Draw::NONE,
            Split::Train { epoch, .. } => {
                let crop = augmentation.crop.as_ref();
                let crop = crop.map(|crop| crop.draw((seed, epoch, item), example.size, self.options.resize.size));
                Draw { crop, ..augmentation.draw(seed, epoch, item) }
            }
        }
    }
}
