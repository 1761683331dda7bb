//! `GET /metrics`, for Prometheus.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::header;

use super::App;
use crate::{error::Error, serve::metrics::CONTENT_TYPE};

/// Metrics for Prometheus
///
/// Counters, histograms and gauges as OpenMetrics text; docs/metrics.md names them all.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "health",
    responses((
        status = 200,
        description = "The metrics.",
        content_type = "application/openmetrics-text",
        body = String,
        example = "# HELP tagpoint_ready 1 where every model answers, as /readyz says, else 0.\n# TYPE tagpoint_ready gauge\ntagpoint_ready 1\n# EOF\n"
    ))
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Error> {
    let text = app.metrics_page.text().map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
