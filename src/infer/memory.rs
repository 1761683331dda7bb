//! How much memory a session's arena holds.

use std::sync::{Mutex, PoisonError};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};

use super::{InferError, Provider};
use crate::raw;

/// A session's memory on its device, as ONNX Runtime counts it: weights as they are in the graph, and what batches need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes taken from the system or the device, used or kept for the next batch.
    pub held: u64,
    /// Bytes of these that are used now.
    pub used: u64,
    /// The most that was ever used at a time.
    pub peak: u64,
}

impl std::iter::Sum for MemoryUse {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let add = |a: Self, b: Self| Self { held: a.held + b.held, used: a.used + b.used, peak: a.peak + b.peak };
        parts.fold(Self::default(), add)
    }
}

/// Tells a session's memory at any time, while the session runs on another thread. Keeps the arenas, not the session.
#[derive(Debug)]
pub struct MemoryAccount {
    /// Of each of ONNX Runtime's sessions. Its allocators may be asked by one thread at a time.
    allocators: Mutex<Vec<Allocator>>,
}

impl MemoryAccount {
    pub(super) fn open<'a>(
        sessions: impl Iterator<Item = &'a ort::session::Session>,
        provider: Provider,
    ) -> Result<Self, InferError> {
        let (device, number) = match provider {
            Provider::Cpu => (AllocationDevice::CPU, 0),
            Provider::Cuda { device, .. } => (AllocationDevice::CUDA, i32::from(device)),
        };
        let open = |session| {
            let info = MemoryInfo::new(device.clone(), number, AllocatorType::Arena, MemoryType::Default)?;
            Allocator::new(session, info)
        };
        let allocators = sessions.map(open).collect::<Result<_, _>>()?;
        Ok(Self { allocators: Mutex::new(allocators) })
    }

    /// What the session holds now; nothing where it has no arena.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub fn now(&self) -> Result<MemoryUse, InferError> {
        self.allocators.lock().unwrap_or_else(PoisonError::into_inner).iter().map(now_of).sum()
    }
}

fn now_of(allocator: &Allocator) -> Result<MemoryUse, InferError> {
    let stats = raw::allocator_stats(allocator)?;
    let bytes = |name| stats.get(name).copied().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    Ok(MemoryUse { held: bytes("TotalAllocated"), used: bytes("InUse"), peak: bytes("MaxInUse") })
}

#[cfg(test)]
mod tests {
    use crate::infer::{MemoryUse, Runtime, Session, SessionOptions, provider::tests::model};

    #[test]
    fn a_session_tells_what_its_arena_holds_and_a_larger_batch_needs_more() {
        let mut session = Session::open(&Runtime::load(None).unwrap(), &model(), &SessionOptions::default()).unwrap();
        let account = session.memory_account().unwrap();
        session.run(&[7; 48]).unwrap();
        let one = account.now().unwrap();
        assert!(0 < one.peak && one.used <= one.peak && one.peak <= one.held, "{one:?}");
        session.run(&[7; 48 * 4096]).unwrap();
        let many = account.now().unwrap();
        assert!(many.peak > one.peak + 4096 * 48 && many.held > one.held, "{one:?}, then {many:?}");
        assert!(many.used < many.peak, "what a batch needed is free after it: {many:?}");
    }

    #[test]
    fn without_an_arena_there_is_nothing_to_tell() {
        let options = SessionOptions { arena: false, ..SessionOptions::default() };
        let mut session = Session::open(&Runtime::load(None).unwrap(), &model(), &options).unwrap();
        session.run(&[7; 48]).unwrap();
        assert_eq!(session.memory_account().unwrap().now().unwrap(), MemoryUse::default());
    }
}
