//! The server's settings: flags over environment over a TOML file, validated whole.
//!
//! [`ServeArgs`] is what was typed, as text; [`Settings`] is what it means. Every mistake is named at once.

use std::{
    fmt::Display,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};

use crate::picture::Limits;

/// What the server is told, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The folder of `<name>/<version>/model.onnx`.
    pub models: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The most pictures that run through a model together.
    pub max_batch: usize,
    /// How long a picture waits for company; 0 takes what is there and never waits.
    pub max_delay: Duration,
    /// The most pictures that wait for one model, being decoded or decoded; more are refused.
    pub queue_limit: usize,
    /// Threads that decode pictures.
    pub decode_threads: usize,
    /// Threads that work on one batch of one model together.
    pub intra_threads: usize,
    /// What one picture may cost.
    pub picture: Limits,
    /// The most bytes of a request's body.
    pub max_body: usize,
    /// The most pictures of one form.
    pub max_pictures: usize,
    /// How long requests that were accepted may take once the server is told to stop.
    pub stop_timeout: Duration,
    /// How the log is written.
    pub log_format: LogFormat,
    /// The ONNX Runtime library; none looks in the usual places.
    pub onnxruntime: Option<PathBuf>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            models: "models".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            max_batch: 8,
            max_delay: Duration::ZERO,
            queue_limit: 256,
            decode_threads: cores,
            intra_threads: cores,
            picture: Limits::default(),
            max_body: 32 << 20,
            max_pictures: 32,
            stop_timeout: Duration::from_secs(30),
            log_format: LogFormat::Pretty,
            onnxruntime: None,
        }
    }
}

/// The flags and environment variables of `tagpoint serve`, as text; a flag wins over its variable.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// TOML file with settings, named as the flags but with underscores; flags and environment win over it
    #[arg(long, env = "TAGPOINT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of NAME/VERSION/model.onnx [default: models]
    #[arg(long, env = "TAGPOINT_MODELS", value_name = "DIR")]
    pub models: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:8000]
    #[arg(long, env = "TAGPOINT_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Most pictures that run through a model together [default: 8]
    #[arg(long, env = "TAGPOINT_MAX_BATCH", value_name = "N")]
    pub max_batch: Option<String>,
    /// Milliseconds that a picture waits for company [default: 0]
    #[arg(long, env = "TAGPOINT_MAX_DELAY_MS", value_name = "MS")]
    pub max_delay_ms: Option<String>,
    /// Most pictures that wait for one model [default: 256]
    #[arg(long, env = "TAGPOINT_QUEUE_LIMIT", value_name = "N")]
    pub queue_limit: Option<String>,
    /// Threads that decode pictures [default: the number of cores]
    #[arg(long, env = "TAGPOINT_DECODE_THREADS", value_name = "N")]
    pub decode_threads: Option<String>,
    /// Threads that work on one batch together [default: the number of cores]
    #[arg(long, env = "TAGPOINT_INTRA_THREADS", value_name = "N")]
    pub intra_threads: Option<String>,
    /// Most bytes of one picture [default: 20971520]
    #[arg(long, env = "TAGPOINT_MAX_PICTURE_BYTES", value_name = "BYTES")]
    pub max_picture_bytes: Option<String>,
    /// Most pixels along one side of a picture [default: 16384]
    #[arg(long, env = "TAGPOINT_MAX_PICTURE_SIDE", value_name = "PIXELS")]
    pub max_picture_side: Option<String>,
    /// Most pixels of one picture, width times height [default: 64000000]
    #[arg(long, env = "TAGPOINT_MAX_PICTURE_PIXELS", value_name = "PIXELS")]
    pub max_picture_pixels: Option<String>,
    /// Most bytes of one request's body [default: 33554432]
    #[arg(long, env = "TAGPOINT_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<String>,
    /// Most pictures of one form [default: 32]
    #[arg(long, env = "TAGPOINT_MAX_PICTURES", value_name = "N")]
    pub max_pictures: Option<String>,
    /// Seconds that accepted requests may take once the server is told to stop [default: 30]
    #[arg(long, env = "TAGPOINT_STOP_TIMEOUT_S", value_name = "S")]
    pub stop_timeout_s: Option<String>,
    /// How the log is written: pretty or json [default: pretty]
    #[arg(long, env = "TAGPOINT_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// The ONNX Runtime library [default: ORT_DYLIB_PATH, else beside the program]
    #[arg(long, env = "TAGPOINT_ONNXRUNTIME", value_name = "FILE")]
    pub onnxruntime: Option<String>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings are not valid:\n  {}", .0.join("\n  "))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// Reads the configuration file, if one is named, and checks everything.
    ///
    /// # Errors
    /// Every mistake of the flags, the environment and the file.
    pub fn resolve(args: ServeArgs) -> Result<Self, SettingsError> {
        let mut reader = Reader::default();
        if let Some(path) = &args.config {
            reader.read_file(path);
        }
        let defaults = Self::default();
        let limits = defaults.picture;
        let ms = reader.number("max_delay_ms", args.max_delay_ms, 0..=10_000, 0_u64);
        let stop = reader.number("stop_timeout_s", args.stop_timeout_s, 0..=3600, 30_u64);
        let settings = Self {
            models: reader.text("models", args.models).map_or(defaults.models, PathBuf::from),
            listen: reader.parsed("listen", args.listen, "an address and port such as 127.0.0.1:8000", defaults.listen),
            max_batch: reader.number("max_batch", args.max_batch, 1..=1024, defaults.max_batch),
            max_delay: Duration::from_millis(ms),
            queue_limit: reader.number("queue_limit", args.queue_limit, 1..=1_000_000, defaults.queue_limit),
            decode_threads: reader.number("decode_threads", args.decode_threads, 1..=1024, defaults.decode_threads),
            intra_threads: reader.number("intra_threads", args.intra_threads, 1..=1024, defaults.intra_threads),
            picture: Limits {
                max_bytes: reader.number("max_picture_bytes", args.max_picture_bytes, 1..=1 << 30, limits.max_bytes),
                max_side: reader.number("max_picture_side", args.max_picture_side, 1..=65_535, limits.max_side),
                max_pixels: reader.number(
                    "max_picture_pixels",
                    args.max_picture_pixels,
                    1..=1 << 30,
                    limits.max_pixels,
                ),
            },
            max_body: reader.number("max_body_bytes", args.max_body_bytes, 1..=1 << 32, defaults.max_body),
            max_pictures: reader.number("max_pictures", args.max_pictures, 1..=10_000, defaults.max_pictures),
            stop_timeout: Duration::from_secs(stop),
            log_format: reader.log_format(args.log_format),
            onnxruntime: reader.text("onnxruntime", args.onnxruntime).map(PathBuf::from),
        };
        reader.finish(settings)
    }
}

