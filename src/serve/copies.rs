//! Pictures that are needed after their requests were answered, by what remembers answers and by versions on trial.
//!
//! The memory of a request's body is counted until the request is answered, and a picture may be a slice of a body that is far
//! larger. So what is needed longer is a copy, which is counted here.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pipeline::Input;

/// KiB of copies unless said otherwise.
const MOST_KIB: usize = 64 << 10;

/// Memory for copies. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    /// One permit for each KiB, held as long as the copy is.
    free: Arc<Semaphore>,
}

impl Default for Copies {
    /// 64 MiB.
    fn default() -> Self {
        Self::of_kib(MOST_KIB)
    }
}

impl Copies {
    pub(super) fn of_kib(kib: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(kib)) }
    }

    /// A copy with its memory; none where there is not enough. Never waits.
    pub(super) fn take(&self, input: Input) -> Option<(Input, OwnedSemaphorePermit)> {
        let kib = u32::try_from(input.len().div_ceil(1024).max(1)).ok()?;
        let held = Arc::clone(&self.free).try_acquire_many_owned(kib).ok()?;
        let copy = match input {
            Input::Encoded(bytes) => Input::Encoded(Bytes::copy_from_slice(&bytes)),
            Input::Pixels(pixels) => Input::Pixels(pixels),
        };
        Some((copy, held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_hold_the_body_that_it_was_a_part_of() {
        let body = Bytes::from(vec![7; 32 << 10]);
        let picture = body.slice(1000..2000);
        let (copy, _held) = Copies::of_kib(1).take(Input::Encoded(picture)).unwrap();
        assert!(body.is_unique());
        assert!(matches!(copy, Input::Encoded(bytes) if bytes[..] == [7; 1000]));
    }

    #[test]
    fn copies_take_no_more_than_there_is() {
        let copies = Copies::of_kib(3);
        let take = |bytes: usize| copies.take(Input::Encoded(Bytes::from(vec![0; bytes])));
        assert!(take(3073).is_none());
        let first = take(2048).unwrap();
        let second = take(0).unwrap();
        assert!(take(1).is_none());
        drop((first, second));
        assert!(copies.take(Input::Pixels(vec![0; 3072])).is_some());
    }
}
