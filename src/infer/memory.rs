//! How much memory a session's arena holds.

use std::sync::{Mutex, PoisonError};

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};

use super::{InferError, Provider, raw};

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

/// Tells a session's memory at any time, while the session runs on another thread. Keeps the arena, not the session.
#[derive(Debug)]
pub struct MemoryAccount {
    /// ONNX Runtime's allocators may be asked by one thread at a time.
    allocator: Mutex<Allocator>,
}

impl MemoryAccount {
    pub(super) fn open(session: &ort::session::Session, provider: Provider) -> Result<Self, InferError> {
        let (device, number) = match provider {
            Provider::Cpu => (AllocationDevice::CPU, 0),
            Provider::Cuda { device, .. } => (AllocationDevice::CUDA, i32::from(device)),
        };
        let info = MemoryInfo::new(device, number, AllocatorType::Arena, MemoryType::Default)?;
        Ok(Self { allocator: Mutex::new(Allocator::new(session, info)?) })
    }

    /// What the session holds now; nothing where it has no arena.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub fn now(&self) -> Result<MemoryUse, InferError> {
        let stats = raw::allocator_stats(&self.allocator.lock().unwrap_or_else(PoisonError::into_inner))?;
        eprintln!("{stats:?}");
        let bytes = |name| stats.get(name).copied().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        Ok(MemoryUse { held: bytes("TotalAllocated"), used: bytes("InUse"), peak: bytes("MaxInUse") })
    }
}
