//! The thread that owns a session and runs its batches.
//!
//! A batch that fails runs again picture by picture, so that a picture which the model cannot digest fails alone. Where
//! even the golden samples fail then, it is the device and not the picture: the version is unhealthy, and the thread
//! tries the golden samples every second until they pass again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Next, WorkerEnd,
    job::{Failure, Job, Output},
};
use crate::{
    infer::{InferError, Session, Tolerance, check_golden},
    model::Manifest,
    serve::{metrics::BatchMetrics, statistics::Statistics, sync::Instant},
};

/// How often an unhealthy session is tried again.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Why a version does not work, while it does not. Its workers write, `/readyz` reads.
#[derive(Debug, Default)]
pub(in crate::serve) struct Health(Mutex<Option<String>>);

impl Health {
    pub(in crate::serve) fn ailment(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, ailment: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ailment;
    }
}

/// One session and what its thread needs to run it.
pub(in crate::serve) struct Worker {
    pub(in crate::serve) session: Session,
    pub(in crate::serve) manifest: Arc<Manifest>,
    /// What the golden samples are held against.
    pub(in crate::serve) tolerance: Tolerance,
    pub(in crate::serve) health: Arc<Health>,
    pub(in crate::serve) statistics: Arc<Statistics>,
    pub(in crate::serve) metrics: BatchMetrics,
    /// For the log: `scenes/2`.
    pub(in crate::serve) label: String,
}

impl Worker {
    /// Runs batches until the queue is closed and empty. Blocking.
    pub(in crate::serve) fn run(mut self, queue: &WorkerEnd) {
        // Kept between batches for its memory alone.
        let mut pixels = Vec::new();
        let mut ailing = false;
        loop {
            match queue.next(ailing.then_some(PROBE_INTERVAL)) {
                Next::Batch(batch) => {
                    let failed = self.run_batch(queue, batch, &mut pixels);
                    ailing = (failed || ailing) && !self.is_well();
                }
                Next::Idle => ailing = ailing && !self.is_well(),
                Next::End => return,
            }
        }
    }

    /// Runs one batch and answers every picture of it; true where one failed.
    fn run_batch(&mut self, queue: &WorkerEnd, batch: Vec<Job>, pixels: &mut Vec<u8>) -> bool {
        let span = tracing::info_span!("inference", model = self.label, batch_size = batch.len());
        batch.iter().for_each(|job| {
            span.follows_from(&job.span);
        });
        let _entered = span.enter();
        let started = Instant::now();
        pixels.clear();
        batch.iter().for_each(|job| pixels.extend_from_slice(&job.pixels));
        let values = match self.session.run(pixels) {
            Ok(values) => values,
            Err(error) if batch.len() == 1 => return fail(batch, error),
            Err(error) => {
                tracing::warn!(%error, "a batch failed; its pictures run one by one");
                // One by one, the others are answered as if they had come alone.
                return batch.into_iter().fold(false, |failed, job| self.run_batch(queue, vec![job], pixels) | failed);
            }
        };
        let inference = started.elapsed();
        queue.record(batch.len(), inference);
        self.statistics.batch(batch.len(), inference);
        self.metrics.record(batch.len(), inference);
        tracing::debug!(inference_ms = inference.as_secs_f64() * 1e3, "batch done");
        self.answer(batch, &values, started, inference);
        false
    }

    fn answer(&self, batch: Vec<Job>, values: &[f32], started: Instant, inference: Duration) {
        let batch_size = batch.len();
        let outputs = values.chunks_exact(self.session.output_len());
        for (job, values) in batch.into_iter().zip(outputs) {
            let waited = started.saturating_duration_since(job.queued);
            job.answer(Ok(Output { values: values.to_vec(), batch_size, waited, inference }));
        }
    }

    /// Whether the golden samples pass; says so where that has changed.
    fn is_well(&mut self) -> bool {
        match check_golden(&mut self.session, &self.manifest, self.tolerance) {
            Ok(()) => {
                if self.health.ailment().is_some() {
                    tracing::info!(model = self.label, "the model works again");
                    self.health.set(None);
                }
                true
            }
            Err(error) => {
                if self.health.ailment().is_none() {
                    tracing::error!(model = self.label, %error, "the model no longer works: golden check failed");
                }
                self.health.set(Some(format!("it no longer passes its golden check: {error}")));
                false
            }
        }
    }
}

fn fail(batch: Vec<Job>, error: InferError) -> bool {
    tracing::error!(%error, "a picture failed in the model");
    let error = Arc::new(error);
    for job in batch {
        job.answer(Err(Failure::Infer(Arc::clone(&error))));
    }
    true
}

#[cfg(test)]
mod tests;
