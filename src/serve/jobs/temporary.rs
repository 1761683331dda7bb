//! Files without a name: archives as they come, and tables as they are made.

use std::{fs::File, io, path::Path};

/// A file that is gone once it is closed, in the folder that `TMPDIR` names; `/tmp` where it names none.
///
/// # Errors
/// A folder that cannot be written: which one, and how to name another.
pub(in crate::serve) fn temporary_file() -> io::Result<File> {
    temporary_file_in(&std::env::temp_dir())
}

fn temporary_file_in(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder).map_err(|error| {
        let text = format!("no file can be made in {} (TMPDIR names another folder): {error}", folder.display());
        io::Error::new(error.kind(), text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_no_file_is_named_with_the_variable_that_changes_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(temporary_file_in(folder.path()).is_ok());
        let gone = folder.path().join("gone");
        let said = temporary_file_in(&gone).unwrap_err().to_string();
        assert!(said.contains(&gone.display().to_string()) && said.contains("TMPDIR"), "{said}");
    }
}
