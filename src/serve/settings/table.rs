//! Every setting, once: its name in the file, on the command line and in the environment, its help and its value.

use super::Settings;

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

    pub(super) fn variable(&self) -> String {
        format!("TAGPOINT_{}", self.name.to_uppercase())
    }
}

const fn entry(name: &'static str, value: &'static str, help: &'static str, show: fn(&Settings) -> String) -> Entry {
    Entry { name, value, help, show }
}

#[rustfmt::skip]
pub(super) const TABLE: &[Entry] = &[
    entry("models", "DIR", "Folder of NAME/VERSION/model.onnx",
        |s| s.models.display().to_string()),
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
    entry("queue_limit", "N", "Most pictures that wait for one version of a model",
        |s| s.queue_limit.to_string()),
    entry("request_timeout_s", "S", "Seconds that a request may take unless it says otherwise; none may ask for more",
        |s| s.request_timeout.as_secs_f64().to_string()),
    entry("instances", "N", "Sessions of each version, each with threads of its own",
        |s| s.instances.to_string()),
    entry("decode_threads", "N", "Threads that decode pictures",
        |s| s.decode_threads.to_string()),
    entry("intra_threads", "N", "Threads that work on one batch together",
        |s| s.intra_threads.to_string()),
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
    entry("stop_timeout_s", "S", "Seconds that accepted requests may take once the server is told to stop",
        |s| s.stop_timeout.as_secs().to_string()),
    entry("log_format", "FORMAT", "How the log is written: pretty or json",
        |s| s.log_format.to_string()),
    entry("onnxruntime", "FILE", "The ONNX Runtime library; where none is named, ORT_DYLIB_PATH, else beside the program",
        |s| s.onnxruntime.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
];
