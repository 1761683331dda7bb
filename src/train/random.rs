//! Randomness as a function, never a global generator: every draw depends on (seed, purpose, epoch, item) alone, so
//! the same run draws the same numbers whatever the number of workers and wherever it was resumed.

use rand::{SeedableRng as _, rngs::ChaCha8Rng};

/// What numbers are drawn for; different purposes never share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of the training pictures; item 0.
    Shuffle = 1,
    /// A picture's augmentation; the item is the picture's place in the training split.
    Augment = 2,
    /// A picture's dropout masks; the item is the picture's place in the training split.
    Dropout = 3,
    /// The weights of a new head or of an architecture without weights; the item is the parameter's place.
    Weights = 4,
    /// The validation split by fraction; item 0.
    Split = 5,
    /// The drawn data set; the item is the picture's place.
    Shapes = 7,
    /// The part of a picture that is shown; the item is the picture's place in the training split.
    Crop = 8,
    /// What is hidden of a picture; the item is the picture's place in the training split.
    Erase = 9,
    /// How the pictures of a batch are mixed; the item is the batch's place in its epoch.
    Mix = 10,
    /// A validation picture's augmentation; the epoch is the round, the item the picture's place in its split.
    TestTime = 11,
    /// The pictures of a report; item 0.
    Report = 12,
    /// Which pictures calibrate, choose and judge a quantised model, and the bootstrap; each has an epoch of its own.
    Quantize = 13,
}

/// The stream of random numbers for one purpose, epoch and item.
pub fn draws(seed: u64, purpose: Purpose, epoch: u64, item: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, value) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, item]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
