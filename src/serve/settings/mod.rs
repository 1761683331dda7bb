//! The server's settings: flags over environment over a TOML file, validated whole.
//!
//! [`ServeArgs`] is what was typed, as text; [`Settings`] is what it means. Every mistake is named at once.

mod args;
mod edge;
mod jobs;
mod reader;
mod record;
mod table;

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

pub use args::{ServeArgs, Source};
pub use edge::{Access, Connections, Origins};
pub use jobs::JobSettings;
pub use record::RecordSettings;

use reader::Reader;
use table::TABLE;

use crate::{
    infer::{PrecisionChoice, Provider},
    model::StorageOptions,
    picture::Limits,
    serve::fetch::FetchRules,
    store::Database,
};

/// What the server is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The folder of `<name>/<version>/model.onnx`, or the address of one in an object store.
    pub models: PathBuf,
    /// Where model files from an object store are kept, and how large one version may be.
    pub storage: StorageOptions,
    /// How many of each model's newest versions are loaded.
    pub versions: usize,
    /// How often the models folder is looked through for new and removed versions; 0 never.
    pub watch: Duration,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The most pictures that run through a model together.
    pub max_batch: usize,
    /// How long a picture waits for company; 0 takes what is there and never waits.
    pub max_delay: Duration,
    /// The most pictures of one version that are being decoded, wait or run; more are refused.
    pub queue_limit: usize,
    /// How long a request may take that does not say; none may ask for more.
    pub request_timeout: Duration,
    /// What models run on.
    pub provider: Provider,
    /// Which precision runs where a version has both.
    pub precision: PrecisionChoice,
    /// Sessions of each version.
    pub instances: usize,
    /// Threads that decode pictures.
    pub decode_threads: usize,
    /// The most bytes that pictures take together while they are decoded; one that needs more is decoded alone.
    pub decode_budget: usize,
    /// Threads that work on one batch of one model together.
    pub intra_threads: usize,
    /// Whether threads of a session that wait for work spin.
    pub spinning: bool,
    /// What one picture may cost.
    pub picture: Limits,
    /// The most bytes of a request's body.
    pub max_body: usize,
    /// The most pictures of one request.
    pub max_pictures: usize,
    /// The most bytes that the bodies of all requests take together.
    pub body_budget: usize,
    /// What is remembered, and shared by replicas.
    pub database: Database,
    /// Which answers are remembered.
    pub record: RecordSettings,
    /// Bulk jobs.
    pub jobs: JobSettings,
    /// Which pictures are fetched by URL; none without it.
    pub fetch: Option<FetchRules>,
    /// Who may ask.
    pub access: Access,
    /// How connections are treated.
    pub connections: Connections,
    /// How long requests that were accepted may take once the server is told to stop.
    pub stop_timeout: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// The ONNX Runtime library; none looks in the usual places.
    pub onnxruntime: Option<PathBuf>,
    /// The OpenTelemetry collector that spans go to.
    pub otlp_endpoint: Option<String>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
        })
    }
}

impl std::str::FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            models: "models".into(),
            storage: StorageOptions::default(),
            versions: 1,
            watch: Duration::ZERO,
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            max_batch: 8,
            max_delay: Duration::ZERO,
            queue_limit: 256,
            request_timeout: Duration::from_secs(60),
            provider: Provider::Cpu,
            precision: PrecisionChoice::Auto,
            instances: 1,
            decode_threads: cores,
            // The largest picture takes 488 MiB.
            decode_budget: 768 << 20,
            intra_threads: cores,
            spinning: false,
            picture: Limits::default(),
            max_body: 32 << 20,
            max_pictures: 32,
            body_budget: 256 << 20,
            database: Database::default(),
            record: RecordSettings::default(),
            jobs: JobSettings::default(),
            fetch: None,
            access: Access::default(),
            connections: Connections::default(),
            stop_timeout: Duration::from_secs(30),
            log_format: LogFormat::Pretty,
            onnxruntime: None,
            otlp_endpoint: None,
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings are not valid:\n  {}", .0.join("\n  "))]
pub struct SettingsError(pub Vec<String>);

