//! All of this library's unsafe code: what neither std nor `ort` nor `tch` offers safely.
#![allow(unsafe_code, reason = "each place says why it is sound")]

use std::{collections::BTreeMap, ffi::CStr, ptr, slice};

use ort::{AsPointer as _, memory::Allocator};

use crate::infer::InferError;

/// Turns ONNX Runtime's telemetry off for this process. Call it first thing in `main`.
///
/// ONNX Runtime 1.29 and later sends telemetry on Linux unless `ORT_DISABLE_TELEMETRY=1` stands in the environment
/// when it initialises.
///
/// # Safety
/// No other thread may run yet: the process environment is not synchronised.
pub unsafe fn disable_telemetry() {
    // SAFETY: the caller promises that no other thread runs.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Loads a shared library for as long as the process lives, so that all others see its symbols.
///
/// # Errors
/// What the system's loader says.
#[cfg(feature = "train")]
pub(crate) fn load_library(name: &str) -> Result<(), libloading::Error> {
    #[cfg(unix)]
    let library = {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: the library is one of libtorch's, whose initialisers are made to run in any program that uses libtorch.
        unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }?
    };
    #[cfg(not(unix))]
    // SAFETY: as above.
    let library = unsafe { libloading::Library::new(name) }?;
    std::mem::forget(library);
    Ok(())
}

/// What an allocator of ONNX Runtime tells of itself, by the names of its own: `InUse`, `TotalAllocated`, …; nothing where
/// it keeps no account. What is not a number is left out.
///
/// # Errors
/// What ONNX Runtime says.
pub(crate) fn allocator_stats(allocator: &Allocator) -> Result<BTreeMap<String, i64>, InferError> {
    let api = ort::api();
    let mut pairs = ptr::null_mut();
    // SAFETY: the allocator's pointer is valid while `allocator` is borrowed, and `pairs` is a place to write to.
    let status = unsafe { (api.AllocatorGetStats)(allocator.ptr(), &mut pairs) };
    // SAFETY: the status comes from that call, and is given on once.
    unsafe { ort::Error::result_from_status(status) }?;
    if pairs.is_null() {
        return Ok(BTreeMap::new());
    }
    let (mut keys, mut values, mut count) = (ptr::null(), ptr::null(), 0);
    // SAFETY: `pairs` is ONNX Runtime's and not yet released; the others are places to write to.
    unsafe { (api.GetKeyValuePairs)(pairs, &mut keys, &mut values, &mut count) };
    let stats = if count == 0 {
        BTreeMap::new()
    } else {
        // SAFETY: both are arrays of `count` C strings, which live and do not change until `pairs` is released.
        let (keys, values) = unsafe { (slice::from_raw_parts(keys, count), slice::from_raw_parts(values, count)) };
        // SAFETY: as above; each string ends with a zero.
        let text = |string: *const _| unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned();
        let numbers = keys.iter().zip(values).map(|(&key, &value)| (text(key), text(value).parse()));
        numbers.filter_map(|(key, value)| Some((key, value.ok()?))).collect()
    };
    // SAFETY: it was given to us to release, and nothing points into it any more: the strings were copied.
    unsafe { (api.ReleaseKeyValuePairs)(pairs) };
    Ok(stats)
}
