//! The golden check: does this model give, here, the outputs that it gave when it was made?

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use prost::Message as _;

use super::{InferError, Session};
use crate::{
    model::{GoldenSample, Manifest, ModelFile, Task},
    onnx::{ModelProto, quantize::is_quantised},
    picture::{Limits, Picture, PictureError, ResizeRule},
};

/// The largest absolute difference that an output element may have from its golden value. Values lie in their users' units:
/// theirs is this share of the value's largest golden output, where that is above 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(pub f32);

impl Tolerance {
    /// float32 on a CPU.
    pub const FLOAT32: Self = Self(1e-3);
    /// float32 on CUDA.
    pub const CUDA: Self = Self(5e-3);
    /// INT8 against its own record: between processors a value may be rounded the other way here and there.
    pub const INT8: Self = Self(0.02);

    /// On a processor, by what the file's graph computes in.
    pub fn of(file: &ModelFile) -> Self {
        let graph = ModelProto::decode(file.bytes.as_slice()).ok().and_then(|model| model.graph);
        if graph.is_some_and(|graph| is_quantised(&graph)) { Self::INT8 } else { Self::FLOAT32 }
    }
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
         (difference {difference:.2e}, tolerance {tolerance:e})"
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
    compare(&manifest.task, &manifest.golden.samples, &outputs, tolerance)
}

/// The element that differs most, by what it may differ.
fn compare(
    task: &Task,
    samples: &[GoldenSample],
    outputs: &[Vec<f32>],
    tolerance: Tolerance,
) -> Result<(), GoldenError> {
    let tolerances: Vec<f32> =
        (0..task.output_len()).map(|element| tolerance.0 * size_of(task, samples, element)).collect();
    let mut worst: Option<GoldenError> = None;
    let mut worst_share = 1.0;
    for (index, (sample, output)) in samples.iter().zip(outputs).enumerate() {
        for (element, ((&expected, &found), &tolerance)) in
            sample.output.iter().zip(output).zip(&tolerances).enumerate()
        {
            // A NaN has to fail, so it counts as infinitely far away.
            let difference = if found.is_nan() { f32::INFINITY } else { (found - expected).abs() };
            if difference / tolerance > worst_share {
                worst_share = difference / tolerance;
                worst = Some(GoldenError::Drift { index, element, found, expected, difference, tolerance });
            }
        }
    }
    worst.map_or(Ok(()), Err)
}

/// What an element's differences are measured by. A price of 300 000 has float32 steps of .03, so no host gives it to 1e-3.
fn size_of(task: &Task, samples: &[GoldenSample], element: usize) -> f32 {
    let Task::Values(_) = task else { return 1.0 };
    let golden = samples.iter().filter_map(|sample| sample.output.get(element));
    golden.fold(1.0, |largest, value| largest.max(value.abs()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Points, Values, YRange};

    fn samples(outputs: &[[f32; 2]]) -> Vec<GoldenSample> {
        outputs.iter().map(|output| GoldenSample { picture: String::new(), output: output.to_vec() }).collect()
    }

    #[test]
    fn values_are_held_to_a_share_of_their_size_and_everything_else_to_the_tolerance_itself() {
        let values = Task::Values(Values { names: vec!["price".into(), "rooms".into()], y_ranges: Vec::new() });
        let golden = samples(&[[310_000.0, 0.5], [-20.0, 0.25]]);
        let passes = |task: &Task, found: [f32; 2]| {
            compare(task, &golden, &[vec![310_000.0, 0.5], found.to_vec()], Tolerance::FLOAT32)
        };
        assert!(passes(&values, [280.0, 0.2505]).is_ok());
        let error = passes(&values, [300.0, 0.25]).unwrap_err().to_string();
        assert!(error.contains("sample 1, output 0: 300 here, -20") && error.contains("tolerance 3.1"), "{error}");
        // As many times more than it may differ, though less.
        let error = passes(&values, [300.0, 0.26]).unwrap_err();
        assert!(matches!(error, GoldenError::Drift { element: 1, .. }), "{error}");
        assert!(passes(&values, [f32::NAN, 0.25]).is_err());
        let y_range = YRange { low: -1e6, high: 1e6 };
        let points = Points { names: vec!["nose".into()], flip_pairs: Vec::new(), y_range, nme_pair: None };
        assert!(passes(&Task::Points(points), [-20.01, 0.25]).is_err());
    }
}
