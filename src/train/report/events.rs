//! A run's numbers as TensorBoard reads them: a file of framed protobuf messages that grows with the run.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::SystemTime,
};

use prost::Message as _;

use self::messages::{Event, SessionLog, Summary, Value, What};
use crate::train::observer::{EpochReport, Observer, StepReport};

/// Writes a run's events: loss, learning rates and momentum of each step, the metrics of each epoch.
///
/// An observer cannot fail: after the first error nothing more is written, and [`Events::finish`] returns it.
pub struct Events {
    /// None after an error.
    file: Option<BufWriter<File>>,
    error: Option<io::Error>,
    /// Steps that were made, those before this file too.
    last: u64,
    started: bool,
}

impl Events {
    /// Makes `events.out.tfevents.<seconds>.<host>` in a folder, for a run that has made so many steps before.
    ///
    /// A run that goes on from a checkpoint has a second file; steps that both have are shown from it alone.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(folder: &Path, steps: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let seconds = now() as u64;
        // TensorBoard takes the name's order for the files' order; a second file in one second is a later one.
        let make = |number: u64| {
            let name = format!("events.out.tfevents.{:010}.{}.{number}", seconds, host());
            File::options().write(true).create_new(true).open(folder.join(name))
        };
        let mut number = 0;
        let file = loop {
            match make(number) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => break made?,
            }
        };
        let mut events = Self { file: Some(BufWriter::new(file)), error: None, last: steps, started: false };
        events.write(&Event { what: Some(What::FileVersion("brain.Event:2".to_owned())), ..Event::now(0) });
        events.flush();
        Ok(events)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first error of all writes.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.error.take().map_or(Ok(()), Err)
    }

    fn scalars(&mut self, step: u64, scalars: impl IntoIterator<Item = (String, f64)>) {
        let value = |(tag, value): (String, f64)| Value { tag, simple_value: Some(value as f32) };
        let summary = Summary { value: scalars.into_iter().map(value).collect() };
        self.write(&Event { what: Some(What::Summary(summary)), ..Event::now(step) });
    }

    fn write(&mut self, event: &Event) {
        let record = record(&event.encode_to_vec());
        self.attempt(|file| file.write_all(&record));
    }

    fn flush(&mut self) {
        self.attempt(BufWriter::flush);
    }

    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write(file) {
            self.error = Some(error);
            self.file = None;
        }
    }
}

impl Observer for Events {
    fn step(&mut self, report: &StepReport) {
        if !self.started {
            // What an earlier file says of this step and later ones was made again.
            self.started = true;
            let log = SessionLog { status: SessionLog::START };
            self.write(&Event { what: Some(What::SessionLog(log)), ..Event::now(self.last + 1) });
        }
        self.last += 1;
        let rates = report.lrs.iter().enumerate().map(|(group, lr)| (format!("lr/group_{group}"), *lr));
        let scalars = [("loss/train".to_owned(), report.loss), ("momentum".to_owned(), report.momentum)];
        self.scalars(self.last, scalars.into_iter().chain(rates));
    }

    fn epoch(&mut self, report: &EpochReport) {
        let metrics = report.metrics.iter().map(|(name, value)| (format!("valid/{name}"), *value));
        let scalars = [
            ("loss/valid".to_owned(), report.valid_loss),
            ("epoch".to_owned(), report.epoch as f64),
            ("speed/pictures_per_second".to_owned(), report.pictures_per_second),
        ];
        self.scalars(self.last, scalars.into_iter().chain(metrics));
        self.flush();
    }
}

/// A record of the TFRecord format: length, its checksum, the bytes, their checksum, all little-endian.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let (length_sum, sum) = (masked(&length).to_le_bytes(), masked(bytes).to_le_bytes());
    [&length[..], &length_sum, bytes, &sum].concat()
}

