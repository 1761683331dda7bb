//! Small real data sets, and what is asked of them.

use std::path::{Path, PathBuf};

use tagpoint::train::dataset::{
    DataOptions, Dataset, DatasetError, Findings, RowProblem, Target, Targets, TaskKind,
    findings::{Finding, Kind},
    inspect, read,
};

/// Writes a 40 × 30 picture of one colour; different numbers give different bytes.
pub(crate) fn picture(path: &Path, number: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let colour = image::Rgb([(number % 256) as u8, (number / 256) as u8, 7]);
    image::RgbImage::from_pixel(40, 30, colour).save(path).unwrap();
}

/// A folder with these pictures.
pub(crate) fn pictures(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().enumerate().for_each(|(i, file)| picture(&folder.path().join(file), i));
    folder
}

/// Writes a file and the folders that it lies in.
pub(crate) fn write(folder: &Path, file: &str, text: &str) -> PathBuf {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// A folder with a table and some pictures, 0.png and up, in `images`.
pub(crate) fn folder(table: &str, count: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    (0..count).for_each(|i| picture(&folder.path().join(format!("images/{i}.png")), i));
    let csv = write(folder.path(), "train.csv", table);
    (folder, csv)
}

pub(crate) fn read_table(table: &str, count: usize, task: TaskKind) -> Result<Dataset, DatasetError> {
    let (_folder, csv) = folder(table, count);
    read(&DataOptions::new(csv, task))
}

/// What is found in a table that need not be fit for training.
pub(crate) fn findings_of(table: &str, count: usize, task: TaskKind) -> Findings {
    let (_folder, csv) = folder(table, count);
    inspect(&DataOptions::new(csv, task)).unwrap().findings
}

pub(crate) fn problems(result: Result<Dataset, DatasetError>) -> Vec<RowProblem> {
    match result {
        Err(DatasetError::Rows(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn labels(dataset: &Dataset) -> &[String] {
    match &dataset.targets {
        Targets::MultiLabel { labels } | Targets::SingleLabel { labels } => labels,
        other => panic!("{other:?}"),
    }
}

/// Each example's file and labels by name, the training split first.
pub(crate) fn labelled(dataset: &Dataset) -> Vec<(String, Vec<&str>)> {
    let names = labels(dataset);
    let of = |example: &tagpoint::train::dataset::Example| match &example.target {
        Target::Labels(places) => {
            let names = places.iter().map(|&place| names[place].as_str()).collect();
            (example.file.display().to_string(), names)
        }
        other => panic!("{other:?}"),
    };
    dataset.train.iter().chain(&dataset.valid).map(of).collect()
}

/// The one finding of a kind.
pub(crate) fn the(findings: &Findings, kind: Kind) -> &Finding {
    let found: Vec<&Finding> = findings.of_kind(kind).collect();
    assert_eq!(found.len(), 1, "{kind:?} in {:#?}", findings.list);
    found[0]
}

/// The files of a finding.
pub(crate) fn files(finding: &Finding) -> Vec<&str> {
    finding.files.iter().map(|involved| involved.file.as_str()).collect()
}

/// The table of a real data set, where it is there.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name).join("train.csv");
    if !csv.is_file() {
        println!("skipped: {} is not there", csv.display());
        return None;
    }
    Some(csv)
}
