//! How far live scores lie from those of validation, by label, when it is asked for.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::{AnswerLabels, VersionLabels};
use crate::serve::{
    drift::{
        HOURS,
        report::{DriftReport, LabelDrift, report},
    },
    models::Models,
};

/// Name, help and value of a gauge; no value where there is none to give.
type LabelGauge = (&'static str, &'static str, fn(&LabelDrift) -> Option<f64>);

const OF_LABELS: [LabelGauge; 4] = [
    ("drift_psi", "Population stability index of a label's scores against validation's", |label| label.psi),
    ("drift_psi_by_chance", "What the index exceeds once in a hundred times where nothing has drifted", |label| {
        label.psi_by_chance
    }),
    ("drift_live_rate", "Share of pictures that a label was named for, at the model file's own threshold", |label| {
        label.live_rate
    }),
    ("drift_validation_rate", "The same share of validation pictures", |label| label.validation_rate),
];

/// Of each loaded version with labels.
#[derive(Debug)]
pub(super) struct DriftGauges(pub(super) Arc<Models>);

impl Collector for DriftGauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let catalog = self.0.catalog();
        let reports: Vec<(VersionLabels, DriftReport)> = catalog
            .served()
            .map(|model| (VersionLabels::of(model), report(model, HOURS)))
            .filter(|(_, report)| !report.labels.is_empty())
            .collect();
        let help = "Pictures of the last 24 hours whose scores were counted";
        let mut family = encoder.encode_descriptor("drift_pictures", help, None, MetricType::Gauge)?;
        for (labels, report) in &reports {
            ConstGauge::new(report.pictures).encode(family.encode_family(labels)?)?;
        }
        for (name, help, value) in OF_LABELS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (VersionLabels { model, version }, report) in &reports {
                for drift in &report.labels {
                    let Some(value) = value(drift) else { continue };
                    let labels =
                        AnswerLabels { model: model.clone(), version: version.clone(), label: drift.label.clone() };
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}
