//! What was seen of the pictures is kept, and a changed file is noticed.

use std::path::Path;
use std::time::Duration;

use tagpoint::train::dataset::{DataOptions, Dataset, TaskKind, findings::Kind, inspect, read};

use crate::helpers::folder;

const TABLE: &str = "fname,labels,is_valid\n0.png,a,0\n1.png,,0\n2.png,a,1\n3.png,,1\n";

/// A bitmap, which is as long whatever it shows, under the name of a PNG: files are known by their contents.
fn bitmap(path: &Path, shade: u8) {
    image::RgbImage::from_pixel(40, 30, image::Rgb([shade; 3]))
        .save_with_format(path, image::ImageFormat::Bmp)
        .unwrap();
}

/// The data set's pictures and the cache beside them, with the files older than what is taken for settled.
fn settled() -> (tempfile::TempDir, DataOptions) {
    let (folder, csv) = folder(TABLE, 4);
    bitmap(&folder.path().join("images/1.png"), 90);
    std::thread::sleep(Duration::from_millis(3_100));
    let cache = Some(folder.path().join("cache"));
    (folder, DataOptions { cache, ..DataOptions::new(csv, TaskKind::MultiLabel) })
}

fn same(one: &Dataset, other: &Dataset) -> bool {
    (&one.train, &one.valid, one.fingerprint) == (&other.train, &other.valid, other.fingerprint)
}

#[test]
fn a_second_reading_decodes_nothing_and_gives_the_same() {
    let (folder, options) = settled();
    let first = read(&options).unwrap();
    // A line of the cache that no picture could give shows that the picture is not looked at.
    let kept = std::fs::read_dir(folder.path().join("cache/pictures")).unwrap().next().unwrap().unwrap().path();
    assert!(same(&read(&options).unwrap(), &first));
    let text = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(text.lines().count(), 5);
    std::fs::write(&kept, text.replace(",40,30,", ",400,300,")).unwrap();
    assert_eq!(read(&options).unwrap().train[0].size.width, 400);
    let unkept = DataOptions { cache: None, ..options };
    assert!(same(&read(&unkept).unwrap(), &first));
}

#[test]
fn a_changed_file_of_the_same_length_and_time_is_looked_at_again() {
    let (folder, options) = settled();
    let first = read(&options).unwrap();
    let path = folder.path().join("images/1.png");
    let before = std::fs::metadata(&path).unwrap();
    bitmap(&path, 200);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before.len());
    let second = read(&options).unwrap();
    assert_ne!(second.fingerprint, first.fingerprint);
    // It has changed this moment, so it is not trusted; it changes again within the tick of any clock.
    bitmap(&path, 201);
    assert_ne!(read(&options).unwrap().fingerprint, second.fingerprint);
    std::fs::write(&path, b"").unwrap();
    assert!(read(&options).is_err());
}

#[test]
fn a_cache_that_cannot_be_written_is_a_note() {
    let (folder, csv) = folder(TABLE, 4);
    std::thread::sleep(Duration::from_millis(3_100));
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, b"").unwrap();
    let options = DataOptions { cache: Some(blocked), ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let inspection = inspect(&options).unwrap();
    assert!(inspection.dataset.is_ok());
    assert!(crate::helpers::the(&inspection.findings, Kind::NotKept).message.contains("looks at all pictures again"));
}

#[test]
fn two_tables_over_the_same_pictures_do_not_disturb_each_other() {
    let (folder, options) = settled();
    let other = folder.path().join("other.csv");
    std::fs::write(&other, "fname,labels,is_valid\n0.png,a,0\n1.png,,0\n2.png,a,1\n").unwrap();
    read(&options).unwrap();
    read(&DataOptions { data: other, ..options.clone() }).unwrap();
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    let kept = std::fs::read_dir(folder.path().join("cache/pictures")).unwrap();
    let mut counts: Vec<usize> = kept.map(|entry| lines(&entry.unwrap().path())).collect();
    counts.sort_unstable();
    assert_eq!(counts, [4, 5]);
}
