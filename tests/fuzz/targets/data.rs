//! Annotations of data sets: tables, COCO, Pascal VOC.
//!
//! The first byte says what the data set is for (`0` several labels, `1` one, `2` points, `3` values); the rest is the
//! file. Pictures `a.png`, `b.png` and `c.png` lie beside it, and `broken.png`, which is none.

use std::{
    fs,
    path::Path,
    sync::{LazyLock, Mutex, PoisonError},
};

use tagpoint::train::dataset::{DataOptions, TaskKind, inspect};
use tempfile::TempDir;

static TABLE: Folder = LazyLock::new(folder);
static COCO: Folder = LazyLock::new(folder);
static VOC: Folder = LazyLock::new(folder);

/// Held while a file lies in it and is read.
type Folder = LazyLock<Mutex<TempDir>>;

fn folder() -> Mutex<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("Annotations")).unwrap();
    fs::create_dir(folder.path().join("JPEGImages")).unwrap();
    for (name, shade) in [("a", 10), ("b", 100), ("c", 200)] {
        let picture = image::RgbImage::from_pixel(4, 3, image::Rgb([shade, 0, 255 - shade]));
        picture.save(folder.path().join(format!("{name}.png"))).unwrap();
        picture.save(folder.path().join(format!("JPEGImages/{name}.png"))).unwrap();
    }
    fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    Mutex::new(folder)
}

fn options(folder: &Path, file: &str, task: u8) -> DataOptions {
    let task = match task {
        b'0' => TaskKind::MultiLabel,
        b'1' => TaskKind::SingleLabel,
        b'2' => TaskKind::Points,
        _ => TaskKind::Values,
    };
    // For what does not say itself which pictures validate.
    DataOptions { valid_pct: Some(0.5), ..DataOptions::new(folder.join(file), task) }
}

/// Reads a file in its place, as a data set that says its split and as one that does not.
fn read(folder: &Folder, bytes: &[u8], file: &str, data: &str) {
    let Some((&task, text)) = bytes.split_first() else { return };
    let folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(folder.path().join(file), text).unwrap();
    let drawn = options(folder.path(), data, task);
    for options in [DataOptions { valid_pct: None, ..drawn.clone() }, drawn] {
        match inspect(&options) {
            Ok(inspection) => {
                if let Ok(dataset) = inspection.dataset {
                    assert!(!dataset.train.is_empty() && !dataset.valid.is_empty());
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

pub fn csv(bytes: &[u8]) {
    read(&TABLE, bytes, "table.csv", "table.csv");
}

pub fn coco(bytes: &[u8]) {
    read(&COCO, bytes, "coco.json", "coco.json");
}

pub fn voc(bytes: &[u8]) {
    // A second picture, so that a split can be drawn.
    const OTHER: &str = "<annotation><filename>b.png</filename><object><name>cat</name></object></annotation>";
    let folder = VOC.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(folder.path().join("Annotations/b.xml"), OTHER).unwrap();
    drop(folder);
    read(&VOC, bytes, "Annotations/a.xml", ".");
}
