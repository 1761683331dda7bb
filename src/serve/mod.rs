//! The web service.
//!
//! [`Settings`] → [`Application::build`] → [`Application::run`]. A request's way, in reading order: `http` takes it and
//! answers it, `pipeline` takes each picture through `decode`, which turns its bytes into pixels, and `queue`, which
//! batches the pixels of all requests for one version. `models` holds what is loaded and changes it while the server
//! runs; `shadow` compares a version on trial with the one that answers; `statistics` adds up what each has done, `drift`
//! counts its scores, `record` remembers answers, `thresholds` knows which thresholds hold, and `jobs` works on pictures in
//! bulk while nobody waits. `oip` is the same for
//! clients of the Open Inference Protocol, over HTTP and gRPC.
//!
//! Before all that, `listen` takes connections (with `tls`), and `edge` holds what stands between them and the routes:
//! `keys`, certificate, and `fetch` for pictures by URL. `watched` follows their files.

mod application;
mod copies;
mod decode;
mod drift;
mod edge;
mod fetch;
mod http;
mod jobs;
mod keys;
mod listen;
mod logging;
mod metrics;
mod models;
mod oip;
mod pipeline;
mod queue;
mod record;
mod settings;
mod shadow;
mod statistics;
mod steady_clock;
mod sync;
mod thresholds;
mod tls;
mod watched;

pub use application::{Application, BuildError};
pub use fetch::{FetchError, FetchRules, HostRule, Network, Scheme};
pub use http::openapi_document;
pub use jobs::Address;
pub use keys::{ApiKey, Rate, Scope, parse_list as parse_keys};
pub use logging::{Tracing, init_logging};
pub use models::Models;
pub use settings::{
    Access, Connections, JobSettings, LogFormat, Origins, RecordSettings, Resolved, ServeArgs, Settings, SettingsError,
    Source,
};
pub use tls::TlsFiles;
