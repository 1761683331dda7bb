//! The log, on standard error, and the export of spans to a collector.

use std::io::IsTerminal as _;

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::settings::LogFormat;

/// Exports spans until it is told to finish.
#[derive(Debug, Default)]
#[must_use = "spans of the last seconds are lost unless it is told to finish"]
pub struct Tracing(Option<SdkTracerProvider>);

/// Starts the log of this process: `RUST_LOG` filters it, else lines from `info` on are written. With an endpoint,
/// spans also go to an OpenTelemetry collector there (OTLP over gRPC). Call it within a tokio runtime.
///
/// # Errors
/// A filter or an endpoint that cannot be read, or a log that runs already.
pub fn init_logging(
    format: LogFormat,
    otlp_endpoint: Option<&str>,
) -> Result<Tracing, Box<dyn std::error::Error + Send + Sync>> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::new("info"),
    };
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let provider = otlp_endpoint.map(exporter).transpose()?;
    // Ours alone: the exporter's connection has spans of its own, which would be sent for ever.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::TRACE);
    let layer = |provider: &SdkTracerProvider| tracing_opentelemetry::layer().with_tracer(provider.tracer("tagpoint"));
    let spans = provider.as_ref().map(|provider| layer(provider).with_filter(ours));
    tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init()?;
    Ok(Tracing(provider))
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider, Box<dyn std::error::Error + Send + Sync>> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name("tagpoint").with_attribute(version).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Tracing {
    /// Sends what has not been sent.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        // Blocks until the collector has answered, or for the exporter's time-out.
        let sent = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
