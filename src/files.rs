//! Files that are written whole or not at all, and where files are kept.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Writes a file by way of a temporary one beside it, synced, then renamed; makes its folder where it is missing.
///
/// # Errors
/// Whatever the file system says; then nothing stands at `path` that was not there before.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    temporary(path, bytes)?.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// As [`write_whole`], but a file that is there already stays as it is, and that is an error.
///
/// # Errors
/// As [`write_whole`].
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    temporary(path, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// The bytes in a temporary file in the folder of `path`.
fn temporary(path: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    make_readable(file.as_file())?;
    Ok(file)
}

/// The folder that this user's programs keep what can be fetched again in: `$XDG_CACHE_HOME`, or `~/.cache`.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(std::env::home_dir()?.join(".cache")))
}

/// Temporary files are private to their owner; a result is not.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
