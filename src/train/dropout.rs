//! Dropout masks that depend on the seed, the epoch and the picture, never on the batch that a picture is in.

use std::cell::RefCell;

use rand::{RngExt as _, rngs::ChaCha8Rng};
use tch::Tensor;

use super::random::{Purpose, draws};

/// The dropout masks of one step.
///
/// Each picture has a stream of its own; the graph's dropout nodes draw from it in the order in which they run.
#[derive(Debug)]
pub(super) struct DropoutMasks {
    streams: RefCell<Vec<ChaCha8Rng>>,
}

impl DropoutMasks {
    /// The masks for a batch of `items` (places in the training split).
    pub(super) fn new(seed: u64, epoch: u64, items: &[u64]) -> Self {
        let streams = items.iter().map(|&item| draws(seed, Purpose::Dropout, epoch, item)).collect();
        Self { streams: RefCell::new(streams) }
    }

    /// The next mask, of `shape` [N, …] where N is the batch: 0 with probability `ratio`, else 1 / (1 − ratio).
    ///
    /// # Errors
    /// A shape whose first axis is not the batch.
    pub(super) fn next(&self, shape: &[i64], ratio: f64) -> Result<Tensor, String> {
        let mut streams = self.streams.borrow_mut();
        let pictures = streams.len();
        if shape.first() != Some(&(pictures as i64)) {
            return Err(format!(
                "its input has shape {shape:?}, whose first axis is not the batch of {pictures}, so no picture has a mask of \
                 its own: export the graph with batch_first=True, or after model.eval() without dropout"
            ));
        }
        let width = shape.iter().skip(1).product::<i64>() as usize;
        let kept = (1.0 / (1.0 - ratio)) as f32;
        let mut mask = Vec::with_capacity(width * pictures);
        for stream in streams.iter_mut() {
            mask.extend((0..width).map(|_| if stream.random::<f32>() < ratio as f32 { 0.0 } else { kept }));
        }
        Tensor::f_from_slice(&mask).and_then(|mask| mask.f_view(shape)).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(masks: &Tensor, place: i64) -> Vec<f32> {
        Vec::try_from(masks.get(place)).unwrap()
    }

    #[test]
    fn a_pictures_mask_does_not_depend_on_its_batch_mates() {
        let first = DropoutMasks::new(1, 2, &[10, 11]).next(&[2, 100], 0.5).unwrap();
        let second = DropoutMasks::new(1, 2, &[12, 11]).next(&[2, 100], 0.5).unwrap();
        assert_eq!(row(&first, 1), row(&second, 1));
        assert_ne!(row(&first, 0), row(&second, 0));
    }

    #[test]
    fn masks_keep_the_mean() {
        let mask = DropoutMasks::new(1, 1, &[0]).next(&[1, 100_000], 0.25).unwrap();
        let mean = mask.mean(tch::Kind::Double).double_value(&[]);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }
}
