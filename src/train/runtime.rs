//! Settings of the C library and of OpenMP that libtorch reads from the environment when the process starts.
//!
//! Measured on MobileNetV2 (128 px, batch 64, 2 cores; examples/training_step.rs):
//! - glibc gives large blocks back to the kernel when they are freed and takes them anew in the next step: 380 000 page
//!   faults a step, and 40 % of its time. Keeping them costs a third more memory.
//! - OpenMP's threads spin while they wait for each other. Where another thread wants the core, such as the one that
//!   decodes the next batch, a step takes five times as long.

use std::{env, io};

/// What the process should have started with; what the user has set stays.
const SETTINGS: [(&str, &str); 2] = [
    ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184"),
    ("OMP_WAIT_POLICY", "passive"),
];

/// Starts the program anew in this process, with the same arguments and these settings, unless they are there.
///
/// Call it first in `main`: returning means that the settings are there, or do not apply to this platform.
///
/// # Errors
/// The program's own file cannot be found or started.
pub fn restart_with_settings() -> io::Result<()> {
    let missing: Vec<_> = SETTINGS.into_iter().filter(|(name, _)| env::var_os(name).is_none()).collect();
    if missing.is_empty() || !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Ok(());
    }
    replace_process(&missing)
}

#[cfg(unix)]
fn replace_process(settings: &[(&str, &str)]) -> io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut command = std::process::Command::new(env::current_exe()?);
    Err(command.arg0(name).args(arguments).envs(settings.iter().copied()).exec())
}

#[cfg(not(unix))]
fn replace_process(_: &[(&str, &str)]) -> io::Result<()> {
    Ok(())
}
