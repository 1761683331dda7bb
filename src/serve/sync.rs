//! What the queue is made of: threads meet here and nowhere else.
//!
//! `examples/queue_schedules` compiles the queue with a module of this name whose locks, wake-ups and clock are a model checker's.

pub(super) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Instant,
};
