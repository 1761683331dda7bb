//! Which of a version's files runs: the float32 one, or the INT8 one beside it.
//!
//! INT8 has to answer as it did where it was made, and with `precision = auto` it has to be faster here. Where it fails,
//! float32 runs, and says why. What was measured is kept on disk, so the next start does not measure again.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{super::settings::Settings, served::Refusal};
use crate::{
    files::write_whole,
    infer::{
        GoldenError, Precision, PrecisionChoice, Provider, Runtime, Session, SessionOptions, SharedModel, Tolerance,
        check_golden, race,
    },
    model::{Digest, INT8_FILE, ModelFile, Task, VersionFolder},
    onnx::trust::TrustLimits,
};

/// A file that runs here, with its sessions.
pub(super) struct Variant {
    pub(super) file: ModelFile,
    pub(super) precision: Precision,
    /// Why this precision.
    pub(super) reason: String,
    pub(super) tolerance: Tolerance,
    /// As many as the settings say, all checked.
    pub(super) sessions: Vec<Session>,
}

/// A file that answers as it should, with its first session.
struct Candidate {
    file: ModelFile,
    session: Session,
    /// The weights of all its sessions, where they can share them.
    shared: Option<SharedModel>,
    /// Why it does not compute in TensorFloat-32, where it could and does not.
    full_float32: Option<String>,
}

/// What a version is opened with.
pub(super) struct Opener<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) settings: &'a Settings,
}

