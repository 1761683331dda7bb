//! Decoded and resized pictures, kept in memory as far as there is room.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::super::{augment::RandomCrop, dataset::Example};
use super::LoaderError;
use crate::picture::{Limits, Picture, PictureSize, ResizeMethod, ResizeRule};

/// The frames of one split. The first so many items are kept; which ones does not depend on who asks first.
pub(super) struct Frames {
    kept: Vec<OnceLock<Frame>>,
    shape: Shape,
    /// How the model sees a picture.
    rule: ResizeRule,
}

/// What of a picture a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The model's frame, as its resize rule makes it.
    Model,
    /// All of the picture in its own shape, for random crops to be taken from.
    Whole,
}

/// A picture's pixels.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Row-major RGB.
    pub(super) pixels: Arc<Vec<u8>>,
    pub(super) size: PictureSize,
}

impl Frames {
    /// Frames of these examples, of which as many are kept as have room in so many bytes; takes away what they need.
    pub(super) fn new(examples: &[Example], shape: Shape, rule: ResizeRule, room: &mut u64) -> Self {
        let mut frames = Self { kept: Vec::new(), shape, rule };
        for example in examples {
            let size = frames.rule_of(example.size).size;
            let Some(left) = room.checked_sub(3 * u64::from(size.width) * u64::from(size.height)) else { break };
            *room = left;
            frames.kept.push(OnceLock::new());
        }
        frames
    }

    /// A picture's frame; `original` is the size of all of it.
    pub(super) fn get(
        &self,
        item: usize,
        path: &Path,
        original: PictureSize,
        limits: &Limits,
    ) -> Result<Frame, LoaderError> {
        let decode = || decode(path, &self.rule_of(original), limits);
        let Some(place) = self.kept.get(item) else { return decode() };
        if let Some(frame) = place.get() {
            return Ok(frame.clone());
        }
        // Two workers may decode the same picture at once in different passes; both get the same pixels.
        let frame = decode()?;
        Ok(place.get_or_init(|| frame).clone())
    }

    fn rule_of(&self, original: PictureSize) -> ResizeRule {
        match self.shape {
            Shape::Model => self.rule,
            Shape::Whole => {
                ResizeRule { method: ResizeMethod::Squish, size: RandomCrop::kept_size(original, self.rule.size) }
            }
        }
    }
}

fn decode(path: &Path, rule: &ResizeRule, limits: &Limits) -> Result<Frame, LoaderError> {
    let bytes = std::fs::read(path).map_err(|source| LoaderError::File { path: path.to_owned(), source })?;
    let failed = |source| LoaderError::Picture { path: path.to_owned(), source };
    let (pixels, _) = Picture::frame(&bytes, limits, rule).map_err(failed)?;
    Ok(Frame { pixels: Arc::new(pixels), size: rule.size })
}
