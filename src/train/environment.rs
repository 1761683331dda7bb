//! The process environment that native libraries read before `main` begins.

use std::{env, process::Command};

/// Variables and what they are set to, where the user has not set them.
const WANTED: [(&str, &str); 4] = [
    // libgomp's threads spin at the end of each parallel loop by default, and starve the threads that prepare pictures.
    ("GOMP_SPINCOUNT", "2000"),
    // glibc gives large tensors back to the kernel after each step and has them zeroed again in the next: measured here
    // at two fifths of the processor time of MobileNetV2 at 128 px.
    ("MALLOC_MMAP_THRESHOLD_", "4294967296"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
    // ONNX Runtime sends telemetry otherwise.
    ("ORT_DISABLE_TELEMETRY", "1"),
];

/// Starts the program again, in its own place and with the same arguments, where a variable was missing.
///
/// # Errors
/// The system cannot start the program; going on without is possible, but slower.
pub fn settle() -> std::io::Result<()> {
    let missing: Vec<_> = WANTED.into_iter().filter(|(name, _)| env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).envs(missing);
    replace_process(command)
}

#[cfg(unix)]
fn replace_process(mut command: Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace_process(mut command: Command) -> std::io::Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1))
}
