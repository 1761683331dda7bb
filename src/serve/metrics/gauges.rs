//! What is true of the models at the moment of asking.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::VersionLabels;
use crate::{
    infer::{MemoryAccount, MemoryUse},
    serve::models::{Models, ServedModel},
};

/// Name, help and value of a gauge.
type MemoryGauge = (&'static str, &'static str, fn(&MemoryUse) -> u64);

/// What ONNX Runtime's arenas hold.
const MEMORY: [MemoryGauge; 3] = [
    ("onnxruntime_held_memory", "Memory that ONNX Runtime's arenas hold, used or kept for the next batch", |it| {
        it.held
    }),
    ("onnxruntime_used_memory", "Memory of ONNX Runtime's arenas that is used now", |it| it.used),
    ("onnxruntime_peak_memory", "The most that was used at a time", |it| it.peak),
];

/// Queue length and readiness of each version that takes pictures.
#[derive(Debug)]
pub(super) struct ModelGauges(pub(super) Arc<Models>);

impl Collector for ModelGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let catalog = self.0.catalog();
        let help = "Pictures that wait, being decoded or decoded";
        let mut family = encoder.encode_descriptor("queue_length", help, None, MetricType::Gauge)?;
        for model in catalog.served() {
            let length = ConstGauge::new(i64::try_from(model.queue.len()).unwrap_or(i64::MAX));
            length.encode(family.encode_family(&VersionLabels::of(model))?)?;
        }
        let help = "1 where the version takes pictures and its device gives right answers, 0 where it fails";
        let mut family = encoder.encode_descriptor("model_healthy", help, None, MetricType::Gauge)?;
        for model in catalog.served() {
            ConstGauge::new(i64::from(model.ailment().is_none()))
                .encode(family.encode_family(&VersionLabels::of(model))?)?;
        }
        let memory: Vec<_> =
            catalog.served().filter_map(|model| Some((VersionLabels::of(model), memory_of(model)?))).collect();
        for (name, help, bytes) in MEMORY {
            let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            for (labels, memory) in &memory {
                ConstGauge::new(i64::try_from(bytes(memory)).unwrap_or(i64::MAX))
                    .encode(family.encode_family(labels)?)?;
            }
        }
        let help = "1 where every model answers, as /readyz says, else 0";
        let ready = ConstGauge::new(i64::from(catalog.hindrances().is_empty()));
        ready.encode(encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?)
    }
}

/// What all sessions of a version hold together; nothing where ONNX Runtime does not say.
fn memory_of(model: &ServedModel) -> Option<MemoryUse> {
    model.memory.iter().map(MemoryAccount::now).sum::<Result<_, _>>().ok()
}
