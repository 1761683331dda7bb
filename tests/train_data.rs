//! Data sets from tables: what is read, and what is refused with its place.
#![cfg(feature = "train")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests state what they expect by panicking"
)]

use std::path::{Path, PathBuf};

use tagpoint::train::dataset::points::ibug68;
use tagpoint::train::dataset::{
    CsvOptions, Dataset, DatasetError, PointFrame, RowProblem, Target, Targets, TaskKind, read_csv,
};

/// A folder with a table and some 40 × 30 pictures, 0.png and up, in `images`.
fn folder(table: &str, pictures: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    for i in 0..pictures {
        let picture = image::RgbImage::from_pixel(40, 30, image::Rgb([i as u8; 3]));
        picture.save(folder.path().join(format!("images/{i}.png"))).unwrap();
    }
    let csv = folder.path().join("train.csv");
    std::fs::write(&csv, table).unwrap();
    (folder, csv)
}

fn read(table: &str, pictures: usize, task: TaskKind) -> Result<Dataset, DatasetError> {
    let (_folder, csv) = folder(table, pictures);
    read_csv(&CsvOptions::new(csv, task))
}

fn problems(result: Result<Dataset, DatasetError>) -> Vec<RowProblem> {
    match result {
        Err(DatasetError::Rows(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

fn labels(dataset: &Dataset) -> &[String] {
    match &dataset.targets {
        Targets::MultiLabel { labels } => labels,
        other => panic!("{other:?}"),
    }
}

#[test]
fn labels_in_one_cell_become_a_sorted_vocabulary() {
    let table = "fname,labels,is_valid\n0.png,dog cat,False\n1.png,,0\n2.png,dog,True\n3.png,bird bird,1\n";
    let dataset = read(table, 4, TaskKind::MultiLabel).unwrap();
    assert_eq!(labels(&dataset), ["bird", "cat", "dog"]);
    let targets: Vec<&Target> = dataset.train.iter().chain(&dataset.valid).map(|example| &example.target).collect();
    let expected = [vec![1, 2], vec![], vec![2], vec![0]].map(Target::Labels);
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
    assert_eq!(dataset.train[1].file, Path::new("1.png"));
    assert_eq!((dataset.train[1].row, dataset.valid[1].row), (3, 5));
    assert_eq!((dataset.train[0].size.width, dataset.train[0].size.height), (40, 30));
    assert!(dataset.path(&dataset.train[0]).is_absolute() || dataset.root.ends_with("images"));
    assert_eq!(dataset.targets.counts(&dataset.train), [0, 1, 1]);
    let notices = dataset.notices();
    assert_eq!(notices.len(), 2);
    assert!(notices[0].contains("\"bird\" is in the validation split only"));
    assert!(notices[1].contains("\"cat\" is in the training split only"));
}

#[test]
fn a_column_for_each_label_is_the_same_data_set() {
    let cells = read("fname,labels,is_valid\n0.png,b a,False\n1.png,b,True\n", 2, TaskKind::MultiLabel).unwrap();
    let columns = read("fname,b,a,is_valid\n0.png,1,1,false\n1.png,1,0,true\n", 2, TaskKind::MultiLabel).unwrap();
    assert_eq!(cells.targets, columns.targets);
    assert_eq!((cells.train, cells.valid), (columns.train, columns.valid));
    assert_eq!(cells.fingerprint, columns.fingerprint);
}

#[test]
fn points_may_be_missing_or_outside_the_picture() {
    let table = "fname,x0,y0,nose_x,nose_y,is_valid\n0.png,1.5,2,,,False\n1.png,-3,50,4,5,True\n";
    let dataset = read(table, 2, TaskKind::Points).unwrap();
    assert_eq!(dataset.targets, Targets::Points { names: vec!["0".into(), "nose".into()] });
    assert_eq!(dataset.train[0].target, Target::Points(vec![Some((1.5, 2.0)), None]));
    assert_eq!(dataset.valid[0].target, Target::Points(vec![Some((-3.0, 50.0)), Some((4.0, 5.0))]));
    assert_eq!(dataset.targets.counts(&dataset.train), [1, 0]);
}

#[test]
fn everything_that_is_wrong_with_points_is_said_at_once() {
    let table = "fname,x0,y0,is_valid\n0.png,one,2,False\n\n1.png,1,,perhaps\nnone.png,nan,3,True\n2.png,1,2\n\
                 broken.png,1,2,True\n0.png,1,2,True\n";
    let (folder, csv) = folder(table, 3);
    std::fs::write(folder.path().join("images/broken.png"), b"\x89PNG\r\n\x1a\nnothing more").unwrap();
    let found = problems(read_csv(&CsvOptions::new(csv, TaskKind::Points)));
    let expected = [
        ("0.png", 2, "x0", "\"one\" is not a number"),
        ("1.png", 4, "y0", "empty, but its x is not"),
        ("1.png", 4, "is_valid", "\"perhaps\" is neither True nor False"),
        ("none.png", 5, "x0", "\"nan\" is not a number"),
        ("none.png", 5, "fname", "there is no such file"),
        ("2.png", 6, "y0", "3 fields where the header has 4"),
        ("broken.png", 7, "fname", "cannot be decoded"),
        ("0.png", 8, "fname", "the same file is in the training split, row 2"),
    ];
    for (file, row, column, text) in expected {
        let matches = |p: &&RowProblem| (p.file.as_str(), p.row, p.column.as_str()) == (file, row, column);
        let problem =
            found.iter().find(matches).unwrap_or_else(|| panic!("{file} {row} {column} is not in {found:#?}"));
        assert!(problem.problem.contains(text), "{problem}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn everything_that_is_wrong_with_label_columns_is_said_at_once() {
    let found = problems(read("fname,a,b,is_valid\n0.png,2,,True\n,1,1,False\n", 1, TaskKind::MultiLabel));
    let places: Vec<(u64, &str, &str)> = found.iter().map(|p| (p.row, p.column.as_str(), p.problem.as_str())).collect();
    let expected =
        [(2, "a", "\"2\" is neither 0 nor 1"), (2, "b", "\"\" is neither 0 nor 1"), (3, "fname", "no file name")];
    assert_eq!(places, expected);
}

#[test]
fn an_empty_split_is_refused_and_a_drawn_one_needs_a_fraction() {
    let error = read("fname,labels,is_valid\n0.png,a,False\n", 1, TaskKind::MultiLabel).unwrap_err();
    assert!(error.to_string().contains("validation split is empty"));
    let error = read("fname,labels,is_valid\n0.png,a,True\n", 1, TaskKind::MultiLabel).unwrap_err();
    assert!(error.to_string().contains("training split is empty"));
    let table = "fname,labels\n0.png,a\n1.png,b\n2.png,a\n3.png,\n";
    assert!(read(table, 4, TaskKind::MultiLabel).unwrap_err().to_string().contains("--valid-pct"));
    let (_folder, csv) = folder(table, 4);
    let options = CsvOptions { valid_pct: Some(0.25), seed: 7, ..CsvOptions::new(csv, TaskKind::MultiLabel) };
    let dataset = read_csv(&options).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (3, 1));
    assert_eq!(dataset.fingerprint, read_csv(&options).unwrap().fingerprint);
}

#[test]
fn the_fingerprint_follows_targets_split_and_contents() {
    let of = |table: &str| read(table, 3, TaskKind::MultiLabel).unwrap().fingerprint;
    let first = of("fname,labels,is_valid\n0.png,a,False\n1.png,b,True\n");
    assert_eq!(first, of("fname,labels,is_valid\n0.png, a ,0\n1.png,b,1\n"));
    assert_ne!(first, of("fname,labels,is_valid\n0.png,a b,False\n1.png,b,True\n"));
    assert_ne!(first, of("fname,labels,is_valid\n0.png,a,True\n1.png,b,False\n"));
    let (folder, csv) = folder("fname,labels,is_valid\n0.png,a,False\n1.png,b,True\n", 3);
    std::fs::copy(folder.path().join("images/2.png"), folder.path().join("images/1.png")).unwrap();
    assert_ne!(first, read_csv(&CsvOptions::new(csv, TaskKind::MultiLabel)).unwrap().fingerprint);
}

#[test]
fn a_table_with_a_byte_order_mark_and_windows_lines_is_read() {
    let table = "\u{feff}fname,labels,is_valid\r\n0.png,a;b c,False\r\n\r\n1.png,a,True\r\n";
    let (_folder, csv) = folder(table, 2);
    let options = CsvOptions { label_delimiter: ';', ..CsvOptions::new(csv, TaskKind::MultiLabel) };
    let dataset = read_csv(&options).unwrap();
    assert_eq!(labels(&dataset), ["a", "b c"]);
    assert_eq!(dataset.valid[0].row, 4);
}

/// A stored 40 × 30 picture with a bright block at a point; EXIF turns it, and the point must stay on the block.
#[test]
fn stored_points_follow_every_exif_orientation() {
    for orientation in 1..=8_u8 {
        let (folder, csv) = folder("fname,x0,y0,is_valid\nbright.png,30.5,5.5,False\n0.png,1,2,True\n", 1);
        let mut picture = image::RgbImage::new(40, 30);
        picture.put_pixel(30, 5, image::Rgb([255; 3]));
        let path = folder.path().join("images/bright.png");
        picture.save(&path).unwrap();
        let bytes = with_orientation(&std::fs::read(&path).unwrap(), orientation);
        std::fs::write(&path, &bytes).unwrap();
        let options = CsvOptions { point_frame: PointFrame::Stored, ..CsvOptions::new(csv, TaskKind::Points) };
        let example = read_csv(&options).unwrap().train.remove(0);
        let Target::Points(points) = example.target else { panic!("no points") };
        let (x, y) = points[0].unwrap();
        let limits = tagpoint::picture::Limits::default();
        let decoded = tagpoint::picture::Picture::decode(&bytes, &limits, tagpoint::picture::Detail::Full).unwrap();
        assert_eq!(decoded.size, example.size);
        assert_eq!(decoded.size.width == 30, orientation >= 5);
        let at = 3 * (y as usize * decoded.size.width as usize + x as usize);
        assert_eq!(decoded.rgb[at], 255, "orientation {orientation}: ({x}, {y})");
    }
}

/// A PNG with an eXIf chunk in front of its pixels.
fn with_orientation(png: &[u8], orientation: u8) -> Vec<u8> {
    let mut chunk = b"eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    chunk.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let checksum = chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    let header_end = 33;
    let length = chunk.len() as u32 - 4;
    [&png[..header_end], &length.to_be_bytes(), &chunk, &(!checksum).to_be_bytes(), &png[header_end..]].concat()
}

fn shared(name: &str) -> Option<PathBuf> {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name).join("train.csv");
    if !csv.is_file() {
        println!("skipped: {} is not there", csv.display());
        return None;
    }
    Some(csv)
}

#[test]
fn the_real_data_sets_are_read_whole() {
    let Some(csv) = shared("scenes") else { return };
    let scenes = read_csv(&CsvOptions::new(csv, TaskKind::MultiLabel)).unwrap();
    assert_eq!(labels(&scenes), ["bus", "car", "cat", "person", "train"]);
    assert_eq!((scenes.train.len(), scenes.valid.len()), (1225, 293));
    assert!(scenes.valid.iter().any(|example| example.target == Target::Labels(Vec::new())));
    let Some(csv) = shared("posters") else { return };
    let posters = read_csv(&CsvOptions { label_delimiter: ';', ..CsvOptions::new(csv, TaskKind::MultiLabel) }).unwrap();
    assert_eq!((posters.train.len(), posters.valid.len()), (2947, 719));
}

/// Mirrored and with its pairs swapped, the mean face is nearly itself; without the swap it is not.
#[test]
fn flip_pairs_fit_real_faces() {
    let Some(csv) = shared("faces") else { return };
    let faces = read_csv(&CsvOptions::new(csv, TaskKind::Points)).unwrap();
    assert_eq!((faces.train.len(), faces.valid.len(), faces.targets.len()), (3090, 498, 68));
    let mean = mean_shape(&faces);
    let mut mirrored: Vec<(f64, f64)> = mean.iter().map(|&(x, y)| (-x, y)).collect();
    let distance = |shape: &[(f64, f64)]| {
        let sum: f64 = mean.iter().zip(shape).map(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1)).sum();
        sum / mean.len() as f64
    };
    assert!(distance(&mirrored) > 0.5, "{}", distance(&mirrored));
    ibug68::flip_pairs().into_iter().for_each(|(a, b)| mirrored.swap(a, b));
    assert!(distance(&mirrored) < 0.03, "{}", distance(&mirrored));
}

/// The faces' mean, each centred and scaled to a jaw two units wide.
fn mean_shape(faces: &Dataset) -> Vec<(f64, f64)> {
    let mut mean = vec![(0.0, 0.0); 68];
    for example in &faces.train {
        let Target::Points(points) = &example.target else { panic!("labels") };
        let points: Vec<(f64, f64)> = points.iter().map(|point| point.unwrap()).collect();
        let centre = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / 68.0, sum.1 + p.1 / 68.0));
        let scale = 2.0 / (points[16].0 - points[0].0).hypot(points[16].1 - points[0].1);
        for (mean, point) in mean.iter_mut().zip(&points) {
            mean.0 += (point.0 - centre.0) * scale / faces.train.len() as f64;
            mean.1 += (point.1 - centre.1) * scale / faces.train.len() as f64;
        }
    }
    mean
}