/// The checksum as the format stores it, so that a checksum over data that hold checksums stays sound.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, RFC 3720 §12.1), a table of bytes at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut sum = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                sum = if sum & 1 == 1 { (sum >> 1) ^ REVERSED_POLYNOMIAL } else { sum >> 1 };
                bit += 1;
            }
            table[byte] = sum;
            byte += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum: u32, byte| (sum >> 8) ^ TABLE[(sum as u8 ^ byte) as usize])
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The machine's name, as far as it is plain.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The part of TensorFlow's event.proto and summary.proto that is written here, field for field.
mod messages {
    use prost::{Message, Oneof};

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Event {
        #[prost(double, tag = "1")]
        pub(super) wall_time: f64,
        #[prost(int64, tag = "2")]
        pub(super) step: i64,
        #[prost(oneof = "What", tags = "3, 5, 7")]
        pub(super) what: Option<What>,
    }

    #[derive(Clone, PartialEq, Oneof)]
    pub(super) enum What {
        #[prost(string, tag = "3")]
        FileVersion(String),
        #[prost(message, tag = "5")]
        Summary(Summary),
        #[prost(message, tag = "7")]
        SessionLog(SessionLog),
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Summary {
        #[prost(message, repeated, tag = "1")]
        pub(super) value: Vec<Value>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Value {
        #[prost(string, tag = "1")]
        pub(super) tag: String,
        /// Optional, for a 0 that is meant has to be written.
        #[prost(float, optional, tag = "2")]
        pub(super) simple_value: Option<f32>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct SessionLog {
        #[prost(int32, tag = "1")]
        pub(super) status: i32,
    }

    impl SessionLog {
        pub(super) const START: i32 = 1;
    }

    impl Event {
        pub(super) fn now(step: u64) -> Self {
            Self { wall_time: super::now(), step: i64::try_from(step).unwrap_or(i64::MAX), what: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// RFC 3720, B.4.
    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    /// tests/fixtures/training/events.tfevents is TensorBoard's own writer's; scripts/fixtures/events.py makes it.
    #[test]
    fn events_are_tensorboards_own_byte_for_byte() {
        let fixture = include_bytes!("../../../tests/fixtures/training/events.tfevents");
        let event = |step, what| Event { wall_time: 1_700_000_000.5, step, what: Some(what) };
        let value = |tag: &str, value| Value { tag: tag.to_owned(), simple_value: Some(value) };
        let summary = Summary { value: vec![value("loss/train", 0.25), value("valid/map", 0.0)] };
        let ours: Vec<u8> = [
            event(0, What::FileVersion("brain.Event:2".to_owned())),
            event(1, What::SessionLog(SessionLog { status: SessionLog::START })),
            event(300, What::Summary(summary)),
        ]
        .iter()
        .flat_map(|event| record(&event.encode_to_vec()))
        .collect();
        assert_eq!(ours, fixture);
    }

    /// Every event of a file.
    fn read(path: &Path) -> Vec<Event> {
        let bytes = std::fs::read(path).unwrap();
        let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let bytes = &rest[12..12 + length];
            assert_eq!(rest[..16 + length], record(bytes));
            events.push(Event::decode(bytes).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn an_epoch_is_on_the_disk_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 10).unwrap();
        let step =
            StepReport { epoch: 2, step: 1, steps: 2, lrs: vec![0.1, 0.2], momentum: 0.9, loss: 1.5, pictures: 8 };
        events.step(&step);
        events.step(&StepReport { step: 2, ..step });
        events.epoch(&EpochReport {
            epoch: 3,
            epochs: 5,
            trains: "all".to_owned(),
            train_loss: 1.5,
            valid_loss: 1.25,
            metrics: vec![("map".to_owned(), 0.0)],
            time: Duration::from_secs(1),
            waiting: 0.0,
            pictures_per_second: 16.0,
        });
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."));
        let written = read(&path);
        assert_eq!(written.iter().map(|event| event.step).collect::<Vec<_>>(), [0, 11, 11, 12, 12]);
        let Some(What::Summary(last)) = &written[4].what else { panic!("{written:?}") };
        let map = last.value.iter().find(|value| value.tag == "valid/map").unwrap();
        assert_eq!(map.simple_value, Some(0.0));
        events.finish().unwrap();
    }

    #[test]
    fn two_runs_in_one_folder_have_a_file_each() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            Events::create(folder.path(), 0).unwrap().finish().unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