/// Takes settings one by one and remembers what is wrong with them.
#[derive(Default)]
struct Reader {
    /// What the file says and nobody has asked for yet.
    file: toml::Table,
    /// Where the file lies, for messages.
    path: String,
    mistakes: Vec<String>,
}

impl Reader {
    fn read_file(&mut self, path: &Path) {
        self.path = path.display().to_string();
        let parsed = std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| text.parse::<toml::Table>().map_err(|error| error.to_string()));
        match parsed {
            Ok(table) => self.file = table,
            Err(reason) => self.mistakes.push(format!("{}: {}", self.path, reason.trim_end())),
        }
    }

    /// A setting as text: what was typed, else what the file says.
    fn text(&mut self, name: &str, typed: Option<String>) -> Option<String> {
        let in_file = self.file.remove(name);
        typed.or_else(|| match in_file? {
            toml::Value::String(text) => Some(text),
            toml::Value::Integer(number) => Some(number.to_string()),
            other => {
                self.mistakes.push(format!("{name}: a {} in {}", other.type_str(), self.path));
                None
            }
        })
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, typed: Option<String>, wanted: &str, default: T) -> T {
        let Some(text) = self.text(name, typed) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.mistakes.push(format!("{name}: {text:?} is not {wanted}"));
            default
        })
    }

    fn number<T>(&mut self, name: &str, typed: Option<String>, range: RangeInclusive<T>, default: T) -> T
    where
        T: std::str::FromStr + PartialOrd + Display + Copy,
    {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.parsed(name, typed, &wanted, default);
        // A default is not held against the range: a machine may have any number of cores.
        if !range.contains(&number) && number != default {
            self.mistakes.push(format!("{name}: {number} is not {wanted}"));
        }
        number
    }

    fn log_format(&mut self, typed: Option<String>) -> LogFormat {
        let Some(text) = self.text("log_format", typed) else { return LogFormat::default() };
        LogFormat::from_str(&text, false).unwrap_or_else(|_| {
            self.mistakes.push(format!("log_format: {text:?} is not pretty or json"));
            LogFormat::default()
        })
    }

    fn finish(mut self, settings: Settings) -> Result<Settings, SettingsError> {
        let path = &self.path;
        self.mistakes.extend(self.file.keys().map(|name| format!("{name}: no such setting, in {path}")));
        if self.mistakes.is_empty() { Ok(settings) } else { Err(SettingsError(self.mistakes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str, args: ServeArgs) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tagpoint.toml");
        std::fs::write(&path, text).unwrap();
        Settings::resolve(ServeArgs { config: Some(path), ..args })
    }

    #[test]
    fn without_flags_or_file_the_defaults_hold() {
        assert_eq!(Settings::resolve(ServeArgs::default()).unwrap(), Settings::default());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let args = ServeArgs { max_batch: Some("4".to_owned()), ..ServeArgs::default() };
        let settings =
            with_file("max_batch = 8\nqueue_limit = 5\nmax_delay_ms = 3\nlog_format = \"json\"", args).unwrap();
        assert_eq!((settings.max_batch, settings.queue_limit), (4, 5));
        assert_eq!((settings.max_delay, settings.log_format), (Duration::from_millis(3), LogFormat::Json));
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let args = ServeArgs {
            listen: Some("nowhere".to_owned()),
            max_batch: Some("0".to_owned()),
            log_format: Some("xml".to_owned()),
            ..ServeArgs::default()
        };
        let error = with_file("queue_limit = 1.5\nmax_pixels = 3\nmax_pictures = -1", args).unwrap_err();
        for named in ["listen", "max_batch", "log_format", "queue_limit", "max_pixels", "max_pictures"] {
            assert!(error.0.iter().any(|mistake| mistake.starts_with(&format!("{named}:"))), "{named} in {error}");
        }
        assert_eq!(error.0.len(), 6, "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_mistake() {
        let args = ServeArgs { config: Some("no/such/file.toml".into()), ..ServeArgs::default() };
        assert!(Settings::resolve(args).unwrap_err().to_string().contains("no/such/file.toml"));
        assert!(with_file("max_batch = ", ServeArgs::default()).is_err());
    }
}
