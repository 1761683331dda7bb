//! A split's pictures as model-sized frames, kept in memory once decoded.

use std::{
    borrow::Cow,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    TrainError,
    dataset::{Dataset, Example},
};
use crate::picture::{Detail, Limits, Picture, ResizeRule};

/// Decoded frames: row-major RGB, one byte a channel, of the resize rule's size.
#[derive(Debug)]
pub(super) struct Frames {
    rule: ResizeRule,
    /// One cell a picture; filled by whichever thread decodes it first, and never emptied.
    cells: Vec<OnceLock<Box<[u8]>>>,
    /// Frames that may still be kept; the others are decoded each time.
    room: AtomicUsize,
}

impl Frames {
    /// Frames of `count` pictures, of which as many are kept as fit `bytes`.
    pub(super) fn new(rule: ResizeRule, count: usize, bytes: usize) -> Self {
        let room = AtomicUsize::new(bytes / frame_len(&rule));
        Self { rule, cells: (0..count).map(|_| OnceLock::new()).collect(), room }
    }

    /// The frame of the picture at `place` in its split.
    ///
    /// # Errors
    /// A picture that can no longer be read: the data set's check has read it once.
    pub(super) fn get(&self, dataset: &Dataset, example: &Example, place: usize) -> Result<Cow<'_, [u8]>, TrainError> {
        let cell = &self.cells[place];
        if let Some(frame) = cell.get() {
            return Ok(Cow::Borrowed(frame));
        }
        let frame = decode(dataset, example, &self.rule)?;
        let has_room = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_ok();
        if has_room {
            return Ok(Cow::Borrowed(cell.get_or_init(|| frame)));
        }
        Ok(Cow::Owned(frame.into_vec()))
    }
}

/// Bytes of one frame.
pub(super) fn frame_len(rule: &ResizeRule) -> usize {
    3 * rule.size.width as usize * rule.size.height as usize
}

fn decode(dataset: &Dataset, example: &Example, rule: &ResizeRule) -> Result<Box<[u8]>, TrainError> {
    let path = dataset.path(example);
    let failed = |reason: String| TrainError::Picture { file: path.display().to_string(), reason };
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let mut frame = vec![0; frame_len(rule)].into_boxed_slice();
    Picture::decode(&bytes, &Limits::default(), Detail::For(rule))
        .and_then(|picture| picture.resize_into(rule, &mut frame))
        .map_err(|error| failed(error.to_string()))?;
    Ok(frame)
}
