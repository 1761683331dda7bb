//! Tables: what is read, and what is refused with its place.

use std::path::Path;

use tagpoint::train::dataset::{DataOptions, Origin, PointFrame, RowProblem, Target, Targets, TaskKind, read};

use crate::helpers::{folder, labels, problems, read_table};

#[test]
fn labels_in_one_cell_become_a_sorted_vocabulary() {
    let table = "fname,labels,is_valid\n0.png,dog cat,False\n1.png,,0\n2.png,dog,True\n3.png,bird bird,1\n";
    let dataset = read_table(table, 4, TaskKind::MultiLabel).unwrap();
    assert_eq!(labels(&dataset), ["bird", "cat", "dog"]);
    let targets: Vec<&Target> = dataset.train.iter().chain(&dataset.valid).map(|example| &example.target).collect();
    let expected = [vec![1, 2], vec![], vec![2], vec![0]].map(Target::Labels);
    assert_eq!(targets, expected.iter().collect::<Vec<_>>());
    assert_eq!(dataset.train[1].file, Path::new("1.png"));
    assert_eq!((dataset.train[1].row, dataset.valid[1].row), (3, 5));
    assert_eq!((dataset.train[0].size.width, dataset.train[0].size.height), (40, 30));
    assert!(dataset.path(&dataset.train[0]).is_absolute() || dataset.root.ends_with("images"));
    assert_eq!(dataset.targets.counts(&dataset.train), [0, 1, 1]);
}

#[test]
fn a_column_for_each_label_is_the_same_data_set() {
    let cells =
        read_table("fname,labels,is_valid\n0.png,b a,False\n1.png,b,False\n2.png,b,True\n", 3, TaskKind::MultiLabel)
            .unwrap();
    let columns =
        read_table("fname,b,a,is_valid\n0.png,1,1,false\n1.png,1,0,false\n2.png,1,0,true\n", 3, TaskKind::MultiLabel)
            .unwrap();
    assert_eq!(cells.targets, columns.targets);
    assert_eq!((cells.train, cells.valid), (columns.train, columns.valid));
    assert_eq!(cells.fingerprint, columns.fingerprint);
}

#[test]
fn one_label_in_a_cell_is_taken_whole_and_values_may_be_empty() {
    let dataset = read_table("fname,label,is_valid\n0.png,St. Bernard,0\n1.png,pug,1\n", 2, TaskKind::SingleLabel);
    let dataset = dataset.unwrap();
    assert_eq!(dataset.targets, Targets::SingleLabel { labels: vec!["St. Bernard".into(), "pug".into()] });
    let table = "fname,age,weight,is_valid\n0.png,31,,0\n1.png,-2.5e1,80,0\n2.png,7,70,1\n";
    let dataset = read_table(table, 3, TaskKind::Values).unwrap();
    assert_eq!(dataset.train[0].target, Target::Values(vec![Some(31.0), None]));
    assert_eq!(dataset.train[1].target, Target::Values(vec![Some(-25.0), Some(80.0)]));
    let found = problems(read_table("fname,label,is_valid\n0.png,,0\n1.png,pug,1\n", 2, TaskKind::SingleLabel));
    assert_eq!(found[0].to_string(), "row 2, picture \"0.png\": no label: every picture has exactly one");
}

#[test]
fn a_table_in_another_encoding_is_refused_with_the_line() {
    let (_folder, csv) = folder("", 1);
    std::fs::write(&csv, b"fname,labels,is_valid\n0.png,caf\xe9,0\n").unwrap();
    let error = read(&DataOptions::new(csv, TaskKind::MultiLabel)).unwrap_err().to_string();
    assert!(error.contains("not UTF-8 from line 2"), "{error}");
}

