//! Reads settings one by one, each from the first place that has it, and collects every mistake.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, path::Path, str::FromStr, time::Duration};

use super::args::{Given, ServeArgs, Source};
use crate::infer::Provider;

#[derive(Default)]
pub(super) struct Reader {
    /// What was typed or stands in the environment, and nobody has asked for yet.
    given: BTreeMap<&'static str, Given>,
    /// What the file says and nobody has asked for yet.
    file: toml::Table,
    /// Where the file lies, for messages.
    path: String,
    /// Whose value each setting has; defaults are not in it.
    pub(super) sources: BTreeMap<&'static str, Source>,
    pub(super) mistakes: Vec<String>,
}

impl Reader {
    pub(super) fn new(args: ServeArgs) -> Self {
        let mut reader = Self { given: args.given, ..Self::default() };
        if let Some(path) = &args.config {
            reader.read_file(path);
        }
        reader
    }

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

    /// A setting as text: what was typed, else what the environment says, else what the file says.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let in_file = self.file.remove(name);
        if let Some(Given { text, source }) = self.given.remove(name) {
            self.sources.insert(name, source);
            return Some(text);
        }
        let text = match in_file? {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(yes) => yes.to_string(),
            other => {
                self.mistakes.push(format!("{name}: a {} in {}", other.type_str(), self.path));
                return None;
            }
        };
        self.sources.insert(name, Source::File);
        Some(text)
    }

    /// A value of any type that text can be read as; `wanted` says in words what that is.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &'static str, wanted: &str, default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.mistakes.push(format!("{name}: {text:?} is not {wanted}"));
            default
        })
    }

    /// A value whose parser says what is wrong.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.text(name) else { return default };
        parse(&text).unwrap_or_else(|reason| {
            self.mistakes.push(format!("{name}: {reason}"));
            default
        })
    }

    /// Values with commas between them.
    pub(super) fn list<T: FromStr<Err = String>>(&mut self, name: &'static str, default: Vec<T>) -> Vec<T> {
        self.value(name, default, |text| {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(str::parse).collect()
        })
    }

    /// A whole number within a range.
    pub(super) fn number<T>(&mut self, name: &'static str, range: RangeInclusive<T>, default: T) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.parsed(name, &wanted, default);
        // A default is not held against the range: a machine may have any number of cores.
        if !range.contains(&number) && number != default {
            self.mistakes.push(format!("{name}: {number} is not {wanted}"));
        }
        number
    }

    /// Seconds, with or without a fraction.
    pub(super) fn seconds(&mut self, name: &'static str, range: RangeInclusive<f64>, default: Duration) -> Duration {
        let wanted = format!("a number of seconds from {} to {}", range.start(), range.end());
        let seconds = self.parsed(name, &wanted, default.as_secs_f64());
        if range.contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        self.mistakes.push(format!("{name}: {seconds} is not {wanted}"));
        default
    }

    /// A setting that needs another one beside it.
    pub(super) fn lacks<T>(&mut self, name: &'static str, other: &'static str) -> Option<T> {
        self.mistakes.push(format!("{name}: it needs {other} beside it"));
        None
    }

    /// What models run on, with the limit of its memory.
    pub(super) fn provider(&mut self) -> Provider {
        let limit = self.number("cuda_memory_bytes", 0..=1 << 40, 0_usize);
        match self.parsed("provider", "cpu, cuda or cuda:DEVICE", Provider::Cpu) {
            Provider::Cuda { device, .. } => Provider::Cuda { device, memory_limit: (limit > 0).then_some(limit) },
            Provider::Cpu => Provider::Cpu,
        }
    }

    /// What the file says that is no setting.
    pub(super) fn leftovers(&mut self) {
        let path = &self.path;
        self.mistakes.extend(self.file.keys().map(|name| format!("{name}: no such setting, in {path}")));
    }
}
