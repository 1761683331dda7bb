//! Where the log goes: standard error, in the format of the settings.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt};

use super::LogFormat;

/// Sends the log to standard error. `RUST_LOG` chooses what is logged; `info` without it.
///
/// # Errors
/// A second call.
pub fn init_logging(format: LogFormat) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Pretty => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
}