/// Settings and where each comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Whose value each setting has; defaults are not in it.
    sources: BTreeMap<&'static str, Source>,
    /// The configuration file, if one was named.
    config: Option<PathBuf>,
    /// What is said of variables of the environment that look like settings and are none.
    pub passed_over: Vec<String>,
}

impl Settings {
    /// The most pictures of a request whose pictures take their places in the queue together.
    pub fn max_pictures_together(&self) -> usize {
        self.max_pictures.min(self.queue_limit)
    }

    /// Reads the configuration file, if one is named, and checks everything.
    ///
    /// # Errors
    /// Every mistake of the flags, the environment and the file.
    pub fn resolve(args: ServeArgs) -> Result<Resolved, SettingsError> {
        let (config, passed_over) = (args.config.clone(), args.passed_over.clone());
        let mut reader = Reader::new(args);
        let defaults = Self::default();
        let limits = defaults.picture;
        let mut settings = Self {
            models: reader.text("models").map_or(defaults.models, PathBuf::from),
            storage: StorageOptions {
                cache: reader.text("model_cache").map_or(defaults.storage.cache, PathBuf::from),
                max_bytes: reader.number("max_model_bytes", 1..=1 << 40, defaults.storage.max_bytes),
            },
            versions: reader.number("versions", 1..=1000, defaults.versions),
            watch: reader.seconds("watch_s", 0.0..=86_400.0, defaults.watch),
            listen: reader.parsed("listen", "an address and port such as 127.0.0.1:8000", defaults.listen),
            max_batch: reader.number("max_batch", 1..=1024, defaults.max_batch),
            max_delay: Duration::from_millis(reader.number("max_delay_ms", 0..=10_000, 0)),
            queue_limit: reader.number("queue_limit", 1..=1_000_000, defaults.queue_limit),
            request_timeout: reader.seconds("request_timeout_s", 0.001..=86_400.0, defaults.request_timeout),
            provider: reader.provider(),
            precision: reader.parsed("precision", "auto, fp32 or int8", defaults.precision),
            instances: reader.number("instances", 1..=256, defaults.instances),
            decode_threads: reader.number("decode_threads", 1..=1024, defaults.decode_threads),
            decode_budget: reader.number("decode_budget_bytes", 1 << 20..=1 << 40, defaults.decode_budget),
            intra_threads: reader.number("intra_threads", 1..=1024, defaults.intra_threads),
            spinning: reader.parsed("spinning", "true or false", defaults.spinning),
            picture: Limits {
                max_bytes: reader.number("max_picture_bytes", 1..=1 << 30, limits.max_bytes),
                max_side: reader.number("max_picture_side", 1..=65_535, limits.max_side),
                max_pixels: reader.number("max_picture_pixels", 1..=1 << 30, limits.max_pixels),
            },
            max_body: reader.number("max_body_bytes", 1..=1 << 32, defaults.max_body),
            max_pictures: reader.number("max_pictures", 1..=10_000, defaults.max_pictures),
            body_budget: reader.number("body_budget_bytes", 1 << 20..=1 << 40, defaults.body_budget),
            database: reader.value("database", defaults.database, str::parse),
            record: RecordSettings::read(&mut reader),
            jobs: JobSettings::read(&mut reader),
            fetch: None,
            access: Access::read(&mut reader),
            connections: Connections::read(&mut reader),
            stop_timeout: Duration::from_secs(reader.number("stop_timeout_s", 0..=3600, 30)),
            log_format: reader.parsed("log_format", "pretty or json", defaults.log_format),
            onnxruntime: reader.text("onnxruntime").map(PathBuf::from),
            otlp_endpoint: reader.text("otlp_endpoint"),
        };
        settings.fetch = edge::read_fetch(&mut reader, settings.picture.max_bytes);
        edge::check(&settings, &mut reader);
        record::check(&settings, &mut reader);
        reader.leftovers();
        if reader.mistakes.is_empty() {
            Ok(Resolved { settings, sources: reader.sources, config, passed_over })
        } else {
            Err(SettingsError(reader.mistakes))
        }
    }
}

