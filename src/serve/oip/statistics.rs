//! A version's sums in the protocol's form.

use std::time::{Duration, UNIX_EPOCH};

use super::grpc::proto::{InferBatchStatistics, InferStatistics, ModelStatistics, StatisticDuration};
use crate::serve::{models::ServedModel, statistics::Sum};

pub(super) fn view(model: &ServedModel) -> ModelStatistics {
    let sums = model.statistics.sums();
    let last = sums.last.and_then(|last| last.duration_since(UNIX_EPOCH).ok());
    let batches = sums.batches.iter().map(|(&size, &sum)| InferBatchStatistics {
        batch_size: size as u64,
        compute_infer: duration(sum),
        // Putting pictures together and taking outputs apart counts as running the batch.
        compute_input: duration(Sum { time: Duration::ZERO, ..sum }),
        compute_output: duration(Sum { time: Duration::ZERO, ..sum }),
    });
    ModelStatistics {
        name: model.name.clone(),
        version: model.version.to_string(),
        last_inference: last.map_or(0, |last| u64::try_from(last.as_millis()).unwrap_or(u64::MAX)),
        inference_count: sums.answered.count,
        execution_count: sums.batches.values().map(|sum| sum.count).sum(),
        inference_stats: Some(InferStatistics {
            success: duration(sums.answered),
            fail: duration(sums.failed),
            queue: duration(sums.waited),
            compute_input: duration(sums.decoded),
            compute_infer: duration(sums.inferred),
            // Too short to be measured.
            compute_output: duration(Sum { time: Duration::ZERO, ..sums.answered }),
        }),
        batch_stats: batches.collect(),
    }
}

fn duration(Sum { count, time }: Sum) -> Option<StatisticDuration> {
    Some(StatisticDuration { count, ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) })
}
