//! Every setting, once: its name in the file, on the command line and in the environment, its help and its value.

use std::{path::PathBuf, sync::LazyLock};

use super::{Settings, edge};
use crate::{infer::Provider, serve::fetch::FetchRules};

/// One setting.
pub(super) struct Entry {
    /// As in the file; the flag has `-` for `_`, the variable is `TAGPOINT_` and the name in capitals.
    pub(super) name: &'static str,
    /// What stands for the value in help.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    /// The value as text, as it would be typed.
    pub(super) show: fn(&Settings) -> String,
}

impl Entry {
    pub(super) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether the value may hold what is shown to nobody.
    pub(super) fn may_be_secret(&self) -> bool {
        matches!(self.name, "keys" | "database")
    }

    /// Whether a part of the value is shown to nobody.
    pub(super) fn is_secret(&self, settings: &Settings) -> bool {
        self.name == "keys" || (self.name == "database" && settings.database.has_password())
    }

    pub(super) fn variable(&self) -> String {
        format!("TAGPOINT_{}", self.name.to_uppercase())
    }
}

const fn entry(name: &'static str, value: &'static str, help: &'static str, show: fn(&Settings) -> String) -> Entry {
    Entry { name, value, help, show }
}

/// The rules of fetching, or what they are where nothing is fetched.
fn rules(settings: &Settings) -> &FetchRules {
    static DEFAULT: LazyLock<FetchRules> = LazyLock::new(FetchRules::default);
    settings.fetch.as_ref().unwrap_or(&DEFAULT)
}

