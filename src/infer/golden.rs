//! The golden check: does this model give, here, the outputs that it gave when it was made?

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{InferError, Session};
use crate::{
    model::Manifest,
    picture::{Limits, Picture, PictureError, ResizeRule},
};

/// The largest absolute difference that an output element may have from its golden value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(pub f32);

impl Tolerance {
    /// float32 on a CPU.
    pub const FLOAT32: Self = Self(1e-3);
    /// float32 on CUDA.
    pub const CUDA: Self = Self(5e-3);
    /// INT8 against its own record: between processors a value may be rounded the other way here and there.
    pub const INT8: Self = Self(0.02);
}

/// Why a model fails its golden check.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// A golden picture cannot be decoded.
    #[error("golden sample {index}: {reason}")]
    Sample {
        /// The sample's place in the manifest.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The model did not run.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The model gives other outputs than it gave when it was made.
    #[error(
        "golden sample {index}, output {element}: {found} here, {expected} when the model was made \
         (difference {difference:.2e}, tolerance {tolerance:.0e})"
    )]
    Drift {
        /// The sample's place in the manifest.
        index: usize,
        /// The output element's place in the sample's output.
        element: usize,
        /// The output here.
        found: f32,
        /// The output in the manifest.
        expected: f32,
        /// Their absolute difference.
        difference: f32,
        /// What would have passed.
        tolerance: f32,
    },
}

/// Runs every golden sample and compares.
///
/// # Errors
/// The element that differs most, where one differs by more than the tolerance or is not a number.
pub fn check_golden(session: &mut Session, manifest: &Manifest, tolerance: Tolerance) -> Result<(), GoldenError> {
    let pictures: Vec<Vec<u8>> = manifest
        .golden
        .samples
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            BASE64.decode(&sample.picture).map_err(|error| GoldenError::Sample { index, reason: error.to_string() })
        })
        .collect::<Result<_, _>>()?;
    let outputs = golden_outputs(session, &manifest.input.resize, &pictures)?;
    let mut worst: Option<GoldenError> = None;
    let mut worst_difference = tolerance.0;
    for (index, (sample, output)) in manifest.golden.samples.iter().zip(&outputs).enumerate() {
        for (element, (&expected, &found)) in sample.output.iter().zip(output).enumerate() {
            // A NaN has to fail, so it counts as infinitely far away.
            let difference = if found.is_nan() { f32::INFINITY } else { (found - expected).abs() };
            if difference > worst_difference {
                worst_difference = difference;
                worst =
                    Some(GoldenError::Drift { index, element, found, expected, difference, tolerance: tolerance.0 });
            }
        }
    }
    worst.map_or(Ok(()), Err)
}

/// The model's outputs for encoded pictures, one picture a batch, through the pipeline that requests take.
///
/// # Errors
/// A picture that cannot be decoded, or a failing run.
pub fn golden_outputs(
    session: &mut Session,
    rule: &ResizeRule,
    pictures: &[Vec<u8>],
) -> Result<Vec<Vec<f32>>, GoldenError> {
    let mut outputs = Vec::with_capacity(pictures.len());
    for (index, bytes) in pictures.iter().enumerate() {
        let (pixels, _) = Picture::frame(bytes, &Limits::default(), rule)
            .map_err(|error: PictureError| GoldenError::Sample { index, reason: error.to_string() })?;
        outputs.push(session.run(&pixels)?);
    }
    Ok(outputs)
}
