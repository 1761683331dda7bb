//! The web service.
//!
//! [`Settings`] → [`Application::build`] → [`Application::run`]. A request's way, in reading order: `http` takes it and
//! answers it, `pipeline` takes each picture through `decode`, which turns its bytes into pixels, and `queue`, which
//! batches the pixels of all requests for one version. `models` holds what is loaded and changes it while the server
//! runs; `shadow` compares a version on trial with the one that answers.

mod application;
mod decode;
mod http;
mod logging;
mod models;
mod oip;
mod pipeline;
mod queue;
mod settings;
mod shadow;
mod statistics;

pub use application::{Application, BuildError};
pub use http::openapi_document;
pub use logging::init_logging;
pub use models::Models;
pub use settings::{LogFormat, Resolved, ServeArgs, Settings, SettingsError, Source};