#[test]
fn points_may_be_missing_or_outside_the_picture() {
    let table = "fname,x0,y0,nose_x,nose_y,is_valid\n0.png,1.5,2,,,False\n1.png,-3,50,4,5,True\n";
    let dataset = read_table(table, 2, TaskKind::Points).unwrap();
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
    let found = problems(read(&DataOptions::new(csv, TaskKind::Points)));
    let expected = [
        ("0.png", 2, "x0", "\"one\" is not a number"),
        ("1.png", 4, "y0", "empty, but its x is not"),
        ("1.png", 4, "is_valid", "\"perhaps\" is neither True nor False"),
        ("none.png", 5, "x0", "\"nan\" is not a number"),
        ("none.png", 5, "", "there is no such file"),
        ("2.png", 6, "y0", "3 fields where the header has 4"),
        ("broken.png", 7, "", "cannot be decoded"),
        ("0.png", 8, "", "the same file is in the training split, row 2"),
    ];
    for (file, row, column, text) in expected {
        let column = (!column.is_empty()).then(|| column.to_owned());
        let matches = |p: &&RowProblem| p.file == file && p.origin == Origin::Line(row) && p.column == column;
        let problem =
            found.iter().find(matches).unwrap_or_else(|| panic!("{file} {row} {column:?} is not in {found:#?}"));
        assert!(problem.problem.contains(text), "{problem}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn everything_that_is_wrong_with_label_columns_is_said_at_once() {
    let found = problems(read_table("fname,a,b,is_valid\n0.png,2,,True\n,1,1,False\n", 1, TaskKind::MultiLabel));
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = [
        "row 2, column a, picture \"0.png\": \"2\" is neither 0 nor 1",
        "row 2, column b, picture \"0.png\": \"\" is neither 0 nor 1",
        "row 3, column fname, picture \"\": no file name",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn the_fingerprint_follows_targets_split_and_contents() {
    let of = |table: &str| read_table(table, 4, TaskKind::MultiLabel).unwrap().fingerprint;
    let first = of("fname,labels,is_valid\n0.png,a,False\n1.png,b,True\n3.png,,False\n");
    assert_eq!(first, of("fname,labels,is_valid\n0.png, a ,0\n1.png,b,1\n3.png,,0\n"));
    assert_ne!(first, of("fname,labels,is_valid\n0.png,a b,False\n1.png,b,True\n3.png,,False\n"));
    assert_ne!(first, of("fname,labels,is_valid\n0.png,a,True\n1.png,b,False\n3.png,,False\n"));
    let (folder, csv) = folder("fname,labels,is_valid\n0.png,a,False\n1.png,b,True\n3.png,,False\n", 4);
    std::fs::copy(folder.path().join("images/2.png"), folder.path().join("images/1.png")).unwrap();
    assert_ne!(first, read(&DataOptions::new(csv, TaskKind::MultiLabel)).unwrap().fingerprint);
}

#[test]
fn a_table_with_a_byte_order_mark_and_windows_lines_is_read() {
    let table = "\u{feff}fname,labels,is_valid\r\n0.png,a;b c,False\r\n\r\n1.png,a,False\r\n2.png,a,True\r\n";
    let (_folder, csv) = folder(table, 3);
    let options = DataOptions { label_delimiter: ';', ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!(labels(&dataset), ["a", "b c"]);
    assert_eq!((dataset.train[1].row, dataset.valid[0].row), (4, 5));
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
        let bytes = with_orientation(&std::fs::read(&path).unwrap(), &exif(orientation));
        std::fs::write(&path, &bytes).unwrap();
        let options = DataOptions { point_frame: PointFrame::Stored, ..DataOptions::new(csv, TaskKind::Points) };
        let example = read(&options).unwrap().train.remove(0);
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

/// Some programs write EXIF into PNG and WebP as it stands in a JPEG, after its name.
#[test]
fn stored_points_follow_exif_that_begins_as_in_a_jpeg() {
    let block = [&b"Exif\0\0"[..], &exif(3)].concat();
    for (name, format) in [("turned.png", image::ImageFormat::Png), ("turned.webp", image::ImageFormat::WebP)] {
        let table = format!("fname,x0,y0,is_valid\n{name},30.5,5.5,False\n0.png,1,2,True\n");
        let (folder, csv) = folder(&table, 1);
        let mut encoded = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(40, 30).write_to(&mut encoded, format).unwrap();
        let stored = encoded.into_inner();
        let is_png = format == image::ImageFormat::Png;
        let turned = if is_png { with_orientation(&stored, &block) } else { webp_with_exif(&stored, &block) };
        std::fs::write(folder.path().join("images").join(name), turned).unwrap();
        let options = DataOptions { point_frame: PointFrame::Stored, ..DataOptions::new(csv, TaskKind::Points) };
        assert_eq!(read(&options).unwrap().train[0].target, Target::Points(vec![Some((9.5, 24.5))]), "{name}");
    }
}

/// An EXIF block with an orientation and nothing else.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

/// A lossless WebP of 40 × 30 pixels, extended by an EXIF chunk behind its pixels.
fn webp_with_exif(webp: &[u8], block: &[u8]) -> Vec<u8> {
    // The flag for EXIF, three bytes of nothing, then width and height less one.
    let extended = [0x08, 0, 0, 0, 39, 0, 0, 29, 0, 0];
    let chunk = |kind: &[u8], content: &[u8]| [kind, &(content.len() as u32).to_le_bytes(), content].concat();
    let pixels = &webp[12..];
    let body = [&b"WEBP"[..], &chunk(b"VP8X", &extended), pixels, &chunk(b"EXIF", block)].concat();
    chunk(b"RIFF", &body)
}

/// A PNG with an eXIf chunk in front of its pixels.
fn with_orientation(png: &[u8], block: &[u8]) -> Vec<u8> {
    let chunk = [b"eXIf", block].concat();
    let checksum = chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    let header_end = 33;
    let length = chunk.len() as u32 - 4;
    [&png[..header_end], &length.to_be_bytes(), &chunk, &(!checksum).to_be_bytes(), &png[header_end..]].concat()
}
