//! What is true of the models at the moment of asking.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::VersionLabels;
use crate::serve::models::Models;

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
        let help = "1 where every model answers, as /readyz says, else 0";
        let ready = ConstGauge::new(i64::from(catalog.hindrances().is_empty()));
        ready.encode(encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?)
    }
}