impl Opener<'_> {
    /// Opens a version in the precision that the settings ask for, or that is best here.
    pub(super) fn open(&self, folder: &VersionFolder) -> Result<Variant, Refusal> {
        let float = self.read(&folder.file)?;
        let path = folder.file.with_file_name(INT8_FILE);
        let choice = self.settings.precision;
        if choice == PrecisionChoice::Only(Precision::Float32) {
            return self.float(float, "the settings say so".to_owned());
        }
        if !path.is_file() {
            return self.float(float, "it has no INT8 file".to_owned());
        }
        let int8 = self.read(&path).map_err(|refusal| refusal.to_string());
        let int8 = int8.and_then(|file| match fits(&float.manifest.task, &file.manifest.task) {
            true if float.manifest.input == file.manifest.input => Ok(file),
            _ => Err("it answers something else than the float32 file".to_owned()),
        });
        match int8.and_then(|file| self.check(file, Precision::Int8).map_err(|refusal| refusal.to_string())) {
            Err(reason) => {
                let label = format!("{}/{}", folder.name.as_str(), folder.version);
                tracing::warn!(model = label, reason, "the INT8 file is not used");
                self.float(float, format!("the INT8 file does not run: {reason}"))
            }
            Ok(int8) if choice == PrecisionChoice::Auto => self.faster(float, int8),
            Ok(int8) => self.complete(int8, Precision::Int8, "the settings say so".to_owned()),
        }
    }

    fn float(&self, file: ModelFile, reason: String) -> Result<Variant, Refusal> {
        self.complete(self.check(file, Precision::Float32)?, Precision::Float32, reason)
    }

    /// The faster of two files on this host.
    fn faster(&self, float: ModelFile, mut int8: Candidate) -> Result<Variant, Refusal> {
        let record = Record::of(self.settings, &float, &int8.file);
        let kept = record.read();
        if let Some(measured) = kept.filter(|measured| measured.faster() == Precision::Int8) {
            return self.complete(int8, Precision::Int8, measured.to_string());
        }
        let mut float = match self.check(float, Precision::Float32) {
            Ok(float) => float,
            Err(refusal) => {
                return self.complete(int8, Precision::Int8, format!("the float32 file does not run: {refusal}"));
            }
        };
        let measured = match kept {
            Some(measured) => measured,
            None => {
                let (fp32, other) = race(&mut float.session, &mut int8.session)?;
                let measured = Measured { fp32_ms: fp32.as_secs_f64() * 1e3, int8_ms: other.as_secs_f64() * 1e3 };
                record.write(&measured);
                measured
            }
        };
        let precision = measured.faster();
        let faster = if precision == Precision::Int8 { int8 } else { float };
        self.complete(faster, precision, measured.to_string())
    }

    fn read(&self, path: &Path) -> Result<ModelFile, Refusal> {
        let limits = TrustLimits {
            max_bytes: self.settings.storage.max_bytes,
            batch: self.settings.max_batch as u64,
            ..TrustLimits::default()
        };
        Ok(ModelFile::read_within(path, &limits)?)
    }

    /// A session that gives the golden outputs: in TensorFloat-32 where the device has it, and in full float32 where the
    /// model does not bear that.
    fn check(&self, file: ModelFile, precision: Precision) -> Result<Candidate, Refusal> {
        if let Some((shared, session)) = self.share(&file, precision)? {
            return Ok(Candidate { session, file, shared: Some(shared), full_float32: None });
        }
        match self.session(&file, precision, true, None) {
            Err(Refusal::Golden(error @ GoldenError::Drift { .. }))
                if precision == Precision::Float32 && self.settings.provider.has_tensor_float32() =>
            {
                let session = self.session(&file, precision, false, None)?;
                let why = format!("TensorFloat-32 is off: with it, {error}");
                Ok(Candidate { session, file, shared: None, full_float32: Some(why) })
            }
            session => Ok(Candidate { session: session?, file, shared: None, full_float32: None }),
        }
    }

    /// The first of several sessions that hold their weights together. In INT8 they cannot, nor on a graphics card, and
    /// a model may have kernels that do not let them.
    fn share(&self, file: &ModelFile, precision: Precision) -> Result<Option<(SharedModel, Session)>, Refusal> {
        if self.settings.instances == 1 || precision == Precision::Int8 || self.settings.provider != Provider::Cpu {
            return Ok(None);
        }
        let shared = SharedModel::optimise(self.runtime, file, &self.options(true)).map_err(Refusal::from);
        match shared.and_then(|shared| Ok((self.session(file, precision, true, Some(&shared))?, shared))) {
            Ok((session, shared)) => Ok(Some((shared, session))),
            Err(Refusal::Session(error)) => {
                tracing::warn!(file = %file.digest, %error, "each session holds the weights by itself");
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Opens the other sessions.
    fn complete(&self, candidate: Candidate, precision: Precision, reason: String) -> Result<Variant, Refusal> {
        let Candidate { file, session, shared, full_float32 } = candidate;
        let mut sessions = vec![session];
        while sessions.len() < self.settings.instances {
            sessions.push(self.session(&file, precision, full_float32.is_none(), shared.as_ref())?);
        }
        let reason = match full_float32 {
            Some(why) => format!("{reason}; {why}"),
            None => reason,
        };
        Ok(Variant { file, precision, reason, tolerance: self.tolerance(precision), sessions })
    }

    fn session(
        &self,
        file: &ModelFile,
        precision: Precision,
        tensor_float32: bool,
        shared: Option<&SharedModel>,
    ) -> Result<Session, Refusal> {
        let options = self.options(tensor_float32);
        let mut session = match shared {
            Some(shared) => Session::open_shared(self.runtime, file, &options, shared)?,
            None => Session::open(self.runtime, file, &options)?,
        };
        check_golden(&mut session, &file.manifest, self.tolerance(precision))?;
        Ok(session)
    }

    fn options(&self, tensor_float32: bool) -> SessionOptions {
        SessionOptions {
            provider: self.settings.provider,
            intra_threads: self.settings.intra_threads,
            spinning: self.settings.spinning,
            max_batch: self.settings.max_batch,
            tensor_float32,
            ..SessionOptions::default()
        }
    }

    fn tolerance(&self, precision: Precision) -> Tolerance {
        match precision {
            Precision::Float32 => self.settings.provider.tolerance(),
            Precision::Int8 => Tolerance::INT8,
        }
    }
}

/// Whether both answer the same: thresholds and counts may differ.
fn fits(one: &Task, other: &Task) -> bool {
    let names = |task: &Task| task.labels().iter().map(|label| label.name.clone()).collect::<Vec<_>>();
    match (one, other) {
        (Task::Points(one), Task::Points(other)) => one == other,
        (Task::Values(one), Task::Values(other)) => one == other,
        _ => one.kind() == other.kind() && names(one) == names(other),
    }
}

/// Milliseconds of one picture in each precision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    fp32_ms: f64,
    int8_ms: f64,
}

impl Measured {
    fn faster(&self) -> Precision {
        if self.int8_ms < self.fp32_ms { Precision::Int8 } else { Precision::Float32 }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fp32_ms, int8_ms } = self;
        write!(f, "a picture takes {int8_ms:.1} ms in int8 and {fp32_ms:.1} ms in fp32 here")
    }
}

/// Where a measurement is kept: a file for each pair of model files, processor and number of threads.
struct Record(PathBuf);

impl Record {
    fn of(settings: &Settings, float: &ModelFile, int8: &ModelFile) -> Self {
        let host = (processor(), settings.provider.to_string(), settings.intra_threads, settings.spinning);
        let key = serde_json::json!([float.digest.to_string(), int8.digest.to_string(), host]);
        let name = format!("{}.json", Digest::of(key.to_string().as_bytes()));
        Self(settings.storage.cache.join("precision").join(name))
    }

    /// What cannot be read is measured again.
    fn read(&self) -> Option<Measured> {
        serde_json::from_slice(&std::fs::read(&self.0).ok()?).ok()
    }

    fn write(&self, measured: &Measured) {
        let text = serde_json::json!(measured).to_string();
        if let Err(error) = write_whole(&self.0, text.as_bytes()) {
            tracing::warn!(path = %self.0.display(), %error, "what was measured cannot be kept for the next start");
        }
    }
}

/// The processor's name and how many of them there are.
fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(std::env::consts::ARCH);
    format!("{} x {cores}", name.trim_start_matches([' ', '\t', ':']))
}
