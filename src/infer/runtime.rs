//! The ONNX Runtime library and its process-wide environment.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::environment::Environment;

use super::InferError;

/// The environment of this process, once loaded: ONNX Runtime allows one, and it stays until the process ends.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// The loaded ONNX Runtime library. Cheap to clone; there is one in each process.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
}

impl Runtime {
    /// Loads the library: from `library`, else from where `ORT_DYLIB_PATH` says, else from
    /// beside the program, or from `lib/` or `.deps/onnxruntime/` of a folder above it.
    ///
    /// A second call gives what the first one loaded, whatever it names.
    ///
    /// # Errors
    /// No library there, or one that does not load.
    pub fn load(library: Option<&Path>) -> Result<Self, InferError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(environment) = loaded.as_ref() {
            return Ok(Self { environment: environment.clone() });
        }
        let path = library.map_or_else(default_library, Path::to_owned);
        let failed = |reason: String| InferError::Library { path: path.display().to_string(), reason };
        let builder = ort::init_from(&path).map_err(|error| failed(error.to_string()))?;
        let environment =
            builder.with_name("tagpoint").with_telemetry(false).build().map_err(|error| failed(error.to_string()))?;
        *loaded = Some(environment.clone());
        Ok(Self { environment })
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// `ORT_DYLIB_PATH`; else `libonnxruntime.so` beside the program or in `lib/` or `.deps/onnxruntime/` of a folder
/// above it; else whatever the system's loader finds under that name.
fn default_library() -> PathBuf {
    const FILE_NAME: &str = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        return path.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let candidates = program
        .ancestors()
        .skip(1)
        .flat_map(|folder| ["", "lib", ".deps/onnxruntime"].map(|below| folder.join(below).join(FILE_NAME)));
    candidates.into_iter().find(|path| path.is_file()).unwrap_or_else(|| FILE_NAME.into())
}
