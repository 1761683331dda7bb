//! Pascal VOC folders.

use tagpoint::train::dataset::{DataOptions, Origin, TaskKind, findings::Kind, inspect, read};

use crate::helpers::{labelled, pictures, problems, the, write};

/// An annotation as the VOC 2007 kit has it, with these objects and whether each is difficult.
fn annotation(filename: &str, objects: &[(&str, u8)]) -> String {
    let object = |(name, difficult): &(&str, u8)| {
        format!(
            "\t<object>\n\t\t<name>{name}</name>\n\t\t<pose>Left</pose>\n\t\t<truncated>1</truncated>\n\
             \t\t<difficult>{difficult}</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>48.5</xmin>\n\t\t\t<ymin>240</ymin>\n\
             \t\t\t<xmax>195</xmax>\n\t\t\t<ymax>371</ymax>\n\t\t</bndbox>\n\
             \t\t<part>\n\t\t\t<name>head</name>\n\t\t\t<bndbox><xmin>1</xmin></bndbox>\n\t\t</part>\n\t</object>\n"
        )
    };
    format!(
        "<annotation>\n\t<folder>VOC2007</folder>\n\t<filename>{filename}</filename>\n\t<source>\n\
         \t\t<database>The VOC2007 Database</database>\n\t</source>\n\t<size>\n\t\t<width>353</width>\n\
         \t\t<height>500</height>\n\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{}</annotation>\n",
        objects.iter().map(object).collect::<String>()
    )
}

/// Four pictures, two in each split. The third is named wrongly by the tool that wrote it.
fn voc() -> tempfile::TempDir {
    let folder = pictures(&["JPEGImages/1.png", "JPEGImages/2.png", "JPEGImages/3.png", "JPEGImages/4.png"]);
    let xml = [
        ("1", annotation("1.png", &[("dog", 0), ("person", 0), ("person", 1)])),
        ("2", annotation("2.png", &[("person", 0), ("chair", 1)])),
        ("3", annotation("C:\\photos\\IMG 3.jpeg", &[("dog", 0)])),
        ("4", annotation("4.png", &[])),
    ];
    for (name, text) in xml {
        write(folder.path(), &format!("Annotations/{name}.xml"), &text);
    }
    write(folder.path(), "ImageSets/Main/train.txt", "1\n2\n");
    write(folder.path(), "ImageSets/Main/val.txt", "3\n4\n");
    write(folder.path(), "ImageSets/Main/dog_train.txt", "1  1\n2 -1\n");
    folder
}

#[test]
fn objects_are_labels_and_image_sets_are_splits() {
    let folder = voc();
    let inspection = inspect(&DataOptions::new(folder.path(), TaskKind::MultiLabel)).unwrap();
    let dataset = inspection.dataset.unwrap();
    let expected =
        [("1.png", vec!["dog", "person"]), ("2.png", vec!["person"]), ("3.png", vec!["dog"]), ("4.png", vec![])];
    assert_eq!(labelled(&dataset), expected.map(|(file, labels)| (file.to_owned(), labels)));
    assert_eq!((dataset.train.len(), dataset.valid.len()), (2, 2));
    assert!(dataset.root.ends_with("JPEGImages"));
    let note = &the(&inspection.findings, Kind::LeftOut).message;
    assert!(note.contains("1 picture:") && note.contains("--difficult") && note.contains("chair"), "{note}");
}

#[test]
fn difficult_objects_count_where_they_are_asked_for() {
    let folder = voc();
    let options = DataOptions { difficult: true, ..DataOptions::new(folder.path(), TaskKind::MultiLabel) };
    assert_eq!(labelled(&read(&options).unwrap())[1].1, ["chair", "person"]);
}

#[test]
fn image_sets_may_begin_with_a_byte_order_mark() {
    let folder = voc();
    write(folder.path(), "ImageSets/Main/train.txt", "\u{feff}1\r\n2\r\n");
    let dataset = read(&DataOptions::new(folder.path(), TaskKind::MultiLabel)).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (2, 2));
}

#[test]
fn without_both_image_sets_a_split_is_drawn() {
    let folder = voc();
    write(folder.path(), "ImageSets/Main/trainval.txt", "1\n2\n4\n");
    std::fs::remove_file(folder.path().join("ImageSets/Main/val.txt")).unwrap();
    let options = DataOptions { valid_pct: Some(0.34), ..DataOptions::new(folder.path(), TaskKind::MultiLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (2, 1), "only pictures of trainval.txt");
    std::fs::remove_dir_all(folder.path().join("ImageSets")).unwrap();
    let dataset = read(&options).unwrap();
    assert_eq!(dataset.train.len() + dataset.valid.len(), 4, "every annotation");
}

#[test]
fn annotations_and_pictures_that_are_missing_or_broken_are_named() {
    let folder = voc();
    write(folder.path(), "ImageSets/Main/val.txt", "3\n4\n5\n6\n");
    write(folder.path(), "Annotations/4.xml", "<annotation><object><name>dog</name>");
    write(folder.path(), "Annotations/6.xml", &annotation("6.jpg", &[("dog", 0)]));
    let found = problems(read(&DataOptions::new(folder.path(), TaskKind::MultiLabel)));
    let place = |name: &str| {
        let origin = Origin::File(format!("Annotations/{name}.xml"));
        found.iter().find(|problem| problem.origin == origin).unwrap_or_else(|| panic!("{name}: {found:#?}"))
    };
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(place("4").file, "4.png");
    assert!(place("5").problem.contains("No such file"));
    assert!(place("6").problem.contains("there is no such file"));
    let found = problems(read(&DataOptions::new(voc().path(), TaskKind::SingleLabel)));
    assert!(found[0].problem.contains("2 labels (dog, person)"), "{found:#?}");
    assert!(found[1].problem.contains("no label"), "{found:#?}");
}
