//! Golden samples of somebody else's model: what it answers here for drawn pictures.

use anyhow::Context as _;

use crate::{
    infer::{Runtime, Session, SessionOptions, Tolerance, check_golden, choose_golden, draw_pictures, golden_outputs},
    model::{Golden, ModelFile, Sidecar, Task, wrapped},
    onnx::ModelProto,
    picture::{Limits, Picture, ResizeRule},
};

/// Golden pictures that are drawn, of which a few are kept.
const DRAWN: u64 = 24;
/// How far a batch's outputs may be from those of its pictures alone, as a share of the largest output, 1 at least.
const BATCH_TOLERANCE: f32 = 1e-3;

/// Runs the model as it will be served, and checks that its outputs are what the sidecar promises.
pub(super) fn record(model: &ModelProto, sidecar: &Sidecar) -> anyhow::Result<Golden> {
    let runtime = Runtime::load(None)?;
    let rule = sidecar.input.resize;
    let file = wrapped(model.clone(), sidecar)?;
    let advice = "the rewritten model does not run: are there as many names as outputs?";
    let mut session = Session::open(&runtime, &file, &SessionOptions::default()).context(advice)?;
    let pictures = draw_pictures(0, DRAWN)?;
    let outputs = golden_outputs(&mut session, &rule, &pictures).context(advice)?;
    check_outputs(&file.manifest.task, &outputs)?;
    check_batch(&mut session, &rule, &pictures, &outputs)?;
    let golden = choose_golden(&pictures, &outputs);
    check_again(&mut session, file, &golden)?;
    Ok(golden)
}

/// A model that draws random numbers answers otherwise the next time.
fn check_again(session: &mut Session, mut file: ModelFile, golden: &Golden) -> anyhow::Result<()> {
    file.manifest.golden = golden.clone();
    check_golden(session, &file.manifest, Tolerance::FLOAT32)
        .context("the model answers the same pictures otherwise the second time: was it exported after model.eval()?")
}

/// Scores lie in 0…1, and those of single-label models sum to 1.
fn check_outputs(task: &Task, outputs: &[Vec<f32>]) -> anyhow::Result<()> {
    let all = || outputs.iter().flatten();
    anyhow::ensure!(all().all(|value| value.is_finite()), "the model's outputs for drawn pictures are not all finite");
    if matches!(task, Task::MultiLabel { .. } | Task::SingleLabel { .. }) {
        let inside = all().all(|score| (0.0..=1.0).contains(score));
        anyhow::ensure!(inside, "the model's outputs are not scores in 0…1: leave --activation none out");
    }
    if matches!(task, Task::SingleLabel { .. }) {
        let sums = outputs.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
        anyhow::ensure!(sums, "the model's scores do not sum to 1: is it a multi-label model?");
    }
    Ok(())
}

/// The server runs several pictures at once: their outputs have to be those of each alone.
fn check_batch(
    session: &mut Session,
    rule: &ResizeRule,
    pictures: &[Vec<u8>],
    alone: &[Vec<f32>],
) -> anyhow::Result<()> {
    const BATCH: usize = 3;
    let mut pixels = Vec::with_capacity(BATCH * session.picture_len());
    for bytes in pictures.iter().take(BATCH) {
        pixels.extend(Picture::frame(bytes, &Limits::default(), rule)?.0);
    }
    let advice = "export the model with an open batch dimension (dynamic_axes or dynamic_shapes)";
    let together =
        session.run(&pixels).with_context(|| format!("the model does not run on several pictures: {advice}"))?;
    let largest = alone.iter().flatten().fold(1.0, |largest: f32, value| largest.max(value.abs()));
    let close = together.iter().zip(alone.iter().flatten()).all(|(a, b)| (a - b).abs() <= BATCH_TOLERANCE * largest);
    anyhow::ensure!(close, "the model answers several pictures otherwise than each alone: {advice}");
    Ok(())
}
