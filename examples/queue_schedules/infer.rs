//! In the place of `src/infer`: a session that gives back what it is given.

use std::fmt;

use crate::model::Manifest;

/// A pixel that no batch bears: it fails with everybody in it.
pub const POISON: u8 = 255;

#[derive(Debug)]
pub struct InferError;

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("poison")
    }
}

pub struct Session;

impl Session {
    pub fn run(&mut self, pixels: &[u8]) -> Result<Vec<f32>, InferError> {
        // Another may run meanwhile.
        shuttle::thread::yield_now();
        if pixels.contains(&POISON) {
            Err(InferError)
        } else {
            Ok(pixels.iter().map(|pixel| f32::from(*pixel)).collect())
        }
    }

    pub fn output_len(&self) -> usize {
        1
    }
}

#[derive(Clone, Copy)]
pub struct Tolerance;

pub fn check_golden(_: &mut Session, _: &Manifest, _: Tolerance) -> Result<(), InferError> {
    Ok(())
}