fn shown_path(path: Option<&PathBuf>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

#[rustfmt::skip]
pub(super) const TABLE: &[Entry] = &[
    entry("models", "DIR", "Folder of NAME/VERSION/model.onnx, or one in an object store: s3://BUCKET/PREFIX, gs://…, az://…",
        |s| s.models.display().to_string()),
    entry("model_cache", "DIR", "Folder for model files from an object store",
        |s| s.storage.cache.display().to_string()),
    entry("max_model_bytes", "BYTES", "Most bytes of one version's files",
        |s| s.storage.max_bytes.to_string()),
    entry("versions", "N", "How many of each model's newest versions are loaded; a promoted and a shadow version always are",
        |s| s.versions.to_string()),
    entry("watch_s", "S", "Seconds between looks for new and removed versions in the models folder; 0 looks at the start only",
        |s| s.watch.as_secs_f64().to_string()),
    entry("listen", "ADDR:PORT", "Address and port to listen on",
        |s| s.listen.to_string()),
    entry("max_batch", "N", "Most pictures that run through a model together",
        |s| s.max_batch.to_string()),
    entry("max_delay_ms", "MS", "Milliseconds that a picture waits for company",
        |s| s.max_delay.as_millis().to_string()),
    entry("queue_limit", "N", "Most pictures of one version that are decoded, wait or run at a time",
        |s| s.queue_limit.to_string()),
    entry("request_timeout_s", "S", "Seconds that a request may take unless it says otherwise; none may ask for more",
        |s| s.request_timeout.as_secs_f64().to_string()),
    entry("provider", "NAME", "What models run on: cpu, cuda, or cuda:DEVICE",
        |s| s.provider.to_string()),
    entry("cuda_memory_bytes", "BYTES", "Most bytes of a graphics card's memory for each size of batch of each session; 0 sets no limit",
        |s| match s.provider { Provider::Cuda { memory_limit: Some(bytes), .. } => bytes.to_string(), _ => "0".to_owned() }),
    entry("precision", "NAME", "What runs where a version has an INT8 file, too: fp32, int8, or auto: int8 where it is right and faster here",
        |s| s.precision.to_string()),
    entry("instances", "N", "Sessions of each version, each with threads of its own",
        |s| s.instances.to_string()),
    entry("decode_threads", "N", "Threads that decode pictures",
        |s| s.decode_threads.to_string()),
    entry("decode_budget_bytes", "BYTES", "Most bytes that pictures take together while they are decoded; one that needs more is decoded alone",
        |s| s.decode_budget.to_string()),
    entry("intra_threads", "N", "Threads that work on one batch together",
        |s| s.intra_threads.to_string()),
    entry("spinning", "BOOL", "Whether idle threads of a session wait for work in a loop: quicker where nothing else runs (true or false)",
        |s| s.spinning.to_string()),
    entry("max_picture_bytes", "BYTES", "Most bytes of one picture",
        |s| s.picture.max_bytes.to_string()),
    entry("max_picture_side", "PIXELS", "Most pixels along one side of a picture",
        |s| s.picture.max_side.to_string()),
    entry("max_picture_pixels", "PIXELS", "Most pixels of one picture, width times height",
        |s| s.picture.max_pixels.to_string()),
    entry("max_body_bytes", "BYTES", "Most bytes of one request's body",
        |s| s.max_body.to_string()),
    entry("max_pictures", "N", "Most pictures of one request",
        |s| s.max_pictures.to_string()),
    entry("body_budget_bytes", "BYTES", "Most bytes that the bodies of all requests take together",
        |s| s.body_budget.to_string()),
    entry("database", "DATABASE", "SQLite file, postgres://USER@HOST/DATABASE for several replicas, or none",
        |s| s.database.to_string()),
    entry("record_share", "SHARE", "Share of pictures whose answers are remembered in the database, from 0 to 1",
        |s| s.record.share.to_string()),
    entry("record_days", "DAYS", "Days that they are kept, unless somebody corrects them",
        |s| s.record.days()),
    entry("record_pictures", "PLACE", "Folder, or address in an object store (s3://…), where their pictures are kept, too",
        |s| s.record.pictures.clone().unwrap_or_default()),
    entry("job_workers", "N", "Tasks of bulk jobs that this server works on at a time; 0 leaves them to others",
        |s| s.jobs.workers.to_string()),
    entry("job_sources", "LIST", "Addresses below which bulk jobs may read pictures, with commas: s3://BUCKET/PREFIX, file:///DIR",
        |s| edge::shown(&s.jobs.sources)),
    entry("job_outputs", "LIST", "Addresses below which bulk jobs may write their results, with commas",
        |s| edge::shown(&s.jobs.outputs)),
    entry("job_files", "PLACE", "Folder, or address in an object store, for uploads of bulk jobs; where none is named, beside SQLite's file",
        |s| s.jobs.files.clone().unwrap_or_default()),
    entry("max_job_bytes", "BYTES", "Most bytes of a bulk job's upload",
        |s| s.jobs.max_bytes.to_string()),
    entry("max_job_pictures", "N", "Most pictures of a bulk job",
        |s| s.jobs.max_pictures.to_string()),
    entry("job_days", "DAYS", "Days that a bulk job is kept that has come to an end",
        |s| s.jobs.days()),
    entry("job_lease_s", "S", "Seconds after which others take over the task of a server that is not heard of",
        |s| s.jobs.lease.as_secs_f64().to_string()),
    entry("fetch", "BOOL", "Whether pictures are fetched by URL (true or false)",
        |s| s.fetch.is_some().to_string()),
    entry("fetch_schemes", "LIST", "Schemes of URLs that are fetched, with commas: https, http",
        |s| edge::shown(&rules(s).schemes)),
    entry("fetch_hosts", "LIST", "Hosts that are fetched from, with commas: example.com, or *.example.com for all below it; where none is named, every public host",
        |s| edge::shown(&rules(s).hosts)),
    entry("fetch_ports", "LIST", "Ports that are fetched from, with commas",
        |s| edge::shown(&rules(s).ports)),
    entry("fetch_networks", "LIST", "Networks that are fetched from though they are not public, with commas: 10.1.0.0/16",
        |s| edge::shown(&rules(s).networks)),
    entry("fetch_timeout_s", "S", "Seconds that one picture's fetch may take",
        |s| rules(s).timeout.as_secs_f64().to_string()),
    entry("keys_file", "FILE", "TOML file of keys that may ask; read again when it changes",
        |s| shown_path(s.access.keys_file.as_ref())),
    entry("keys", "LIST", "Keys that may ask, as NAME:SCOPES:KEY with spaces between them; better in the environment than on the command line",
        |s| s.access.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(" ")),
    entry("key_rate", "RATE", "Requests a second of each key that has no rate of its own, with its burst: 20, or 20/40",
        |s| s.access.rate.map(|rate| rate.to_string()).unwrap_or_default()),
    entry("key_grace_s", "S", "Seconds that keys of the database go on working when it cannot be asked",
        |s| s.access.grace.as_secs_f64().to_string()),
    entry("wrong_key_rate", "RATE", "Wrong keys a second of each client address, with their burst; more are told to wait: 1/10, or off",
        |s| s.access.wrong_rate.map_or_else(|| "off".to_owned(), |rate| rate.to_string())),
    entry("protect_metrics", "BOOL", "Whether /metrics needs a key, too (true or false)",
        |s| s.access.protect_metrics.to_string()),
    entry("cors_origins", "LIST", "Origins whose pages a browser lets ask, with commas, or *",
        |s| s.access.origins.to_string()),
    entry("tls_cert", "FILE", "PEM file of the server's certificate and those between it and its root; read again when it changes",
        |s| shown_path(s.connections.tls.as_ref().map(|files| &files.certificate))),
    entry("tls_key", "FILE", "PEM file of the certificate's private key",
        |s| shown_path(s.connections.tls.as_ref().map(|files| &files.key))),
    entry("header_timeout_s", "S", "Seconds for a TLS handshake, and for each request's head",
        |s| s.connections.header_timeout.as_secs_f64().to_string()),
    entry("max_connections", "N", "Most connections at a time; more wait",
        |s| s.connections.max.to_string()),
    entry("stop_timeout_s", "S", "Seconds that accepted requests may take once the server is told to stop",
        |s| s.stop_timeout.as_secs().to_string()),
    entry("log_format", "FORMAT", "How the log is written: pretty or json",
        |s| s.log_format.to_string()),
    entry("onnxruntime", "FILE", "The ONNX Runtime library; where none is named, ORT_DYLIB_PATH, else beside the program",
        |s| shown_path(s.onnxruntime.as_ref())),
    entry("otlp_endpoint", "URL", "OpenTelemetry collector that spans go to, over gRPC: http://127.0.0.1:4317",
        |s| s.otlp_endpoint.clone().unwrap_or_default()),
];
