//! Programs that tests run beside the server: others' clients and generators.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What scripts/test-environment installs.
pub fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps").join(path)
}

/// Runs a program in a folder, where it has to succeed; what it said.
pub async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let shown = format!("{command:?}; scripts/test-environment installs what tests need");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect(&shown);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}: {said}");
    said
}
