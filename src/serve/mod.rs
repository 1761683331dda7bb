//! The web service.
//!
//! [`Settings`] → [`Application::build`] → [`Application::run`]. A request's way, in reading order: `http` takes it and
//! answers it, `decode` turns its bytes into pixels, `queue` batches the pixels of all requests for one model, and
//! `models` holds what was loaded and checked at the start.

mod application;
mod decode;
mod http;
mod logging;
mod models;
mod queue;
mod settings;

pub use application::{Application, BuildError};
pub use http::openapi_document;
pub use logging::init_logging;
pub use models::Models;
pub use settings::{LogFormat, ServeArgs, Settings, SettingsError};
