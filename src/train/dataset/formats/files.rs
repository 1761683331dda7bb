//! Files of a folder: their names, which are pictures, and which split they lie in.

use std::path::Path;

use crate::picture::ENDINGS;

/// Folders within folders; a link that leads back would have no end.
const DEEPEST: usize = 32;

/// Top folders that hold the training pictures.
const TRAIN: [&str; 2] = ["train", "training"];
/// Top folders that hold the validation pictures.
const VALID: [&str; 3] = ["valid", "val", "validation"];

/// Every file below a folder by its path from there, with `/`, in sorted order; hidden ones are left out.
pub(super) fn below(folder: &Path) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    walk(folder, "", 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<String>) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("{}: more than {DEEPEST} folders deep; does a link lead back?", folder.display()));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(format!("{}: its name is not UTF-8: rename it", entry.path().display()));
        };
        if name.starts_with('.') || name == "__MACOSX" {
            continue;
        }
        let path = format!("{prefix}{name}");
        // The entry's own type is there without another call to the system; only a link has to be followed.
        let kind = entry.file_type().map_err(failed)?;
        let is_folder = if kind.is_symlink() { entry.path().is_dir() } else { kind.is_dir() };
        if is_folder {
            walk(&entry.path(), &format!("{path}/"), depth + 1, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// A file name's extension in lower case, without the dot; empty where there is none.
pub(super) fn extension(file: &str) -> String {
    Path::new(file).extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Whether a file's name is that of a picture.
pub(super) fn is_picture(file: &str) -> bool {
    ENDINGS.contains(&extension(file).as_str())
}

/// A file's name without its extension.
pub(super) fn without_extension(file: &str) -> &str {
    let name_start = file.rfind('/').map_or(0, |slash| slash + 1);
    file[name_start..].rfind('.').map_or(file, |dot| &file[..name_start + dot])
}

/// A file of a folder that may be split into `train/` and `valid/` (or `val/`, `validation/`).
#[derive(Debug, PartialEq)]
pub(super) struct SplitFile<'a> {
    /// From the folder.
    pub(super) file: &'a str,
    /// From the split's folder.
    pub(super) within: &'a str,
    /// `None` where the folder is not split.
    pub(super) is_valid: Option<bool>,
}

/// The files with their splits, and how many lie in neither split's folder and are left out.
///
/// # Errors
/// A training folder without a validation folder, which would make "train" a label.
pub(super) fn split<'a>(files: &[&'a str]) -> Result<(Vec<SplitFile<'a>>, usize), String> {
    let of = |file: &'a str, names: &[&str]| {
        let (top, rest) = file.split_once('/')?;
        names.contains(&top.to_lowercase().as_str()).then_some(rest)
    };
    let has = |names: &[&str]| files.iter().any(|file| of(file, names).is_some());
    match (has(&TRAIN), has(&VALID)) {
        (false, _) => Ok((files.iter().map(|&file| SplitFile { file, within: file, is_valid: None }).collect(), 0)),
        (true, false) => Err("there is a folder train, but none of valid, val or validation: add it, or give the \
                              folder train itself as --data and draw a share of it with --valid-pct 0.2"
            .to_owned()),
        (true, true) => {
            let split: Vec<SplitFile<'_>> = files
                .iter()
                .filter_map(|&file| {
                    let train = of(file, &TRAIN).map(|within| SplitFile { file, within, is_valid: Some(false) });
                    train.or_else(|| of(file, &VALID).map(|within| SplitFile { file, within, is_valid: Some(true) }))
                })
                .collect();
            let left_out = files.len() - split.len();
            Ok((split, left_out))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_lower_case_and_stems_keep_their_folder() {
        assert!(is_picture("a/B.JPG") && is_picture("c.heic") && !is_picture("Thumbs.db") && !is_picture("jpg"));
        assert_eq!(without_extension("a.b/c.d.png"), "a.b/c.d");
        assert_eq!(without_extension("a.b/c"), "a.b/c");
    }

    #[test]
    fn train_and_valid_are_splits_only_together() {
        let (files, left_out) = split(&["test/x/1.png", "train/a/1.png", "val/b/2.png"]).unwrap();
        assert_eq!(left_out, 1);
        assert_eq!(files[0], SplitFile { file: "train/a/1.png", within: "a/1.png", is_valid: Some(false) });
        assert_eq!(files[1], SplitFile { file: "val/b/2.png", within: "b/2.png", is_valid: Some(true) });
        let (files, _) = split(&["cat/1.png", "val/2.png"]).unwrap();
        assert!(files.iter().all(|file| file.is_valid.is_none()));
        assert!(split(&["train/a/1.png", "test/a/1.png"]).unwrap_err().contains("--valid-pct"));
    }
}
