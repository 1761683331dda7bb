//! All metrics as text.

use std::sync::Arc;

use prometheus_client::{encoding::text, registry::Registry};

use super::Metrics;
use crate::serve::models::Models;

/// OpenMetrics 1.0, which Prometheus reads.
pub(in crate::serve) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `GET /metrics` shows. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::serve) struct MetricsPage(Arc<Registry>);

impl MetricsPage {
    pub(in crate::serve) fn new(metrics: &Metrics, models: Arc<Models>) -> Self {
        Self(Arc::new(metrics.registry(models)))
    }

    /// The page's text.
    ///
    /// # Errors
    /// None in practice: text is written to memory.
    pub(in crate::serve) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0)?;
        Ok(page)
    }
}