/// A configuration file that says the same, with comments on where each value comes from and what is passed over.
impl Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in TABLE {
            let value = (entry.show)(&self.settings);
            let source = match self.sources.get(entry.name).copied().unwrap_or(Source::Default) {
                Source::Default => "default".to_owned(),
                Source::Flag => format!("flag --{}", entry.flag()),
                Source::Environment => format!("environment {}", entry.variable()),
                Source::File => self.config.iter().map(|path| path.display().to_string()).collect(),
            };
            let bare = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
            if entry.is_secret(&self.settings) && !value.is_empty() {
                writeln!(f, "# {}: {value}, not shown # {source}", entry.name)?;
                continue;
            }
            match (value.is_empty(), bare) {
                (true, _) => writeln!(f, "# {} is not set", entry.name)?,
                (false, true) => writeln!(f, "{} = {value} # {source}", entry.name)?,
                (false, false) => writeln!(f, "{} = {} # {source}", entry.name, toml::Value::String(value))?,
            }
        }
        self.passed_over.iter().try_for_each(|said| writeln!(f, "# {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, args: ServeArgs) -> Result<Resolved, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tagpoint.toml");
        std::fs::write(&path, text).unwrap();
        Settings::resolve(ServeArgs { config: Some(path), ..args })
    }

    #[test]
    fn without_flags_or_file_the_defaults_hold() {
        assert_eq!(Settings::resolve(ServeArgs::default()).unwrap().settings, Settings::default());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let args = ServeArgs::typed([("max_batch", "4")]);
        let text = "max_batch = 8\nqueue_limit = 5\nmax_delay_ms = 3\nlog_format = \"json\"\nrequest_timeout_s = 1.5";
        let settings = with_file(text, args).unwrap().settings;
        assert_eq!((settings.max_batch, settings.queue_limit), (4, 5));
        assert_eq!((settings.max_delay, settings.log_format), (Duration::from_millis(3), LogFormat::Json));
        assert_eq!(settings.request_timeout, Duration::from_millis(1500));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let args = ServeArgs::typed([("listen", "nowhere"), ("max_batch", "0"), ("log_format", "xml")]);
        let text = "queue_limit = 1.5\nmax_pixels = 3\nmax_pictures = -1\nwatch_s = \"often\"\nmodels = []\nrequest_timeout_s = 0";
        let error = with_file(text, args).unwrap_err();
        let names = [
            "listen",
            "max_batch",
            "log_format",
            "queue_limit",
            "max_pixels",
            "max_pictures",
            "watch_s",
            "models",
            "request_timeout_s",
        ];
        for named in names {
            assert!(error.0.iter().any(|mistake| mistake.starts_with(&format!("{named}:"))), "{named} in {error}");
        }
        assert_eq!(error.0.len(), names.len(), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_mistake() {
        let args = ServeArgs { config: Some("no/such/file.toml".into()), ..ServeArgs::default() };
        assert!(Settings::resolve(args).unwrap_err().to_string().contains("no/such/file.toml"));
        assert!(with_file("max_batch = ", ServeArgs::default()).is_err());
    }

    #[test]
    fn what_is_printed_names_its_sources_and_reads_back_as_the_same() {
        let resolved = with_file("queue_limit = 5", ServeArgs::typed([("models", "my \"models\"")])).unwrap();
        let text = resolved.to_string();
        assert!(text.contains("queue_limit = 5 # ") && text.contains("tagpoint.toml"), "{text}");
        assert!(text.contains("# flag --models") && text.contains("max_batch = 8 # default"), "{text}");
        assert_eq!(with_file(&text, ServeArgs::default()).unwrap().settings, resolved.settings);
    }
}
