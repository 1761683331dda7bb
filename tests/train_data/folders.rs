//! Labels from folders and from file names.

use tagpoint::train::dataset::{DataOptions, DatasetError, Format, Targets, TaskKind, read};

use crate::helpers::{labelled, labels, pictures, problems, write};

fn options(folder: &tempfile::TempDir) -> DataOptions {
    DataOptions::new(folder.path(), TaskKind::SingleLabel)
}

#[test]
fn train_and_valid_folders_of_folders_are_labels_and_splits() {
    let folder = pictures(&["train/cat/1.png", "train/dog/deep/2.png", "valid/cat/3.png", "test/cat/4.png"]);
    write(folder.path(), "train/cat/Thumbs.db", "nothing");
    write(folder.path(), "train/.DS_Store", "nothing");
    let dataset = read(&options(&folder)).unwrap();
    assert_eq!(dataset.targets, Targets::SingleLabel { labels: vec!["cat".into(), "dog".into()] });
    let expected = [("train/cat/1.png", "cat"), ("train/dog/deep/2.png", "dog"), ("valid/cat/3.png", "cat")];
    assert_eq!(labelled(&dataset), expected.map(|(file, label)| (file.to_owned(), vec![label])));
    assert_eq!((dataset.train.len(), dataset.valid.len()), (2, 1));
}

#[test]
fn one_folder_for_each_label_needs_a_drawn_split() {
    let files: Vec<String> = (0..20).map(|i| format!("{}/{i}.png", ["cat", "dog"][i % 2])).collect();
    let folder = pictures(&files.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(read(&options(&folder)), Err(DatasetError::Split(text)) if text.contains("--valid-pct")));
    let dataset = read(&DataOptions { valid_pct: Some(0.2), ..options(&folder) }).unwrap();
    assert_eq!((labels(&dataset), dataset.valid.len()), (&["cat".to_owned(), "dog".to_owned()][..], 4));
    assert_eq!(dataset.targets.counts(&dataset.valid), [2, 2]);
}

#[test]
fn a_picture_in_no_labels_folder_and_one_that_cannot_be_decoded_are_named() {
    let folder = pictures(&["cat/1.png", "dog/2.png", "stray.png"]);
    write(folder.path(), "cat/phone.heic", "\0\0\0\x18ftypheic\0\0\0\0");
    let found = problems(read(&DataOptions { valid_pct: Some(0.5), ..options(&folder) }));
    let files: Vec<&str> = found.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(files, ["stray.png", "cat/phone.heic"]);
    assert!(found[0].problem.contains("no folder"), "{found:?}");
    assert!(found[1].problem.contains("HEIC"), "{found:?}");
}

#[test]
fn labels_come_from_file_names_by_a_pattern() {
    let folder = pictures(&["great_pyrenees_173.png", "pug_12.png", "more/pug_13.png"]);
    let options = DataOptions {
        label_pattern: Some(r"^(.+)_\d+\.png$".into()),
        valid_list: Some(write(folder.path(), "valid.txt", "pug_13.png\ngreat_pyrenees_173.png\n")),
        ..options(&folder)
    };
    let dataset = read(&options).unwrap();
    let expected = [("pug_12.png", "pug"), ("great_pyrenees_173.png", "great_pyrenees"), ("more/pug_13.png", "pug")];
    assert_eq!(labelled(&dataset), expected.map(|(file, label)| (file.to_owned(), vec![label])));
    crate::helpers::picture(&folder.path().join("unnumbered.png"), 9);
    let found = problems(read(&options));
    assert_eq!((found.len(), found[0].file.as_str()), (1, "unnumbered.png"));
}

#[test]
fn several_labels_may_stand_in_a_file_name() {
    let folder = pictures(&["1.red-car.png", "2.blue-car.png"]);
    let options = DataOptions {
        label_pattern: Some(r"^\d+\.(?<label>.*)\.png$".into()),
        label_delimiter: '-',
        valid_list: Some(write(folder.path(), "valid.txt", "2.blue-car.png")),
        ..DataOptions::new(folder.path(), TaskKind::MultiLabel)
    };
    let dataset = read(&options).unwrap();
    assert_eq!(labelled(&dataset)[0].1, ["car", "red"]);
    assert_eq!(labels(&dataset), ["blue", "car", "red"]);
}

#[test]
fn what_is_not_recognised_is_said_with_what_to_do() {
    let error = |folder: &tempfile::TempDir, task| {
        read(&DataOptions { valid_pct: Some(0.2), ..DataOptions::new(folder.path(), task) }).unwrap_err().to_string()
    };
    let folder = pictures(&["images/1.png"]);
    write(folder.path(), "labels.csv", "fname,labels\n");
    assert!(error(&folder, TaskKind::MultiLabel).contains("labels.csv"));
    let folder = pictures(&["1.png"]);
    assert!(error(&folder, TaskKind::MultiLabel).contains("--label-pattern"));
    let folder = pictures(&[]);
    assert!(error(&folder, TaskKind::MultiLabel).contains("no picture"));
    let folder = pictures(&["train/cat/1.png", "test/cat/2.png"]);
    assert!(error(&folder, TaskKind::SingleLabel).contains("none of valid"));
    let folder = pictures(&["cat/1.png"]);
    assert!(error(&folder, TaskKind::Points).contains("--task single-label"));
    let points = DataOptions { point_shift: Some(0.5), ..DataOptions::new(folder.path(), TaskKind::SingleLabel) };
    assert!(read(&points).unwrap_err().to_string().contains("labels have no coordinates"));
    let named = DataOptions {
        format: Some(Format::Folders),
        label_pattern: Some("^(.)".into()),
        ..DataOptions::new(folder.path(), TaskKind::SingleLabel)
    };
    assert!(read(&named).unwrap_err().to_string().contains("leave --label-pattern away"));
    let text = write(folder.path(), "notes.txt", "");
    let options = |path: &std::path::Path| DataOptions::new(path, TaskKind::MultiLabel);
    assert!(read(&options(&text)).unwrap_err().to_string().contains("--format"));
    assert!(read(&options(&folder.path().join("none.csv"))).unwrap_err().to_string().contains("none.csv"));
}
